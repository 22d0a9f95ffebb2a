//! Reading what was written, and reading what should never have been written.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::table::Table;

const PERIOD: f64 = 4096.0;

/// A table in memory as the writer leaves it, and the bytes a reader gets of it.
fn written(record: impl FnOnce(&Table<'_>)) -> Vec<u8> {
    let geometry = Geometry::SMALL;
    let words: Vec<AtomicU64> = (0..geometry.bytes() / 8).map(|_| AtomicU64::new(0)).collect();
    for (word, value) in words.iter().zip(layout::created(&geometry)) {
        word.store(value, Ordering::Relaxed);
    }
    record(&Table::of(&words, &geometry).unwrap());
    words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect()
}

fn snapshot(bytes: &[u8]) -> Result<Snapshot, RecorderError> {
    Reader::over(bytes, "test".into())?.snapshot()
}

#[test]
fn what_was_recorded_is_read_with_its_frames() {
    let bytes = written(|table| {
        table.record(0x1000, 64, &[1, 2, 3], PERIOD);
        table.record(0x2000, 64, &[1, 2, 3], PERIOD);
        table.record(0x3000, 1 << 20, &[4], PERIOD);
        table.free(0x1000, 64, PERIOD);
    });
    let snapshot = snapshot(&bytes).unwrap();
    let of = |frames: &[u64]| {
        snapshot.stacks.iter().find(|stack| snapshot.frames(stack) == frames).unwrap()
    };
    let small = crate::Weight::of(64, PERIOD);
    let first = of(&[1, 2, 3]);
    assert_eq!((first.inuse_samples, first.alloc_samples), (1, 2));
    assert_eq!((first.inuse_bytes, first.alloc_bytes), (small.bytes, 2 * small.bytes));
    // 4096 bytes at 64 a piece are 64 and a half objects a sample.
    assert_eq!((first.inuse_objects, first.alloc_objects), (65, 129));
    let second = of(&[4]);
    assert_eq!((second.inuse_bytes, second.inuse_objects), (1 << 20, 1));
    assert_eq!(snapshot.damaged, 0);
    assert_eq!(snapshot.writer, None);
}

#[test]
fn a_file_of_another_kind_or_cut_short_is_refused_with_the_reason() {
    let sound = written(|_| {});
    for (bytes, reason) in [
        (Vec::new(), "ends after 0 bytes"),
        (vec![0; 4096], "the magic word"),
        (sound[..sound.len() - 1].to_vec(), "somebody cut it"),
    ] {
        let error = snapshot(&bytes).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn counters_that_would_overflow_every_sum_are_left_out() {
    let mut bytes = written(|table| {
        table.record(0x1000, 64, &[1], PERIOD);
        table.record(0x2000, 64, &[2], PERIOD);
    });
    let start = Geometry::SMALL.parts().stacks.start * 8;
    for slot in 0..Geometry::SMALL.stack_slots {
        let at = start + slot * 64 + 5 * 8;
        bytes[at..at + 24].fill(0xff);
    }
    let snapshot = snapshot(&bytes).unwrap();
    assert!(snapshot.stacks.is_empty());
    assert_eq!(snapshot.damaged, 64);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no fallocate")]
fn a_file_that_shrinks_while_it_is_open_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.rec");
    let file: File = crate::create(&path, Geometry::SMALL).unwrap();
    let reader = Reader::open(&path).unwrap();
    reader.snapshot().unwrap();
    file.set_len(5000).unwrap();
    assert!(matches!(reader.snapshot(), Err(RecorderError::Io { .. })));
    file.set_len(0).unwrap();
    assert!(matches!(reader.request_statistics(), Err(RecorderError::Io { .. })));
}

/// Adding up, reading frames: what every user of a snapshot does.
fn use_all(snapshot: &Snapshot) {
    let mut bytes = 0_i64;
    for stack in &snapshot.stacks {
        bytes += i64::try_from(stack.alloc_bytes).unwrap();
        assert!(stack.inuse_bytes <= stack.alloc_bytes);
        assert!(snapshot.frames(stack).len() <= Geometry::SMALL.max_depth);
    }
    assert!(bytes >= 0 && snapshot.stacks.len() <= Geometry::SMALL.stack_slots);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: if cfg!(miri) { 4 } else { 256 },
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..if cfg!(miri) { 200 } else { 10_000 })) {
        prop_assert!(snapshot(&bytes).is_err(), "random bytes have no magic");
    }

    #[test]
    fn any_bytes_behind_a_sound_header_are_survived(
        noise in prop::collection::vec(any::<u8>(), 1..if cfg!(miri) { 100 } else { 4096 }), start in 72_usize..8192,
    ) {
        let mut bytes = written(|table| table.record(0x1000, 64, &[1, 2, 3], PERIOD));
        for (byte, noise) in bytes[start..].iter_mut().zip(noise.iter().cycle()) {
            *byte = *noise;
        }
        use_all(&snapshot(&bytes).unwrap());
    }

    #[test]
    fn flipped_bits_are_survived(flips in prop::collection::vec(any::<prop::sample::Index>(), 1..64)) {
        let mut bytes = written(|table| {
            for object in 1..50 {
                table.record(object << 12, 64, &[1, object as usize], PERIOD);
            }
        });
        for flip in flips {
            let bit = flip.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        if let Ok(snapshot) = snapshot(&bytes) {
            use_all(&snapshot);
        }
    }
}
