//! The dump store: what goes in comes out, and nothing else does.

#![cfg(test)]

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use watchdog_core::units::{Bytes, BytesPerSecond, WallTime};
use watchdog_core::verdict::Kind;
use watchdog_heap::capture::{Encoding, SourceKind, decode};
use watchdog_heap::pprof;
use watchdog_heap::store::{
    DumpMeta, DumpStore, LoadError, Module, NewDump, StoreBounds, StoreError, Usage,
};
use watchdog_heap::symbols::Symbols;

const BOUNDS: StoreBounds = StoreBounds {
    count_per_target: 3,
    bytes_per_target: Bytes(1000),
    total_bytes: Bytes(1000),
    max_age: None,
};

const DUMP: &[u8] = b"heap_v2/524288
@ 0x1010
  t*: 16: 8388608 [0: 0]

MAPPED_LIBRARIES:
1000-2000 r-xp 00001000 08:01 42 /usr/bin/shop
";

fn dump(target: &str, taken: f64) -> NewDump {
    NewDump {
        target: target.into(),
        pid: 42,
        taken: WallTime(taken),
        source: SourceKind::Recorder,
        inuse_space: Bytes::from_mib(20),
        lost_samples: 3,
        used: Some(Bytes::from_mib(100)),
        verdict: Kind::HeapLeak,
        growth: Some(BytesPerSecond(1024.0)),
        incident: Some("shop-7".into()),
        ramp: "shop-7".into(),
        build_id: Some("00ff".into()),
        modules: vec![Module { path: "/usr/bin/shop".into(), build_id: Some("00ff".into()) }],
        reason: "leak".into(),
        ..NewDump::default()
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
fn of_a_ramp_what_is_evenly_between_is_kept() {
    let (dir, store) = fresh();
    for taken in 1..=5 {
        store.put(&dump("a", f64::from(taken)), b"12345").expect("stored");
    }
    assert_eq!(ids(&store.list(None)), ["a-1-1", "a-3-3", "a-5-5"]);
    assert_eq!(files(dir.path()).len(), 6, "nothing is left of the others");
}

#[test]
fn an_old_ramp_makes_room_for_a_new_one() {
    let (dir, store) = fresh();
    for (ramp, taken) in [("1", 1.0), ("1", 2.0), ("1", 3.0), ("2", 4.0), ("2", 5.0)] {
        store.put(&NewDump { ramp: ramp.into(), ..dump("a", taken) }, b"1").expect("stored");
    }
    assert_eq!(ids(&store.list(None)), ["a-3-3", "a-4-4", "a-5-5"]);
    assert_eq!(open(dir.path()).list(None), store.list(None));
}

#[test]
fn the_total_size_is_kept() {
    let (_dir, store) = fresh();
    for (target, taken) in [("a", 0.0), ("b", 0.0), ("a", 1.0), ("a", 4.0), ("b", 5.0)] {
        store.put(&dump(target, taken), &[b'x'; 250]).expect("stored");
    }
    assert_eq!(ids(&store.list(None)), ["a-0-1", "b-0-2", "a-4-4", "b-5-5"]);
    assert_eq!(store.usage(), Usage { dumps: 4, bytes: Bytes(1000) });
}

#[test]
fn one_target_leaves_room_for_the_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let bounds = StoreBounds { bytes_per_target: Bytes(500), ..BOUNDS };
    let store = DumpStore::open(dir.path().to_owned(), bounds).expect("a store");
    for (target, taken) in [("a", 1.0), ("b", 2.0), ("a", 3.0), ("a", 4.0)] {
        store.put(&dump(target, taken), &[b'x'; 250]).expect("stored");
    }
    assert_eq!(ids(&store.list(None)), ["a-1-1", "b-2-2", "a-4-4"]);
    let error = store.put(&dump("a", 5.0), &[b'x'; 501]).expect_err("too large for a target");
    assert!(matches!(error, StoreError::TooLarge { most: Bytes(500), .. }), "{error}");
}

#[test]
fn age_is_kept_by_sweeping() {
    let dir = tempfile::tempdir().expect("a directory");
    let bounds = StoreBounds { max_age: Some(Duration::from_secs(3600)), ..BOUNDS };
    let store = DumpStore::open(dir.path().to_owned(), bounds).expect("a store");
    for (target, taken) in [("a", 0.0), ("a", 1000.0), ("b", 10.0)] {
        store.put(&dump(target, taken), b"1").expect("stored");
    }
    assert_eq!(store.sweep(WallTime(3600.0)), 0);
    assert_eq!(store.sweep(WallTime(3601.0)), 1);
    assert_eq!(store.sweep(WallTime(1e9)), 0, "the newest of a target has no age");
    assert_eq!(ids(&store.list(None)), ["a-1000-2", "b-10-3"]);
    assert_eq!(files(dir.path()).len(), 4);
}

#[test]
fn narrower_bounds_are_kept_after_a_sweep() {
    let (dir, store) = fresh();
    for taken in [1.0, 2.0, 3.0] {
        store.put(&dump("a", taken), b"1").expect("stored");
    }
    let bounds = StoreBounds { count_per_target: 2, ..BOUNDS };
    let store = DumpStore::open(dir.path().to_owned(), bounds).expect("a store");
    assert_eq!(store.sweep(WallTime(4.0)), 1);
    assert_eq!(ids(&store.list(None)), ["a-1-1", "a-3-3"]);
}

#[test]
fn dumps_that_somebody_removed_are_forgotten() {
    let (dir, store) = fresh();
    let lost = store.put(&dump("a", 1.0), b"1").expect("stored");
    let kept = store.put(&dump("a", 2.0), b"2").expect("stored");
    fs::remove_file(dir.path().join("a-1-1.heap")).expect("removed");
    assert_eq!(store.path(&lost.id), None);
    assert_eq!(store.sweep(WallTime(3.0)), 1);
    assert_eq!(store.list(None), [kept]);
    assert_eq!(files(dir.path()).len(), 2, "its description went as well");
}

#[test]
fn a_dump_is_found_by_its_id() {
    let (_dir, store) = fresh();
    let meta = store.put(&dump("a", 1.0), b"1").expect("stored");
    assert_eq!(store.find("a-1-1"), Some(meta));
    for id in ["a-1-2", "", "../a-1-1", "A-1-1"] {
        assert_eq!(store.find(id), None, "{id}");
    }
}

#[test]
fn a_dump_of_either_format_is_read_back() {
    let (dir, store) = fresh();
    let text = decode(DUMP.to_vec(), WallTime(7.0), 1 << 20).expect("a profile");
    let mut proto = Vec::new();
    pprof::write(&text.profile, &Symbols::default(), &mut proto).expect("written");

    let stored = store.put(&dump("a", 7.0), DUMP).expect("stored");
    let loaded = store.load(&stored.id).expect("a profile");
    assert_eq!(loaded.meta, stored);
    assert_eq!(loaded.profile.stacks, text.profile.stacks);
    assert_eq!(loaded.profile.taken, WallTime(7.0));
    assert_eq!(loaded.profile.lost_samples, 3, "jemalloc's text cannot say it");
    assert_eq!(loaded.profile.mappings[0].build_id.as_deref(), Some("00ff"));

    let new = NewDump { encoding: Encoding::Pprof, source: SourceKind::Go, ..dump("a", 8.0) };
    let stored = store.put(&new, &proto).expect("stored");
    assert_eq!(store.path(&stored.id), Some(dir.path().join("a-8-2.pb.gz")));
    let store = open(dir.path());
    let loaded = store.load(&stored.id).expect("a profile");
    assert_eq!(loaded.meta, stored);
    assert_eq!(loaded.profile.inuse_space(), text.profile.inuse_space());
    assert_eq!(loaded.profile.taken, WallTime(8.0));
}

#[test]
fn a_dump_that_cannot_be_read_back_says_why() {
    let (dir, store) = fresh();
    let error = store.load("../secret\n").expect_err("unknown");
    assert!(matches!(error, LoadError::Unknown { .. }), "{error}");
    assert!(!error.to_string().contains('\n'), "{error}");

    let meta = store.put(&dump("a", 1.0), DUMP).expect("stored");
    let path = dir.path().join("a-1-1.heap");
    for (content, expected) in [
        (&b"cut"[..], "instead of"),
        (&[b'x'; 10_000], "instead of"),
        (&[b'x'; DUMP.len()], "is no heap profile"),
    ] {
        fs::write(&path, content).expect("written");
        let error = store.load(&meta.id).expect_err(expected).to_string();
        assert!(error.contains(expected) && error.contains("a-1-1.heap"), "{error}");
    }
    fs::remove_file(&path).expect("removed");
    let error = store.load(&meta.id).expect_err("no file");
    assert!(matches!(error, LoadError::Io { .. }), "{error}");
}

#[test]
fn a_description_without_the_later_fields_is_read() {
    let (dir, _) = fresh();
    let json = r#"{"id": "a-5-1", "target": "a", "pid": 42, "taken": 5.5, "bytes": 4, "inuse_space": 20,
        "used": null, "limit": 100, "verdict": "heap-leak", "reason": "suspect"}"#;
    fs::write(dir.path().join("a-5-1.json"), json).expect("written");
    fs::write(dir.path().join("a-5-1.heap"), "dump").expect("written");
    let store = open(dir.path());
    let meta = store.find("a-5-1").expect("a dump");
    assert_eq!((meta.encoding, meta.source), (Encoding::JemallocText, SourceKind::Probe));
    assert_eq!((meta.lost_samples, meta.growth, meta.incident), (0, None, None));
    assert!(meta.ramp.is_empty() && meta.build_id.is_none() && meta.modules.is_empty());
    assert!(store.path("a-5-1").is_some());
}

