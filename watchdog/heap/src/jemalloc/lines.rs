//! The lines of a heap dump: their numbers, and the few shapes of words on them.

use watchdog_core::profile::Mapping;

use super::{Fault, ParseError};

/// Walks over a text line by line and knows where it is.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    number: u64,
    max_line: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a [u8], max_line: usize) -> Self {
        Self { rest: text, number: 0, max_line }
    }

    /// The next line without its surrounding white space; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<&'a [u8]>, ParseError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(self.rest.len()) > self.max_line {
            return Err(self.fault(Fault::LineTooLong(self.max_line)));
        }
        let Some((line, rest)) = end.and_then(|end| self.rest.split_at_checked(end)) else {
            return Err(self.cut_short());
        };
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(Some(line.trim_ascii()))
    }

    /// An error on the line that was read last.
    pub(super) fn fault(&self, fault: Fault) -> ParseError {
        ParseError { line: self.number.max(1), fault }
    }

    /// A first line that is not ours says more than that it has no end.
    fn cut_short(&self) -> ParseError {
        const HEADER: &[u8] = b"heap_v2/";
        let known = self.rest.len().min(HEADER.len());
        if self.number == 1 && !self.rest.starts_with(&HEADER[..known]) {
            return self.fault(Fault::NotHeapV2(excerpt(self.rest)));
        }
        self.fault(Fault::CutShort)
    }
}

/// The beginning of a line for an error message, printable whatever bytes it has.
pub(super) fn excerpt(line: &[u8]) -> String {
    const SHOWN: usize = 60;
    let shown = line.get(..SHOWN).unwrap_or(line).escape_ascii().to_string();
    if line.len() > SHOWN { shown + "…" } else { shown }
}

pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    number(digits, 10)
}

pub(super) fn hexadecimal(digits: &[u8]) -> Option<u64> {
    number(digits, 16)
}

/// Digits only: `str::parse` would also take a sign.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = char::from(*byte).to_digit(radix)?;
        value.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
    })
}

/// `3: 1536 [0: 0]` as objects and bytes in use.
pub(super) fn counts(text: &[u8]) -> Option<(u64, u64)> {
    let (objects, rest) = word(text);
    let (bytes, rest) = word(rest);
    let objects = decimal(objects.strip_suffix(b":")?)?;
    let bytes = decimal(bytes)?;
    let ever = rest.trim_ascii();
    (ever.starts_with(b"[") && ever.ends_with(b"]")).then_some((objects, bytes))
}

/// One line of `/proc/PID/maps`: `None` when it is not one, `Some(None)` when it is not executable code of a file.
pub(super) fn mapping(line: &[u8]) -> Option<Option<Mapping>> {
    let (range, rest) = word(line);
    let (permissions, rest) = word(rest);
    let (file_offset, rest) = word(rest);
    let (_device, rest) = word(rest);
    let (inode, rest) = word(rest);
    let dash = range.iter().position(|byte| *byte == b'-')?;
    let start = hexadecimal(&range[..dash])?;
    let end = hexadecimal(&range[dash + 1..])?;
    let file_offset = hexadecimal(file_offset)?;
    decimal(inode)?;
    if start >= end {
        return None;
    }
    let path = rest.trim_ascii();
    let is_code = permissions.get(2) == Some(&b'x') && path.starts_with(b"/");
    let path = String::from_utf8_lossy(path).into_owned();
    Some(is_code.then_some(Mapping { start, end, file_offset, path, build_id: None }))
}

/// The first word and what follows it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_only_and_fit() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), None);
        assert_eq!(hexadecimal(b"ffffffffffffffff"), Some(u64::MAX));
        for bad in [b"".as_slice(), b"+1", b"-1", b"1 ", b"0x1", b"1_0"] {
            assert_eq!(decimal(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn a_path_keeps_its_spaces() {
        let line = b"1000-2000 r-xp 00001000 08:01 42      /opt/my shop/bin (deleted)";
        let mapping = mapping(line).expect("a mapping").expect("code of a file");
        assert_eq!(mapping.path, "/opt/my shop/bin (deleted)");
        assert_eq!((mapping.start, mapping.end, mapping.file_offset), (0x1000, 0x2000, 0x1000));
    }

    #[test]
    fn data_anonymous_memory_and_the_vdso_are_not_code_of_a_file() {
        for line in [
            b"1000-2000 rw-p 00001000 08:01 42 /usr/bin/shop".as_slice(),
            b"1000-2000 r-xp 00000000 00:00 0",
            b"1000-2000 r-xp 00000000 00:00 0 [vdso]",
        ] {
            assert_eq!(mapping(line), Some(None), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn anything_else_is_no_mapping() {
        for line in [
            b"2000-1000 r-xp 00001000 08:01 42 /usr/bin/shop".as_slice(),
            b"1000 r-xp 00001000 08:01 42 /usr/bin/shop",
            b"1000-2000 r-xp offset 08:01 42 /usr/bin/shop",
            b"1000-2000 r-xp 00001000 08:01",
            b"-",
        ] {
            assert_eq!(mapping(line), None, "{}", line.escape_ascii());
        }
    }
}
