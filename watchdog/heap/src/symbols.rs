//! Names of addresses, as every format and the culprit use them.

use watchdog_core::profile::{Frame, Mapping};

use crate::addresses::{AddressMap, is_unaddressed};

/// The frames of each address: one per function, calls that were inlined first. An address without an entry has no name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Symbols {
    by_address: AddressMap<Vec<Frame>>,
}

impl Symbols {
    /// Sets the frames of a return address as it stands in a stack, innermost first.
    pub fn insert(&mut self, address: u64, frames: Vec<Frame>) {
        self.by_address.insert(address, frames);
    }

    /// The frames of a return address, innermost first; empty when it has no name.
    pub fn frames(&self, address: u64) -> &[Frame] {
        self.by_address.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Every address that has an entry, with its frames, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[Frame])> {
        self.by_address.iter().map(|(address, frames)| (*address, frames.as_slice()))
    }

    /// How many addresses have names.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Whether no address has a name.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }
}

/// Whether a frame only repeats the address: `module+0xoffset` instead of a function.
pub(crate) fn is_placeholder(frame: &Frame) -> bool {
    frame.file.is_none() && frame.function.contains("+0x")
}

/// What stands for a return address without a name: `module+0xoffset` with the offset of the call in the module's
/// file, or the address itself where no file is mapped. `mappings` must be by ascending start.
pub(crate) fn unnamed(mappings: &[Mapping], address: u64) -> String {
    if is_unaddressed(address) {
        return "(unknown)".to_owned();
    }
    // The call is before the address it returns to, as everywhere where addresses are looked up.
    let call = address.saturating_sub(1);
    match mapping_of(mappings, call) {
        Some((_, mapping)) => {
            let offset = (call - mapping.start).saturating_add(mapping.file_offset);
            format!("{}+{offset:#x}", module(&mapping.path))
        }
        None => format!("{address:#x}"),
    }
}

/// The mapping that an address lies in and its place in the list, which must be by ascending start.
pub(crate) fn mapping_of(mappings: &[Mapping], address: u64) -> Option<(usize, &Mapping)> {
    let at = mappings.partition_point(|mapping| mapping.start <= address).checked_sub(1)?;
    mappings.get(at).filter(|mapping| address < mapping.end).map(|mapping| (at, mapping))
}

/// A file's name without its directory and without the kernel's mark of a deleted file.
pub(crate) fn module(path: &str) -> &str {
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_name_is_told_by_its_place_in_a_file() {
        let mappings = [Mapping {
            start: 0x1000,
            end: 0x2000,
            file_offset: 0x500,
            path: "/opt/shop (deleted)".into(),
            build_id: None,
        }];
        assert_eq!(unnamed(&mappings, 0x1001), "shop+0x500");
        assert_eq!(unnamed(&mappings, 0x2000), "shop+0x14ff");
        assert_eq!(unnamed(&mappings, 0x2001), "0x2001");
        assert_eq!(unnamed(&[], 0), "0x0");
    }
}
