//! What is written is read again, and what is not what was written is refused.

use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;
use watchdog_core::detector::DetectorConfig;
use watchdog_core::sample::{Allocator, Memory, Sample};
use watchdog_core::units::{Bytes, Moment, WallTime};

use super::form::form_of;
use super::*;
use crate::clock::Clock;
use crate::workload::Process;

const MOST: usize = 4;

/// A workload whose every part is filled: days of samples, a leak that is told, load, allocator, a second process.
fn lived() -> Workload {
    let mut workload = Workload::new(DetectorConfig::default(), WallTime(1e9));
    for pid in 1..=2 {
        workload.take_over(Process { pid, start_ticks: 7, exe: Some("/bin/a".into()) });
        for i in 0..30_000_u32 {
            let age = f64::from(i) * 20.0;
            let at = f64::from(pid) * 1e6 + age;
            let used = Bytes::from_mib(100 + u64::from(i) / 40);
            workload.observe(&Sample {
                at: Moment(at),
                wall: WallTime(1e9 + at),
                memory: Memory { anon: used, ..Memory::default() },
                limit: Some(Bytes::from_mib(1024)),
                allocator: Some(Allocator { allocated: used, ..Allocator::default() }),
                load: Some(50.0),
                age,
                ..Sample::default()
            });
        }
    }
    workload
}

fn stamp() -> Stamp {
    Clock::new(Path::new("/proc")).stamp(WallTime(2e9))
}

fn written(workloads: Vec<(String, Workload)>) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    write(&mut file, &stamp(), workloads.into_iter()).expect("written");
    file.into_inner()
}

fn small() -> Vec<u8> {
    let workload = Workload::new(DetectorConfig::default(), WallTime(1e9));
    written(vec![("orders".into(), workload.clone()), ("users-2".into(), workload)])
}

fn refused(bytes: Vec<u8>) -> FileError {
    read(Cursor::new(bytes), MOST).expect_err("refused")
}

/// A file with a right header around any content.
fn around(content: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.extend(VERSION.to_le_bytes());
    file.extend(crc32fast::hash(content).to_le_bytes());
    file.extend((content.len() as u64).to_le_bytes());
    file.extend(content);
    file
}

fn part(content: &[u8]) -> Vec<u8> {
    let mut part = u32::try_from(content.len()).expect("a length").to_le_bytes().to_vec();
    part.extend(content);
    part
}

#[test]
fn a_workload_comes_back_as_it_was_and_fits_into_its_bound() {
    let workload = lived();
    let bytes = written(vec![("orders".into(), workload.clone())]);
    let size = bytes.len();
    assert!((100 << 10..MAX_PART).contains(&size), "{} KiB", size >> 10);
    let mut state = read(Cursor::new(bytes), MOST).expect("read");
    let (name, restored) = state.workloads.pop().expect("a workload");
    assert_eq!(name, "orders");
    let (rows, before) =
        (restored.detector().history().rows(), workload.detector().history().rows());
    assert_eq!(rows, before);
    assert!(restored.was(&Process { pid: 2, start_ticks: 7, exe: Some("/bin/a".into()) }));
    assert_eq!(postcard::to_stdvec(&restored), postcard::to_stdvec(&workload));
}

#[test]
fn a_file_without_workloads_is_one() {
    let State { stamp, workloads } = read(Cursor::new(written(Vec::new())), MOST).expect("read");
    assert!(stamp.is_sound() && workloads.is_empty());
}

