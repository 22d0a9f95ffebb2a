//! The dump store: what goes in comes out, and nothing else does.

#![cfg(test)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use watchdog_core::units::{Bytes, WallTime};
use watchdog_core::verdict::Kind;
use watchdog_heap::store::{DumpMeta, DumpStore, NewDump, StoreBounds, StoreError};

const BOUNDS: StoreBounds = StoreBounds { count_per_target: 3, total_bytes: Bytes(1000) };

fn dump(target: &str, taken: f64) -> NewDump {
    NewDump {
        target: target.into(),
        pid: 42,
        taken: WallTime(taken),
        inuse_space: Bytes::from_mib(20),
        used: Some(Bytes::from_mib(100)),
        limit: None,
        verdict: Kind::HeapLeak,
        reason: "leak".into(),
    }
}

fn open(dir: &Path) -> DumpStore {
    DumpStore::open(dir.to_owned(), BOUNDS).expect("a store")
}

fn fresh() -> (TempDir, DumpStore) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    (dir, store)
}

fn ids(dumps: &[DumpMeta]) -> Vec<&str> {
    dumps.iter().map(|dump| dump.id.as_str()).collect()
}

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_dump_comes_back_as_it_was_stored_also_after_a_restart() {
    let (dir, store) = fresh();
    let meta = store.put(&dump("shop/cart", 1_790_000_000.5), b"heap_v2/1\n").expect("stored");
    assert_eq!(meta.id, "shop_cart-1790000000-1");
    assert_eq!(meta.bytes, Bytes(10));

    let store = open(dir.path());
    assert_eq!(store.list(None), std::slice::from_ref(&meta));
    let path = store.path(&meta.id).expect("a path");
    assert_eq!(fs::read(&path).expect("a dump"), b"heap_v2/1\n");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner may read a heap");
    let next = store.put(&dump("shop/cart", 1_790_000_001.0), b"x").expect("stored");
    assert_eq!(next.id, "shop_cart-1790000001-2");
}

#[test]
fn the_list_is_in_the_order_of_storing_although_the_clock_jumped() {
    let (_dir, store) = fresh();
    let late = store.put(&dump("a", 2000.0), b"1").expect("stored");
    let other = store.put(&dump("b", 1500.0), b"2").expect("stored");
    let early = store.put(&dump("a", 1000.0), b"3").expect("stored");
    assert_eq!(ids(&store.list(None)), [&late.id, &other.id, &early.id]);
    assert_eq!(ids(&store.list(Some("a"))), [&late.id, &early.id]);
    assert!(store.list(Some("c")).is_empty());
}

#[test]
fn the_first_and_the_newest_of_a_target_are_kept() {
    let (dir, store) = fresh();
    for taken in 1..=5 {
        store.put(&dump("a", f64::from(taken)), b"12345").expect("stored");
    }
    assert_eq!(ids(&store.list(None)), ["a-1-1", "a-4-4", "a-5-5"]);
    assert_eq!(files(dir.path()).len(), 6, "nothing is left of the others");
}

#[test]
fn the_total_size_is_kept() {
    let (_dir, store) = fresh();
    for target in ["a", "b", "a", "a", "b"] {
        store.put(&dump(target, 0.0), &[b'x'; 250]).expect("stored");
    }
    assert_eq!(ids(&store.list(None)), ["a-0-1", "b-0-2", "a-0-4", "b-0-5"]);
}

#[test]
fn a_dump_larger_than_the_store_is_refused_and_removes_nothing() {
    let (_dir, store) = fresh();
    let kept = store.put(&dump("a", 1.0), b"1").expect("stored");
    let error = store.put(&dump("a", 2.0), &[0; 1001]).expect_err("too large");
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    assert_eq!(store.list(None), [kept]);
}

#[test]
fn no_id_leads_out_of_the_store() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("secret-1-1.heap"), "secret").expect("written");
    let store = open(&dir.path().join("store"));
    for id in ["../secret-1-1", "/etc/passwd", "", ".", "..", "a-1-1\0", "*", "store/../x-1-1"] {
        assert_eq!(store.path(id), None, "{id:?}");
    }
    assert_eq!(store.path("unknown-1-1"), None);
}

