//! A program that says `install!` and nothing else is recorded from before its `main` on.

use std::process::Command;

use oomen_recorder::{Geometry, Keeper};

oomen_probe::install!();

#[inline(never)]
fn held_until_the_end() -> Vec<u8> {
    std::hint::black_box(Vec::with_capacity(64 << 20))
}

/// Not a test of its own: what the process does that the test below starts.
#[test]
fn as_a_child() {
    std::mem::forget(held_until_the_end());
}

#[test]
fn a_program_that_only_installs_the_allocator_is_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(directory.path(), Geometry::default(), 1).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "as_a_child"])
        .env("OOMEN_RECORDER_DIR", directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let claimed = keeper.claimed().unwrap();
    assert_eq!(claimed.len(), 1);
    let snapshot = claimed[0].open().unwrap().snapshot().unwrap();
    let largest = snapshot.stacks.iter().max_by_key(|stack| stack.inuse_bytes).unwrap();
    assert_eq!(largest.inuse_samples, 1);
    // A gap of jemalloc's size class, an eighth at most.
    assert!((64 << 20..72 << 20).contains(&largest.inuse_bytes), "{largest:?}");
    assert!(!snapshot.frames(largest).is_empty());
}
