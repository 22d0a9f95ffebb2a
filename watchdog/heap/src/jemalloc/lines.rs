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
        let end = memchr::memchr(b'\n', self.rest);
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

/// Digits only: `str::parse` would also take a sign.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

pub(super) fn hexadecimal(digits: &[u8]) -> Option<u64> {
    leading_hexadecimal(digits).and_then(|(value, rest)| rest.is_empty().then_some(value))
}

/// Value of each byte as a hexadecimal digit; [`NO_DIGIT`] for the others.
const DIGITS: [u8; 256] = digits();
const NO_DIGIT: u8 = u8::MAX;

const fn digits() -> [u8; 256] {
    let mut table = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit] as usize] = digit as u8;
        table[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
}

/// The digits at the beginning as a number, and what follows them; `None` without a digit or beyond 64 bits.
fn leading_hexadecimal(mut text: &[u8]) -> Option<(u64, &[u8])> {
    let before = text.len();
    let mut value = 0_u64;
    // Four at a time: an address has twelve, and a dump has millions of them.
    while let [a, b, c, d, rest @ ..] = text {
        let [a, b, c, d] = [a, b, c, d].map(|byte| DIGITS[usize::from(*byte)]);
        if a | b | c | d == NO_DIGIT {
            break;
        }
        if value >> 48 != 0 {
            return None;
        }
        let four = [a, b, c, d].iter().fold(0, |four, digit| four << 4 | u64::from(*digit));
        value = value << 16 | four;
        text = rest;
    }
    while let [byte, rest @ ..] = text {
        let digit = DIGITS[usize::from(*byte)];
        if digit == NO_DIGIT {
            break;
        }
        if value >> 60 != 0 {
            return None;
        }
        value = value << 4 | u64::from(digit);
        text = rest;
    }
    (text.len() < before).then_some((value, text))
}

/// Why the words of a stack are not addresses.
pub(super) enum NotAStack<'a> {
    /// More of them than the limit.
    TooDeep,
    /// This is none.
    NotAnAddress(&'a [u8]),
}

/// Puts the addresses of ` 0x55d0 0x55e8` into `stack`. Most of a dump is this, so it is one pass without a
/// search for the ends of words.
pub(super) fn stack<'a>(
    mut text: &'a [u8],
    max_depth: usize,
    stack: &mut Vec<u64>,
) -> Result<(), NotAStack<'a>> {
    stack.clear();
    loop {
        text = text.trim_ascii_start();
        if text.is_empty() {
            return Ok(());
        }
        if stack.len() == max_depth {
            return Err(NotAStack::TooDeep);
        }
        let address = text.strip_prefix(b"0x").and_then(leading_hexadecimal);
        let Some((address, rest)) = address.filter(|(_, rest)| ends_word(rest)) else {
            return Err(NotAStack::NotAnAddress(word(text).0));
        };
        stack.push(address);
        text = rest;
    }
}

fn ends_word(rest: &[u8]) -> bool {
    rest.first().is_none_or(u8::is_ascii_whitespace)
}

/// Objects and bytes of sampled allocations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) objects: u64,
    pub(super) bytes: u64,
}

/// `3: 1536 [4: 2048]`: what is in use, and what was ever allocated.
pub(super) fn counts(text: &[u8]) -> Option<(Counts, Counts)> {
    let (in_use, ever) = text.split_at(memchr::memchr(b'[', text)?);
    let ever = ever.strip_prefix(b"[")?.trim_ascii_end().strip_suffix(b"]")?;
    Some((pair(in_use)?, pair(ever)?))
}

/// `3: 1536`
fn pair(text: &[u8]) -> Option<Counts> {
    let (objects, rest) = word(text);
    let objects = decimal(objects.strip_suffix(b":")?)?;
    Some(Counts { objects, bytes: decimal(rest.trim_ascii())? })
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
