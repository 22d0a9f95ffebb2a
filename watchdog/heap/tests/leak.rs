//! The whole way with a real jemalloc: a program leaks and ends, and its last dump names the function.

#![cfg(test)]

use std::env;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use tikv_jemallocator::Jemalloc;
use watchdog_core::culprit::NotYet;
use watchdog_core::culprit::growth::Digest;
use watchdog_core::profile::Profile;
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::capture::DumpFiles;
use watchdog_heap::culprit;
use watchdog_heap::symbolize::Symbolizer;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

static SESSIONS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

const SESSION: usize = 16 << 10;
const COUNT: usize = 2048;

#[inline(never)]
fn remembers_sessions() {
    for _ in 0..COUNT {
        SESSIONS.lock().expect("unpoisoned").push(black_box(vec![1; SESSION]));
    }
}

/// Not a test: the body of the program that the test below starts.
#[test]
#[ignore = "started by another test"]
fn leak_and_end() {
    remembers_sessions();
    println!("\nLEAKED");
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn the_leaking_function_is_named_from_the_dump_of_a_program_that_ended() {
    let dir = tempfile::tempdir().expect("a directory");
    let prefix = dir.path().join("dump");
    let mut child = Command::new(env::current_exe().expect("a program"))
        .args(["--ignored", "--exact", "--nocapture", "leak_and_end"])
        // A dump for each 8 MiB that are allocated, and the last when the program ends.
        .env(
            "_RJEM_MALLOC_CONF",
            format!(
                "prof:true,lg_prof_sample:16,lg_prof_interval:23,prof_final:true,prof_prefix:{}",
                prefix.display()
            ),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let child_id = child.id();
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line == "LEAKED")));
    let symbolizer = Symbolizer::attach(Path::new("/proc"), child_id).expect("attached");
    let files = DumpFiles::new(prefix).expect("a prefix");
    let find = |after| files.newest(child_id, after).expect("no error");
    let (sequence, before) = find(None).expect("a dump at an interval");
    assert!(find(Some(sequence)).is_none(), "nothing is allocated any more");
    drop(child.stdin.take());
    // Its output is read to the end, or it could not finish.
    lines.for_each(drop);
    assert!(child.wait().expect("ended").success());

    let (_, captured) = find(Some(sequence)).expect("the last dump");
    // It is at most 8 MiB short of the 32 MiB, and the sampling off by a fifth.
    assert!(before.profile.inuse_space() > Bytes::from_mib(16), "{:?}", before.profile);
    assert!(captured.profile.taken >= before.profile.taken);
    let last = Profile { taken: WallTime(60.0), ..captured.profile };
    assert_eq!(last.sample_period, Bytes(65_536));

    let mut half = last.clone();
    half.taken = WallTime(30.0);
    for stack in &mut half.stacks {
        stack.inuse_space = Bytes(stack.inuse_space.0 / 2);
        stack.samples /= 2;
    }
    let (none, half) = (Digest::of(&Profile::default()), Digest::of(&half));
    let name = |earlier: &[&Digest]| {
        culprit::name(earlier, &last, |mappings, addresses| {
            symbolizer.symbols(mappings, addresses.iter().copied())
        })
    };
    let culprits = name(&[&none, &half]).expect("a culprit");
    let culprit = &culprits[0];
    assert_eq!(culprit.frame.function, "leak::remembers_sessions", "{culprit:#?}");
    assert!(culprit.frame.file.as_deref().is_some_and(|file| file.ends_with("tests/leak.rs")));
    // One in 4.52 is sampled, which makes 453 samples; four standard deviations of that are 17 %.
    let error = culprit.growth.as_f64() / (SESSION * COUNT) as f64 - 1.0;
    assert!(error.abs() < 0.2, "{} is {error:+.3} off", culprit.growth);
    assert!(culprit.share > 0.9, "{}", culprit.share);
    let same = Digest::of(&last);
    assert_eq!(name(&[&same, &same]), Err(NotYet::NothingGrew));
}
