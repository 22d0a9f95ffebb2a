//! Dump files as jemalloc leaves them, and as nobody should.

#![cfg(test)]

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::capture::{CaptureError, DumpFiles, Encoding};

const PID: u32 = 42;

fn dump(objects: u64) -> String {
    let bytes = objects << 20;
    format!(
        "heap_v2/524288\n@ 0x1010\n  t*: {objects}: {bytes} [0: 0]\n\nMAPPED_LIBRARIES:\n\
         1000-2000 r-xp 00001000 08:01 42 /usr/bin/shop\n"
    )
}

/// A directory with one dump for each sequence number, which holds one object more than that.
fn with_dumps(sequences: impl IntoIterator<Item = u64>) -> (TempDir, DumpFiles) {
    let dir = tempfile::tempdir().expect("a directory");
    for sequence in sequences {
        write(dir.path(), &name(sequence), dump(sequence + 1));
    }
    let files = DumpFiles::new(dir.path().join("jeprof")).expect("a prefix");
    (dir, files)
}

fn name(sequence: u64) -> String {
    format!("jeprof.{PID}.{sequence}.i{sequence}.heap")
}

fn write(dir: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(dir.join(name), content).expect("written");
}

/// Sequence number and sampled objects of the newest dump.
fn newest(files: &DumpFiles, after: Option<u64>) -> Option<(u64, u64)> {
    let found = files.newest(PID, after).expect("no error");
    found.map(|(sequence, captured)| (sequence, captured.profile.stacks[0].samples))
}

#[test]
fn the_newest_dump_is_the_one_with_the_highest_number() {
    let (dir, files) = with_dumps([2, 9, 10]);
    assert_eq!(newest(&files, None), Some((10, 11)));
    assert_eq!(newest(&files, Some(9)), Some((10, 11)));
    assert_eq!(newest(&files, Some(10)), None);
    write(dir.path(), "jeprof.42.11.f.heap", dump(7));
    assert_eq!(newest(&files, Some(10)), Some((11, 7)), "the last dump of a process counts too");
}

#[test]
fn a_dump_is_kept_as_it_was_written_with_the_time_of_that() {
    let (dir, files) = with_dumps([3]);
    let time = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let file = File::options().append(true).open(dir.path().join(name(3))).expect("a file");
    file.set_times(FileTimes::new().set_modified(time)).expect("set");
    let (_, captured) = files.newest(PID, None).expect("no error").expect("a dump");
    assert_eq!(captured.raw, dump(4).into_bytes());
    assert_eq!(captured.encoding, Encoding::JemallocText);
    assert_eq!(captured.profile.taken, WallTime(1_790_000_000.0));
    assert!(captured.symbols.is_empty());
    assert!(dir.path().join(name(3)).exists(), "it is the user's file");
}

#[test]
fn without_a_dump_of_this_process_there_is_none() {
    let (dir, files) = with_dumps([]);
    assert_eq!(newest(&files, None), None);
    for name in ["jeprof.43.1.i1.heap", "jeprof.42.1.i1.heap.bak", "other.42.1.i1.heap", "jeprof"] {
        write(dir.path(), name, dump(1));
    }
    assert_eq!(newest(&files, None), None);
}

#[test]
fn a_dump_that_is_still_being_written_gives_way_to_the_one_before() {
    let (dir, files) = with_dumps([0, 1]);
    let whole = dump(9);
    for end in 0..whole.len() {
        write(dir.path(), &name(2), &whole[..end]);
        assert_eq!(newest(&files, None), Some((1, 2)), "cut at {end}");
    }
    write(dir.path(), &name(2), "");
    assert_eq!(newest(&files, Some(1)), None, "nothing whole is new, and that is no error");
    write(dir.path(), &name(2), whole);
    assert_eq!(newest(&files, Some(1)), Some((2, 9)), "it is tried again");
}