#[test]
fn each_kind_of_damage_is_told_apart() {
    let good = small();
    assert_eq!(read(Cursor::new(good.clone()), MOST).expect("read").workloads.len(), 2);
    assert!(matches!(refused(Vec::new()), FileError::Foreign));
    assert!(matches!(refused(b"#!/bin/sh\n".repeat(9)), FileError::Foreign));
    assert!(matches!(refused(good[..10].to_vec()), FileError::Length { .. }));
    assert!(matches!(refused(good[..good.len() - 1].to_vec()), FileError::Length { .. }));
    assert!(matches!(refused([&good[..], b"x"].concat()), FileError::Length { .. }));
    let mut other = good.clone();
    other[8] = 99;
    assert!(matches!(refused(other), FileError::Version { found: 99 }));
    let mut flipped = good.clone();
    flipped[100] ^= 4;
    assert!(matches!(refused(flipped), FileError::Checksum));
    let error = read(Cursor::new(good), 1).expect_err("one too many");
    assert!(matches!(error, FileError::Malformed { part: 2 }), "{error}");
    let large = vec![0; usize::try_from(max_bytes(MOST)).expect("small") + 1];
    assert!(matches!(refused(large), FileError::TooLarge { .. }));
}

#[test]
fn a_file_whose_writing_was_interrupted_is_foreign() {
    struct Full(Cursor<Vec<u8>>);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.position() > 500 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Seek for Full {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }
    let mut disk = Full(Cursor::new(Vec::new()));
    let workload = Workload::new(DetectorConfig::default(), WallTime(1e9));
    let workloads = (0..9).map(|n| (format!("orders-{n}"), workload.clone()));
    let error = write(&mut disk, &stamp(), workloads).expect_err("the disk is full");
    assert!(matches!(&error, FileError::Io(error) if error.kind() == io::ErrorKind::StorageFull));
    assert!(matches!(refused(disk.0.into_inner()), FileError::Foreign));
}

#[test]
fn a_right_checksum_around_wrong_content_is_refused_by_its_part() {
    let good = postcard::to_stdvec(&stamp()).expect("bytes");
    assert!(matches!(refused(around(b"")), FileError::Malformed { part: 0 }));
    assert!(matches!(refused(around(b"abc")), FileError::Malformed { part: 0 }));
    let huge = u32::MAX.to_le_bytes();
    assert!(matches!(refused(around(&huge)), FileError::Malformed { part: 0 }));
    let trailing = part(&[&good[..], b"x"].concat());
    assert!(matches!(refused(around(&trailing)), FileError::Malformed { part: 0 }));
    let wrong = [part(&good), part(b"no workload")].concat();
    assert!(matches!(refused(around(&wrong)), FileError::Malformed { part: 1 }));
    let mut unsound = good;
    let at = unsound.len() - 24;
    unsound[at..at + 8].copy_from_slice(&f64::NAN.to_le_bytes());
    assert!(matches!(refused(around(&part(&unsound))), FileError::Malformed { part: 0 }));
}

#[test]
fn the_form_of_a_workload_is_the_one_on_record_for_this_version() {
    let found = form_of::<Stamp>() + &form_of::<(String, Workload)>();
    let golden = format!("tests/golden/state-{VERSION}.txt");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(golden);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).expect("written");
    }
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        found, recorded,
        "state files of version {VERSION} have another form: once it was released, raise VERSION and remove the former \
         golden file; write the new one with UPDATE_GOLDEN=1"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read(Cursor::new(bytes), MOST).is_err());
    }

    #[test]
    fn any_content_behind_a_right_header_is_read_or_refused(
        first in any::<bool>(),
        content in prop::collection::vec(any::<u8>(), 0..4000),
        lengths in prop::collection::vec(any::<bool>(), 0..8),
    ) {
        // Long runs of high bits are what a length of billions looks like.
        let mut hostile = content;
        for (index, high) in lengths.iter().enumerate().filter(|(_, high)| **high) {
            let at = index * 13;
            if hostile.len() > at + 10 {
                hostile[at..at + 9].fill(0xff);
                hostile[at + 9] = u8::from(*high);
            }
        }
        let stamp = postcard::to_stdvec(&stamp()).expect("bytes");
        let file = if first { around(&part(&hostile)) } else { around(&[part(&stamp), part(&hostile)].concat()) };
        drop(read(Cursor::new(file), MOST));
    }

    #[test]
    fn a_flipped_bit_is_always_noticed(bit in 0..small().len() * 8) {
        let mut bytes = small();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(read(Cursor::new(bytes), MOST).is_err());
    }
}
