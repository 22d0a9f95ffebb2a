//! Where a process has its code, out of `/proc/PID/maps` (proc(5)).

use watchdog_core::profile::Mapping;

/// Most mappings of code that are kept; a process has one or two for each library.
const MAX_MAPPINGS: usize = 4096;

/// One mapping of a file's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) mapping: Mapping,
    /// Device and inode of the file, as the kernel writes them.
    pub(super) inode: String,
}

/// The mappings of code, sorted by their start; lines that say anything else are passed over.
pub(super) fn parse(maps: &str) -> Vec<Code> {
    let mut code: Vec<Code> = maps.lines().filter_map(line).take(MAX_MAPPINGS).collect();
    code.sort_by_key(|code| code.mapping.start);
    code
}

fn line(line: &str) -> Option<Code> {
    let (range, rest) = word(line)?;
    let (permissions, rest) = word(rest)?;
    let (offset, rest) = word(rest)?;
    let (device, rest) = word(rest)?;
    let (inode, path) = word(rest)?;
    let (start, end) = range.split_once('-')?;
    let hex = |digits| u64::from_str_radix(digits, 16).ok();
    let (start, end, file_offset) = (hex(start)?, hex(end)?, hex(offset)?);
    let path = path.trim_start();
    if permissions.as_bytes().get(2) != Some(&b'x') || !path.starts_with('/') || start >= end {
        return None;
    }
    let mapping = Mapping { start, end, file_offset, path: path.to_owned(), build_id: None };
    Some(Code { mapping, inode: format!("{device} {inode}") })
}

fn word(text: &str) -> Option<(&str, &str)> {
    text.trim_start().split_once(' ')
}

/// The file and the offset in it that an address is mapped from. `mappings` must be sorted.
pub(super) fn locate(mappings: &[Mapping], address: u64) -> Option<(&Mapping, u64)> {
    let after = mappings.partition_point(|mapping| mapping.start <= address);
    let mapping = mappings.get(after.checked_sub(1)?)?;
    if address >= mapping.end {
        return None;
    }
    let offset = (address - mapping.start).checked_add(mapping.file_offset)?;
    Some((mapping, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, end: u64, file_offset: u64, path: &str) -> Mapping {
        Mapping { start, end, file_offset, path: path.into(), build_id: None }
    }

    #[test]
    fn only_code_of_files_is_kept_and_it_is_sorted() {
        let maps = "\
7000-8000 r-xp 00001000 08:01 42                         /usr/lib/my lib.so (deleted)
1000-2000 r--p 00000000 08:01 41 /usr/bin/shop
2000-3000 r-xp 00001000 08:01 41 /usr/bin/shop
4000-5000 r-xp 00000000 00:00 0 
9000-a000 r-xp 00000000 00:00 0                          [vdso]
b000-a000 r-xp 00000000 08:01 41 /usr/bin/shop
nonsense";
        let code = parse(maps);
        let mappings: Vec<Mapping> = code.iter().map(|code| code.mapping.clone()).collect();
        assert_eq!(
            mappings,
            [
                mapping(0x2000, 0x3000, 0x1000, "/usr/bin/shop"),
                mapping(0x7000, 0x8000, 0x1000, "/usr/lib/my lib.so (deleted)"),
            ]
        );
        assert_eq!(code[1].inode, "08:01 42");
    }

    #[test]
    fn an_address_is_found_in_its_mapping_and_not_in_the_gap() {
        let mappings =
            [mapping(0x1000, 0x2000, 0x500, "/a"), mapping(0x3000, 0x4000, u64::MAX, "/b")];
        let place = |address| locate(&mappings, address).map(|(m, at)| (m.path.as_str(), at));
        assert_eq!(place(0x1000), Some(("/a", 0x500)));
        assert_eq!(place(0x1fff), Some(("/a", 0x14ff)));
        assert_eq!(place(0x2000), None);
        assert_eq!(place(0xfff), None);
        assert_eq!(place(0x3001), None, "an offset beyond 64 bits");
        assert_eq!(locate(&[], 0), None);
    }
}
