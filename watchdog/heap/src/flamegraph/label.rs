//! What stands on a frame, and its colour.

use inferno::flamegraph::color::Color;

use crate::functions::Owner;
use crate::top::signed;

/// Longest label in characters; names of generic code can be pages long.
const MAX_CHARACTERS: usize = 300;

/// What a flamegraph shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Bytes in use: colours tell whose code it is.
    InUse,
    /// Change: colours tell growth from shrinkage, and labels by how much.
    Change,
}

impl Style {
    pub(super) fn label(self, function: &str, net: i64) -> String {
        let name = printable(function);
        match self {
            Self::InUse => name,
            Self::Change => format!("{name} {}", signed(net)),
        }
    }

    pub(super) fn color(self, label: &str, owner: Owner, weight: u64, net: i64) -> Color {
        match self {
            Self::InUse => by_owner(label, owner),
            Self::Change => by_change(net as f64 / weight.max(1) as f64),
        }
    }
}

/// A text that inferno and XML take as it is: without control characters (XML 1.0, section 2.2), without the `;` that
/// ends a frame, without a number at its end that would count as bytes, and of bounded length.
pub(super) fn printable(text: &str) -> String {
    let mut shown: String = text
        .trim()
        .chars()
        .take(MAX_CHARACTERS)
        .map(|character| match character {
            ';' => ':',
            '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            character if character.is_control() => '\u{fffd}',
            character => character,
        })
        .collect();
    if text.chars().nth(MAX_CHARACTERS).is_some() {
        shown.push('…');
    }
    let counts =
        |word: &str| word.chars().all(|character| character.is_ascii_digit() || character == '.');
    if let Some((_, last)) = shown.rsplit_once(' ')
        && counts(last)
    {
        let at = shown.len() - last.len() - 1;
        shown.replace_range(at..=at, "_");
    }
    match shown.trim() {
        "" => "(unknown)".to_owned(),
        // A line that begins like this is a comment.
        comment if comment.starts_with('#') => format!("_{comment}"),
        shown => shown.to_owned(),
    }
}

/// Warm for the program, cool for libraries, grey for the rest; the name decides how bright, so that neighbours can be
/// told apart and a function looks the same in every picture.
fn by_owner(label: &str, owner: Owner) -> Color {
    let hash =
        label.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let vary = (hash >> 8) as u8 % 40;
    let (r, g, b) = match owner {
        Owner::Program => (240, 130 + vary, 60 + vary),
        Owner::Library => (150 + vary, 185 + vary, 215),
        Owner::Allocator | Owner::Nobody => (195 + vary, 195 + vary, 195 + vary),
    };
    Color { r, g, b }
}

/// From blue at -1 over white to red at 1.
fn by_change(share: f64) -> Color {
    let pale = 245 - (share.abs().min(1.0) * 145.0) as u8;
    if share >= 0.0 {
        Color { r: 255, g: pale, b: pale }
    } else {
        Color { r: pale, g: pale, b: 255 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_harmless() {
        for (name, shown) in [
            ("<T as [u8; 8]>::f", "<T as [u8: 8]>::f"),
            ("a\nb\u{1b}[31m", "a\u{fffd}b\u{fffd}[31m"),
            (" \t ", "(unknown)"),
            ("", "(unknown)"),
            ("lambda 12", "lambda_12"),
            ("version 1.2", "version_1.2"),
            ("# heading", "_# heading"),
        ] {
            assert_eq!(printable(name), shown);
        }
        assert_eq!(printable(&"ü".repeat(1000)).chars().count(), MAX_CHARACTERS + 1);
    }

    #[test]
    fn growth_is_red_and_shrinkage_blue() {
        let (grew, shrank, both) = (by_change(1.0), by_change(-1.0), by_change(0.0));
        assert!(grew.r > grew.b && shrank.b > shrank.r && both.g > 240);
    }
}
