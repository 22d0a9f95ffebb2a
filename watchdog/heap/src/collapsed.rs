//! Collapsed stacks: one line per stack, its frames root first, as flamegraph tools and speedscope read them.
//!
//! ```text
//! main;shop::serve;shop::cache::remember 31457280
//! ```

use std::io::{self, Write};

use watchdog_core::profile::{Mapping, Profile};

use crate::addresses::AddressMap;
use crate::symbols::{Symbols, unnamed};

/// Writes one line per stack that holds something, with its bytes in use. Lines are not merged: several stacks of
/// addresses may have the same names, and readers add them up. A `;` inside a name becomes `:`, line ends and other
/// control characters become spaces. An address without a name is `module+0xoffset`, or `0xaddress` where no file is.
///
/// # Errors
/// What `out` says.
pub fn write(profile: &Profile, symbols: &Symbols, out: &mut impl Write) -> io::Result<()> {
    let mappings = &profile.mappings;
    let mut names =
        Names { symbols, mappings, text: Vec::new(), by_address: AddressMap::default() };
    let mut line = Vec::new();
    for sample in profile.stacks.iter().filter(|sample| sample.inuse_space.0 > 0) {
        line.clear();
        for address in sample.stack.iter().rev() {
            if !line.is_empty() {
                line.push(b';');
            }
            line.extend_from_slice(names.of(*address));
        }
        if line.is_empty() {
            line.extend_from_slice(b"(no stack)");
        }
        writeln!(line, " {}", sample.inuse_space.0)?;
        out.write_all(&line)?;
    }
    Ok(())
}

/// The text of each address, made once: its frames root first.
struct Names<'a> {
    symbols: &'a Symbols,
    mappings: &'a [Mapping],
    text: Vec<u8>,
    by_address: AddressMap<(usize, usize)>,
}

impl Names<'_> {
    fn of(&mut self, address: u64) -> &[u8] {
        let (from, to) = match self.by_address.get(&address) {
            Some(range) => *range,
            None => self.enter(address),
        };
        self.text.get(from..to).unwrap_or_default()
    }

    fn enter(&mut self, address: u64) -> (usize, usize) {
        let from = self.text.len();
        let frames = self.symbols.frames(address);
        for frame in frames.iter().rev() {
            if self.text.len() > from {
                self.text.push(b';');
            }
            push_name(&mut self.text, &frame.function);
        }
        if frames.is_empty() {
            push_name(&mut self.text, &unnamed(self.mappings, address));
        }
        let range = (from, self.text.len());
        self.by_address.insert(address, range);
        range
    }
}

/// A name without what would end it or its line. An empty one would vanish between two `;`.
fn push_name(text: &mut Vec<u8>, name: &str) {
    let name = if name.trim().is_empty() { "(unknown)" } else { name };
    for character in name.chars() {
        let safe = match character {
            ';' => ':',
            character if character.is_control() => ' ',
            character => character,
        };
        text.extend_from_slice(safe.encode_utf8(&mut [0; 4]).as_bytes());
    }
}