#[test]
fn the_longest_description_there_can_be_is_read_again() {
    let (dir, store) = fresh();
    let long = || "\u{1}".repeat(1000);
    let module = Module { path: "\u{1}".repeat(256), build_id: Some("f".repeat(128)) };
    let new = NewDump {
        target: "\u{1}".repeat(256),
        incident: Some(long()),
        ramp: long(),
        build_id: Some("f".repeat(128)),
        modules: vec![module; 1000],
        reason: long(),
        ..dump("a", 1e15)
    };
    let meta = store.put(&new, b"1").expect("stored");
    assert_eq!(meta.modules.len(), 64);
    assert_eq!(open(dir.path()).list(None), [meta]);
}

#[test]
fn of_too_many_dumps_the_newest_are_taken() {
    let dir = tempfile::tempdir().expect("a directory");
    for n in 1..=1003 {
        let json = format!(
            r#"{{"id": "a-5-{n}", "target": "a", "pid": 42, "taken": 5.5, "bytes": 1, "inuse_space": 20,
            "used": null, "limit": null, "verdict": "steady", "reason": ""}}"#
        );
        fs::write(dir.path().join(format!("a-5-{n}.json")), json).expect("written");
        fs::write(dir.path().join(format!("a-5-{n}.heap")), "1").expect("written");
    }
    let store = open(dir.path());
    let dumps = store.list(None);
    assert_eq!((dumps.len(), dumps[0].id.as_str()), (1000, "a-5-4"));
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

