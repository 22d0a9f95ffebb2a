//! Side by side with Debian's jeprof, on dumps of a real jemalloc: every address must hold the same bytes and objects.

#![cfg(test)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use tikv_jemallocator::Jemalloc;
use watchdog_core::profile::Profile;
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::jemalloc::{ParseLimits, parse, write};
use watchdog_heap::pprof::{ReadLimits, read, write as write_pprof};
use watchdog_heap::symbols::Symbols;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

#[inline(never)]
fn keeps(count: usize, size: usize) {
    for _ in 0..count {
        KEPT.lock().expect("unpoisoned").push(black_box(vec![1; size]));
    }
}

#[inline(never)]
fn calls_deeper(depth: usize, count: usize, size: usize) {
    match depth {
        0 => keeps(count, size),
        _ => calls_deeper(black_box(depth - 1), count, size),
    }
    black_box(depth);
}

#[inline(never)]
fn forgets(count: usize) {
    for _ in 0..count {
        drop(black_box(vec![1_u8; 3000]));
    }
}

/// Not a test: the body of the program that the tests below start.
#[test]
#[ignore = "started by another test"]
fn allocate_and_end() {
    for depth in 0..20 {
        calls_deeper(depth, 300, 64 << (depth % 8));
    }
    forgets(20_000);
}

/// The last dump of that program, with counts of everything ever allocated.
fn dump(dir: &Path) -> Vec<u8> {
    let prefix = dir.join("dump");
    let status = Command::new(env::current_exe().expect("a program"))
        .args(["--ignored", "--exact", "allocate_and_end"])
        .env(
            "_RJEM_MALLOC_CONF",
            format!(
                "prof:true,lg_prof_sample:12,prof_accum:true,prof_final:true,prof_prefix:{}",
                prefix.display()
            ),
        )
        .output()
        .expect("started")
        .status;
    assert!(status.success());
    let file = fs::read_dir(dir).expect("a directory").next().expect("a dump").expect("a file");
    fs::read(file.path()).expect("read")
}

fn parsed(text: &[u8]) -> Profile {
    parse(text, WallTime(1.0), &ParseLimits::default()).expect("a profile")
}

/// Flat and cumulative figures per address as `jeprof --text --addresses` prints them.
fn jeprof(dir: &Path, dump: &[u8], figure: &str) -> BTreeMap<u64, (f64, f64)> {
    let path = dir.join("given.heap");
    fs::write(&path, dump).expect("written");
    // Without the program's names no frame is taken for uninteresting and left out.
    let empty = dir.join("program");
    fs::write(&empty, "").expect("written");
    let output = Command::new("jeprof")
        .args(["--text", "--addresses", "--show_bytes", "--nodefraction=0", figure])
        .args([&empty, &path])
        .output()
        .expect("jeprof runs: apt-get install libjemalloc-dev binutils");
    let text = String::from_utf8_lossy(&output.stdout);
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [flat, _, _, cumulative, _, address, ..] = words.as_slice() else { return None };
        let address = u64::from_str_radix(address, 16).ok()?;
        Some((address, (flat.parse().ok()?, cumulative.parse().ok()?)))
    };
    let rows: BTreeMap<_, _> = text.lines().filter_map(row).collect();
    assert!(rows.len() > 20, "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    rows
}

/// The same from a profile. jeprof leaves the innermost address of a stack as it is and takes one off the others.
fn ours(profile: &Profile, figure: impl Fn(usize) -> u64) -> BTreeMap<u64, (f64, f64)> {
    let mut rows: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for (at, sample) in profile.stacks.iter().enumerate() {
        let value = figure(at) as f64;
        let mut fixed: Vec<u64> = sample.stack.iter().map(|address| address - 1).collect();
        if let Some((first, innermost)) = fixed.first_mut().zip(sample.stack.first()) {
            *first = *innermost;
            rows.entry(*first).or_default().0 += value;
        }
        fixed.sort_unstable();
        fixed.dedup();
        for address in fixed {
            rows.entry(address).or_default().1 += value;
        }
    }
    rows
}

fn compare(theirs: &BTreeMap<u64, (f64, f64)>, ours: &BTreeMap<u64, (f64, f64)>, stacks: usize) {
    // jeprof adds up fractions and cuts them off, here each stack is rounded.
    let rounding = 1.0 + stacks as f64 / 2.0;
    for (address, (flat, cumulative)) in theirs {
        let (our_flat, our_cumulative) = ours.get(address).copied().unwrap_or_default();
        assert!((flat - our_flat).abs() <= rounding, "{address:#x}: {flat} {our_flat}");
        let apart = (cumulative - our_cumulative).abs();
        assert!(apart <= rounding, "{address:#x}: {cumulative} {our_cumulative}");
    }
}

#[test]
fn every_figure_is_jeprofs_and_survives_being_written() {
    let dir = tempfile::tempdir().expect("a directory");
    let raw = dump(&dir.path().join("."));
    let profile = parsed(&raw);
    let stacks = &profile.stacks;
    assert!(stacks.len() > 20 && stacks.iter().any(|sample| sample.inuse_space == Bytes(0)));
    let mut again = Vec::new();
    write(&profile, &mut again).expect("written");
    type Figure<'a> = (&'a str, Box<dyn Fn(usize) -> u64 + 'a>);
    let figures: [Figure<'_>; 4] = [
        ("--inuse_space", Box::new(|at| stacks[at].inuse_space.0)),
        ("--inuse_objects", Box::new(|at| stacks[at].inuse_objects)),
        ("--alloc_space", Box::new(|at| stacks[at].alloc_space.0)),
        ("--alloc_objects", Box::new(|at| stacks[at].alloc_objects)),
    ];
    for (figure, value) in figures {
        let ours = ours(&profile, value);
        compare(&jeprof(dir.path(), &raw, figure), &ours, stacks.len());
        compare(&jeprof(dir.path(), &again, figure), &ours, stacks.len());
    }
}

#[test]
fn jemallocs_text_to_pprof_and_back_keeps_every_byte() {
    let dir = tempfile::tempdir().expect("a directory");
    let profile = parsed(&dump(dir.path()));
    let mut pprof = Vec::new();
    write_pprof(&profile, &Symbols::default(), &mut pprof).expect("written");
    let through_pprof = read(&pprof, &ReadLimits::default()).expect("read").profile;
    let mut text = Vec::new();
    write(&through_pprof, &mut text).expect("written");
    let back = parsed(&text);
    assert_eq!(back.mappings, profile.mappings);
    assert_eq!(back.stacks.len(), profile.stacks.len());
    for (was, is) in profile.stacks.iter().zip(&back.stacks) {
        assert_eq!((&is.stack, is.inuse_space), (&was.stack, was.inuse_space));
        assert_eq!(is.alloc_space, was.alloc_space);
        assert!(is.inuse_objects.abs_diff(was.inuse_objects) <= 1, "{is:?} {was:?}");
    }
}
