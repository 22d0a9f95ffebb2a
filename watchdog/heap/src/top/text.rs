//! The table as text for a terminal.

use std::fmt::Write;

use watchdog_core::units::Bytes;

use super::{DeltaRow, Row};

const HEAD: &str = "      flat  flat %        cum   cum %    objects  function\n";

/// The rows as a table with a head, one line each.
pub fn text(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for row in rows {
        let (flat, cumulative) = (row.flat.to_string(), row.cumulative.to_string());
        let shares = (row.flat_share, row.cumulative_share);
        let place = place(&row.function, row.file.as_deref(), row.line);
        line(&mut text, &flat, &cumulative, shares, &row.objects.to_string(), &place);
    }
    text
}

/// As [`text`] for a difference: every amount has its sign.
pub fn difference_text(rows: &[DeltaRow]) -> String {
    let mut text = HEAD.to_owned();
    for row in rows {
        let (flat, cumulative) = (signed(row.flat), signed(row.cumulative));
        let shares = (row.flat_share, row.cumulative_share);
        let place = place(&row.function, row.file.as_deref(), row.line);
        line(&mut text, &flat, &cumulative, shares, &format!("{:+}", row.objects), &place);
    }
    text
}

fn line(
    text: &mut String,
    flat: &str,
    cumulative: &str,
    (flat_share, cumulative_share): (f64, f64),
    objects: &str,
    place: &str,
) {
    let (flat_share, cumulative_share) = (flat_share * 100.0, cumulative_share * 100.0);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{flat:>10} {flat_share:>6.1}% {cumulative:>10} {cumulative_share:>6.1}% {objects:>10}  {place}"
    );
}

/// An amount of bytes with its sign.
pub(crate) fn signed(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("{sign}{}", Bytes(bytes.unsigned_abs()))
}

/// Function, file and line. Names come from other people's files and must not drive the terminal.
fn place(function: &str, file: Option<&str>, line: Option<u32>) -> String {
    let mut place = function.to_owned();
    if let Some(file) = file {
        place.push(' ');
        place.push_str(file);
        if let Some(line) = line {
            place.push_str(&format!(":{line}"));
        }
    }
    place
        .chars()
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect()
}