/// Not a test: the body of the program that the test below starts, in which no file may exceed 8 KiB.
#[test]
#[ignore = "started by another test"]
fn stores_where_large_files_do_not_fit() {
    let dir = PathBuf::from(env::var_os("STORE").expect("a directory"));
    let bounds = StoreBounds {
        bytes_per_target: Bytes::from_mib(1),
        total_bytes: Bytes::from_mib(1),
        ..BOUNDS
    };
    let store = DumpStore::open(dir.clone(), bounds).expect("a store");
    let kept = store.put(&dump("a", 1.0), &[b'x'; 4096]).expect("stored");
    let error = store.put(&dump("a", 2.0), &[b'x'; 65_536]).expect_err("it does not fit");
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert_eq!(store.list(None), std::slice::from_ref(&kept));
    assert_eq!(files(&dir), ["a-1-1.heap", "a-1-1.json"]);
    let next = store.put(&dump("a", 3.0), &[b'y'; 4096]).expect("a smaller one fits");
    assert_eq!(open(&dir).list(None), [kept, next]);
    println!("\nSTORED");
}

#[test]
fn a_dump_that_ends_in_the_middle_for_want_of_room_is_the_only_one_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    // The limit is in blocks of 512 bytes; without the signal a write beyond it is short and then fails.
    let script = "ulimit -f 16 && trap '' XFSZ && exec \"$0\" --ignored --exact --nocapture \
                  stores_where_large_files_do_not_fit";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(env::current_exe().expect("a program"))
        .env("STORE", dir.path())
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("STORED"), "{said}\n{errors}");
}
