//! The reader under input that nobody meant: it neither panics nor hangs, and what is valid comes back as it was.

use std::io::Cursor;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use watchdog_collect::recording::Recording;
use watchdog_core::units::Bytes;

use super::{gzip, read};

/// Pieces that headers, rows and mistakes are made of.
const PIECES: [&str; 24] = [
    "t_seconds",
    "rss_bytes",
    "anon_bytes",
    "value_bytes",
    "file_bytes",
    "allocated_bytes",
    "resident_bytes",
    "limit_bytes",
    "load",
    ",",
    ",",
    ",",
    "\n",
    "\n",
    "\r\n",
    "\"",
    "0",
    "1e9",
    "-1",
    "NaN",
    "inf",
    "",
    " ",
    "\u{feff}",
];

/// Reads to the end, counting: no more samples than lines, and every error with its place.
fn drain(input: Vec<u8>) {
    let bound = 1 + input.iter().filter(|byte| **byte == b'\n').count();
    bounded(input, bound);
}

/// The same where the lines can only be seen after decompression.
fn bounded(input: Vec<u8>, bound: usize) {
    let recording = match Recording::read(Path::new("a.csv"), Cursor::new(input), None) {
        Ok(recording) => recording,
        Err(error) => return assert!(error.line.is_some(), "{error}"),
    };
    let mut samples = 0;
    for sample in recording {
        match sample {
            Ok(sample) => assert!(sample.at.0.is_finite() && sample.age >= 0.0, "{sample:?}"),
            Err(error) => assert!(error.line.is_some_and(|line| line as usize <= bound + 1)),
        }
        samples += 1;
        assert!(samples <= bound + 1, "more samples than lines");
    }
}

/// A valid series: steps of time, anonymous, file and swapped memory, limit.
fn series() -> impl Strategy<Value = Vec<(u32, u64, u64, u32, Option<u64>)>> {
    let amount = 1u64 << 20..1 << 44;
    let limit = proptest::option::of(1u64 << 20..1 << 44);
    vec((1u32..100_000, amount.clone(), amount, any::<u32>(), limit), 1..200)
}

fn csv(rows: &[(u32, u64, u64, u32, Option<u64>)]) -> String {
    let mut text = String::from("swap_bytes,t_seconds,anon_bytes,file_bytes,limit_bytes,host\n");
    let mut ms = 0u64;
    for (step, anon, file, swap, limit) in rows {
        ms += u64::from(*step);
        let limit = limit.map(|limit| limit.to_string()).unwrap_or_default();
        text += &format!("{swap},{}.{:03},{anon},{file},{limit},a\n", ms / 1000, ms % 1000);
    }
    text
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..4096)) {
        drain(bytes);
    }

    #[test]
    fn arbitrary_tables_do_no_harm(pieces in vec(0..PIECES.len(), 0..400)) {
        drain(pieces.into_iter().map(|piece| PIECES[piece]).collect::<String>().into_bytes());
    }

    #[test]
    fn a_changed_series_does_no_harm(
        rows in series(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..8),
    ) {
        let mut text = csv(&rows).into_bytes();
        for (place, byte, how) in changes {
            if text.is_empty() {
                break;
            }
            let at = place.index(text.len());
            match how {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => drop(text.remove(at)),
            }
        }
        drain(text);
    }

    #[test]
    fn gzip_that_was_cut_or_flipped_is_refused_or_reads_the_same(
        rows in series(),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        flips in vec((any::<prop::sample::Index>(), 0u8..8), 0..4),
    ) {
        let text = csv(&rows);
        let mut packed = gzip(text.as_bytes());
        for (place, bit) in &flips {
            let at = place.index(packed.len());
            packed[at] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            packed.truncate(cut.index(packed.len()));
        }
        // What is no longer gzip, or packs another text, is still read line by line.
        bounded(packed.clone(), 1 << 20);
        if let Ok((samples, _)) = read(&packed) {
            let (expected, _) = read(&text).expect("valid");
            prop_assert_eq!(samples, expected, "a checksum guards against half a result");
        }
    }

    #[test]
    fn a_valid_series_comes_back_as_it_was(rows in series(), packed in any::<bool>()) {
        let text = csv(&rows).into_bytes();
        let (samples, notes) = read(if packed { gzip(&text) } else { text }).expect("valid");
        prop_assert_eq!(notes.ignored, ["host"]);
        prop_assert_eq!(samples.len(), rows.len());
        let (mut ms, mut last_limit) = (0u64, None);
        for (sample, (step, anon, file, swap, limit)) in samples.iter().zip(&rows) {
            ms += u64::from(*step);
            last_limit = limit.or(last_limit);
            prop_assert_eq!(sample.at.0, format!("{}.{:03}", ms / 1000, ms % 1000).parse::<f64>().expect("a time"));
            prop_assert_eq!(sample.memory.anon, Bytes(*anon));
            prop_assert_eq!(sample.memory.file, Bytes(*file));
            prop_assert_eq!(sample.memory.swap, Bytes(u64::from(*swap)));
            prop_assert_eq!(sample.limit, last_limit.map(Bytes));
        }
    }
}
