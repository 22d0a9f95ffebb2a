//! A recorder between a writer and a reader as they are in life: a file, a futex, a forked child.

#![cfg(not(miri))]
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use oomen_recorder::{AllocatorStatistics, Geometry, Identity, Reader, Writer, create};

fn pair(directory: &Path) -> (Writer, Reader) {
    let path = directory.join("a.rec");
    create(&path, Geometry::default()).unwrap();
    let writer = Writer::open(&path, Identity::of_self().unwrap(), 12).unwrap();
    (writer, Reader::open(&path).unwrap())
}

#[test]
fn statistics_come_when_they_are_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, reader) = pair(directory.path());
    assert_eq!(reader.snapshot().unwrap().statistics, None);
    let writer = Arc::new(writer);
    let server = thread::spawn({
        let writer = Arc::clone(&writer);
        move || {
            let mut seen = 0;
            while seen < 3 {
                seen = writer.wait_for_request(seen);
                let told = AllocatorStatistics { allocated: 7, ..AllocatorStatistics::default() };
                writer.set_statistics(AllocatorStatistics { answers: seen, ..told });
            }
        }
    });
    for _ in 0..3 {
        let number = reader.request_statistics().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let snapshot = loop {
            let snapshot = reader.snapshot().unwrap();
            if snapshot.statistics.is_some_and(|statistics| statistics.answers == number) {
                break snapshot;
            }
            assert!(Instant::now() < deadline, "no answer to request {number}");
            thread::yield_now();
        };
        assert_eq!(snapshot.statistics.unwrap().allocated, 7);
        assert!(snapshot.statistics_age.unwrap() < Duration::from_secs(10));
    }
    server.join().unwrap();
}

#[test]
fn a_forked_child_leaves_its_parents_recorder_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, reader) = pair(directory.path());
    writer.record(0x1000, 64, &[1, 2]);
    let writer = Arc::new(writer);
    let in_child = Arc::clone(&writer);
    let mut command = Command::new("true");
    // SAFETY: the closure runs between fork and exec and only uses atomics: it neither allocates nor takes locks.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || {
            in_child.free(0x1000, 64);
            in_child.record(0x2000, 64, &[3, 4]);
            Ok(())
        });
    }
    assert!(command.status().unwrap().success());
    let snapshot = reader.snapshot().unwrap();
    assert_eq!(snapshot.stacks.len(), 1);
    assert_eq!(snapshot.stacks[0].inuse_samples, 1);
    writer.free(0x1000, 64);
    assert_eq!(reader.snapshot().unwrap().stacks[0].inuse_samples, 0);
}

#[test]
fn a_recorder_that_was_claimed_is_not_taken_a_second_time() {
    let directory = tempfile::tempdir().unwrap();
    let (_writer, _reader) = pair(directory.path());
    let again = Writer::open(&directory.path().join("a.rec"), Identity::of_self().unwrap(), 12);
    let error = again.err().unwrap().to_string();
    assert!(error.contains("the claim"), "{error}");
}