#[test]
fn a_dump_whose_mappings_may_not_be_all_there_gives_way_too() {
    let (dir, files) = with_dumps([0]);
    // jemalloc writes 64 KiB at a time, and such a piece may end with a line's end.
    let mut pieces = dump(9);
    let line = "3000-4000 r-xp 00001000 08:01 43 /usr/lib/";
    while pieces.len() < 65_536 {
        let left = 65_536 - pieces.len();
        let path = if left < 400 { left } else { 200 };
        pieces += &format!("{line}{}\n", "x".repeat(path - line.len() - 1));
    }
    assert_eq!(pieces.len(), 65_536);
    write(dir.path(), &name(1), &pieces);
    assert_eq!(newest(&files, None), Some((0, 1)));
    write(dir.path(), &name(1), pieces + "5000-6000 r-xp 00001000 08:01 43 /usr/lib/y\n");
    assert_eq!(newest(&files, None), Some((1, 9)));
}

#[test]
fn when_no_new_dump_can_be_read_the_reason_of_the_newest_is_told() {
    let (dir, files) = with_dumps([0]);
    write(dir.path(), &name(1), "heap_v1/1\n");
    write(dir.path(), &name(2), "<html>\n");
    assert_eq!(newest(&files, None), Some((0, 1)));
    let error = files.newest(PID, Some(0)).expect_err("two that are none");
    assert!(matches!(error, CaptureError::Unreadable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&name(2)) && text.contains("<html>"), "{text}");
}

#[test]
fn only_the_newest_few_are_tried() {
    let (dir, files) = with_dumps([0]);
    for sequence in 1..=4 {
        write(dir.path(), &name(sequence), "");
    }
    assert_eq!(newest(&files, None), None);
}

#[test]
fn a_dump_larger_than_the_bound_is_not_read() {
    let (dir, files) = with_dumps([]);
    let files = files.with_max_bytes(1 << 20);
    let file = File::create(dir.path().join(name(1))).expect("a file");
    file.set_len(1 << 40).expect("a file full of nothing");
    let error = files.newest(PID, None).expect_err("too large");
    assert!(matches!(error, CaptureError::TooLarge { limit: Bytes(1_048_576), .. }), "{error}");
}

#[test]
fn links_pipes_sockets_and_directories_are_no_dumps() {
    let (dir, files) = with_dumps([0]);
    let at = |sequence: u64| dir.path().join(name(sequence));
    symlink(at(0), at(1)).expect("a link");
    symlink("/dev/zero", at(2)).expect("a link");
    symlink(at(3), at(3)).expect("a link to itself");
    fs::create_dir(at(4)).expect("a directory");
    let _socket = UnixListener::bind(at(5)).expect("a socket");
    let made = Command::new("mkfifo").arg(at(6)).status().expect("mkfifo of coreutils");
    assert!(made.success());
    assert_eq!(newest(&files, None), Some((0, 1)));
    assert_eq!(newest(&files, Some(0)), None);
}

#[test]
fn files_of_an_earlier_process_with_the_same_pid_are_passed_over() {
    let (dir, files) = with_dumps(0..20);
    let start = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    for sequence in 0..20 {
        let before = if sequence < 2 { 0 } else { 5 };
        let file = File::options().append(true).open(dir.path().join(name(sequence)));
        let time = start + Duration::from_secs(2) - Duration::from_secs(before);
        file.expect("a file").set_times(FileTimes::new().set_modified(time)).expect("set");
    }
    let files = files.since(WallTime(1_790_000_000.0));
    assert_eq!(newest(&files, None), Some((1, 2)));
}

#[test]
fn a_directory_that_is_missing_is_named() {
    let files = DumpFiles::new("/nowhere/at/all/jeprof".into()).expect("a prefix");
    let error = files.newest(PID, None).expect_err("no directory");
    assert!(matches!(error, CaptureError::Io { .. }), "{error}");
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

#[test]
fn a_dump_that_may_not_be_read_is_named() {
    let (dir, files) = with_dumps([1]);
    let path = dir.path().join(name(1));
    fs::set_permissions(&path, Permissions::from_mode(0o000)).expect("set");
    match files.newest(PID, None) {
        Err(error) => assert!(error.to_string().contains(&name(1)), "{error}"),
        // Root may read everything.
        Ok(found) => assert!(File::open(&path).is_ok() && found.is_some()),
    }
}
