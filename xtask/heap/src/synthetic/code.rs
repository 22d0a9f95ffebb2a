//! Where a program's functions are, and where they would be in a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where the kernel puts position-independent programs when it does not randomize.
const BASE: u64 = 0x5555_5555_4000;
const PAGE: u64 = 4096;
/// A function with a call and its return address is larger.
const LEAST_FUNCTION: u64 = 32;

/// The code of a program.
#[derive(Debug)]
pub(crate) struct Code {
    path: PathBuf,
    base: u64,
    segment: Segment,
    /// Start and size of functions, in the file's own addresses.
    functions: Vec<(u64, u64)>,
}

/// The segment with the code, as in the ELF program header.
#[derive(Clone, Copy, Debug)]
struct Segment {
    offset: u64,
    address: u64,
    size: u64,
}

impl Code {
    /// Of an x86-64 or aarch64 Linux program with symbols.
    pub(crate) fn of(program: &Path) -> Result<Self> {
        let path = program
            .canonicalize()
            .with_context(|| format!("there is no program {}", program.display()))?;
        let head = read_head(&path)?;
        let (base, segment) = segment(&head).with_context(|| {
            format!("{} is no 64-bit little-endian ELF program", path.display())
        })?;
        let listed = Command::new("nm")
            .args(["-S", "--defined-only"])
            .arg(&path)
            .output()
            .context("nm does not start; it is in Debian's binutils")?;
        ensure!(listed.status.success(), "nm cannot read {}", path.display());
        let listed = String::from_utf8_lossy(&listed.stdout);
        let mut functions: Vec<_> = listed.lines().filter_map(function).collect();
        functions.retain(|(start, size)| {
            *start >= segment.address && start + size <= segment.address + segment.size
        });
        functions.sort_unstable();
        functions.dedup();
        ensure!(!functions.is_empty(), "{} has no functions: it is stripped", path.display());
        Ok(Self { path, base, segment, functions })
    }

    /// A place within a function as a return address, chosen by two random numbers.
    pub(crate) fn place(&self, which: u64, within: u64) -> u64 {
        let (start, size) = self.functions[(which % self.functions.len() as u64) as usize];
        // A return address is behind its call.
        self.base + start + 6 + within % (size - 6)
    }

    /// The code's line in `/proc/PID/maps`.
    pub(crate) fn mapping_line(&self) -> String {
        let Segment { offset, address, size } = self.segment;
        let down = |value: u64| value / PAGE * PAGE;
        let (start, offset) = (down(self.base + address), down(offset));
        let end = (self.base + address + size).next_multiple_of(PAGE);
        format!("{start:x}-{end:x} r-xp {offset:08x} 08:01 42  {}", self.path.display())
    }

    /// The program.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// `0000000000012340 0000000000000042 t name` of a function.
fn function(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split(' ');
    let number = |word: &str| u64::from_str_radix(word, 16).ok();
    let (start, size) = (number(words.next()?)?, number(words.next()?)?);
    let is_code = matches!(words.next()?, "t" | "T" | "w" | "W");
    (is_code && size >= LEAST_FUNCTION).then_some((start, size))
}

/// The ELF header and the program headers, which linkers put behind it.
fn read_head(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut head = Vec::new();
    let file = fs::File::open(path).with_context(|| format!("opening {}", path.display()))?;
    file.take(PAGE).read_to_end(&mut head)?;
    Ok(head)
}

/// The base address and the executable segment, from the headers as elf(5) describes them.
fn segment(head: &[u8]) -> Option<(u64, Segment)> {
    let word = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
    let half = |at: usize| Some(u16::from_le_bytes(head.get(at..at + 2)?.try_into().ok()?));
    // 64 bits, little-endian, version 1.
    if head.get(..7)? != b"\x7fELF\x02\x01\x01" {
        return None;
    }
    const POSITION_INDEPENDENT: u16 = 3;
    let base = if half(16)? == POSITION_INDEPENDENT { BASE } else { 0 };
    let table = usize::try_from(word(0x20)?).ok()?;
    (0..usize::from(half(0x38)?)).find_map(|number| {
        let header = table.checked_add(number * 56)?;
        let kind = word(header)?;
        // PT_LOAD with PF_X: type and flags are halves of the first word.
        let is_code = kind & 0xffff_ffff == 1 && (kind >> 32) & 1 == 1;
        let segment = || {
            Some(Segment {
                offset: word(header + 8)?,
                address: word(header + 16)?,
                size: word(header + 40)?,
            })
        };
        if is_code { segment().map(|segment| (base, segment)) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_this_program_are_in_its_code() {
        let code = Code::of(&std::env::current_exe().unwrap()).unwrap();
        let line = code.mapping_line();
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        for (which, within) in [(0, 0), (1, u64::MAX), (u64::MAX, 12_345)] {
            assert!((number(start)..number(end)).contains(&code.place(which, within)), "{line}");
        }
        assert!(rest.ends_with(&code.path().display().to_string()), "{line}");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        for content in [&b"#!/bin/sh\n"[..], b"", b"\x7fELF\x02\x01\x01"] {
            fs::write(&path, content).unwrap();
            let error = Code::of(&path).unwrap_err().to_string();
            assert!(error.contains("no 64-bit"), "{error}");
        }
    }

    #[test]
    fn only_functions_with_room_for_a_call_are_taken() {
        assert_eq!(function("0000000000000100 0000000000000040 t main"), Some((0x100, 0x40)));
        for line in [
            "0000000000000100 0000000000000004 t tiny",
            "0000000000000100 0000000000000040 d data",
            "0000000000000100 t nosize",
            "                 U undefined",
        ] {
            assert_eq!(function(line), None, "{line}");
        }
    }
}