#[test]
fn foreign_and_broken_entries_lose_only_themselves() {
    let (dir, store) = fresh();
    let good = store.put(&dump("good", 1.0), b"good").expect("stored");
    let short = store.put(&dump("short", 2.0), b"was longer").expect("stored");
    let broken = store.put(&dump("broken", 3.0), b"dump").expect("stored");
    let at = |name: &str| dir.path().join(name);
    fs::write(at(&format!("{}.heap", short.id)), "cut").expect("written");
    fs::write(at(&format!("{}.json", broken.id)), "{\"id\":").expect("written");
    fs::copy(at(&format!("{}.json", good.id)), at("other-1-9.json")).expect("copied");
    fs::write(at("other-1-9.heap"), "good").expect("written");
    fs::write(at("notes.txt"), "mine").expect("written");
    fs::create_dir(at("x-1-5.json")).expect("made");

    let before = files(dir.path());
    let store = open(dir.path());
    assert_eq!(store.list(None), [good]);
    assert_eq!(files(dir.path()), before, "what is not understood is left alone");
    let next = store.put(&dump("good", 4.0), b"next").expect("stored");
    assert_eq!(next.id, "good-4-10", "no number is given twice");
}

#[test]
fn what_a_crash_left_is_removed_at_the_next_start() {
    let (dir, store) = fresh();
    let lost = store.put(&dump("a", 1.0), b"1").expect("stored");
    fs::remove_file(store.path(&lost.id).expect("a path")).expect("removed");
    fs::write(dir.path().join(".tmp-a-1-2.heap"), "half").expect("written");
    fs::write(dir.path().join(".tmp-notes"), "somebody else's").expect("written");
    assert!(open(dir.path()).list(None).is_empty());
    assert_eq!(files(dir.path()), [".tmp-notes"]);
}

#[test]
fn a_dump_that_cannot_be_finished_leaves_no_half_file() {
    for blocked in [".tmp-a-1-1.heap", ".tmp-a-1-1.json", "a-1-1.heap", "a-1-1.json"] {
        let (dir, store) = fresh();
        // A directory stands where a file must go; it fails for root as well, as a full disk would.
        fs::create_dir(dir.path().join(blocked)).expect("made");
        let error = store.put(&dump("a", 1.0), b"1").expect_err(blocked);
        assert!(error.to_string().contains("disk full"), "{error}");
        assert_eq!(files(dir.path()), [blocked]);
        assert!(store.list(None).is_empty());
        store.put(&dump("a", 2.0), b"2").expect("the next one is stored");
    }
}

#[test]
fn a_store_whose_directory_vanished_gives_errors_and_empty_lists() {
    let (dir, store) = fresh();
    drop(dir);
    assert!(matches!(store.put(&dump("a", 1.0), b"1"), Err(StoreError::Io { .. })));
    assert!(store.list(None).is_empty());
}

#[test]
fn a_store_that_cannot_be_is_refused_at_once() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let opened = DumpStore::open(file.path().join("store"), BOUNDS);
    assert!(matches!(opened, Err(StoreError::Io { .. })));
    let dir = tempfile::tempdir().expect("a directory");
    let narrow = StoreBounds { count_per_target: 1, ..BOUNDS };
    let opened = DumpStore::open(dir.path().to_owned(), narrow);
    assert!(matches!(opened, Err(StoreError::Bounds { count: 1, .. })));
}

#[test]
fn names_of_targets_have_a_length() {
    let (_dir, store) = fresh();
    for target in [String::new(), "x".repeat(257)] {
        let error = store.put(&dump(&target, 1.0), b"1").expect_err("a name");
        assert!(matches!(error, StoreError::TargetName { .. }), "{error}");
    }
}

#[test]
fn writers_at_the_same_time_take_turns() {
    let (dir, store) = fresh();
    std::thread::scope(|scope| {
        for writer in 0..8_u8 {
            let store = &store;
            scope.spawn(move || store.put(&dump(&format!("t{writer}"), 1.0), &[writer; 10]));
        }
    });
    assert_eq!(store.list(None).len(), 8);
    assert_eq!(files(dir.path()).len(), 16);
}
