//! Names of this very program: while it runs, and of a copy of it that was killed and deleted.

#![cfg(test)]

use std::env;
use std::fs;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use watchdog_core::culprit::growth::Digest;
use watchdog_core::profile::{Frame, Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::culprit;
use watchdog_heap::jemalloc::{ParseLimits, parse};
use watchdog_heap::symbolize::{SymbolizeError, Symbolizer};

const PROC: &str = "/proc";

#[inline(never)]
fn keeps_sessions(seed: u64) -> u64 {
    black_box(inlined_helper(seed)).wrapping_mul(31)
}

#[inline(always)]
fn inlined_helper(seed: u64) -> u64 {
    let mut value = black_box(seed);
    for round in 0..black_box(3) {
        value = value.rotate_left(7) ^ black_box(round);
    }
    value
}

fn entry() -> u64 {
    keeps_sessions as fn(u64) -> u64 as usize as u64
}

/// The mappings of a process, read the way they are read out of a dump.
fn mappings(pid: u32) -> Vec<Mapping> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("maps");
    let dump = format!("heap_v2/1\nMAPPED_LIBRARIES:\n{maps}");
    parse(dump.as_bytes(), WallTime(0.0), &ParseLimits::default()).expect("a profile").mappings
}

fn own() -> (Symbolizer, Vec<Mapping>) {
    let pid = std::process::id();
    (Symbolizer::attach(Path::new(PROC), pid).expect("attached"), mappings(pid))
}

fn is_here(frame: &Frame, function: &str) -> bool {
    frame.function.rsplit("::").next() == Some(function)
        && frame.file.as_deref().is_some_and(|file| file.ends_with("tests/symbolize.rs"))
        && frame.line.is_some_and(|line| (20..40).contains(&line))
}

#[test]
fn a_function_has_its_name_file_and_line() {
    let (symbolizer, mappings) = own();
    assert!(symbolizer.has_symbols());
    // One past the entry: a return address is looked up at the byte before it.
    let frames = symbolizer.resolve(&mappings, &[entry() + 1]);
    let outermost = frames.last().expect("a frame");
    assert!(is_here(outermost, "keeps_sessions"), "{frames:?}");
    assert_eq!(outermost.function, "symbolize::keeps_sessions", "a whole path without a hash");
}

#[test]
fn an_inlined_call_is_a_frame_of_its_own_inside_its_caller() {
    let (symbolizer, mappings) = own();
    let addresses: Vec<u64> = (1..64).map(|offset| entry() + offset).collect();
    let stacks: Vec<&[u64]> = addresses.chunks(1).collect();
    let resolved = symbolizer.resolve_all(&mappings, &stacks);
    let inlined = resolved.iter().find(|frames| frames.len() > 1).expect("an inlined call");
    let caller = inlined.last().expect("a frame");
    assert!(is_here(caller, "keeps_sessions"), "{inlined:?}");
    assert!(inlined.iter().any(|frame| is_here(frame, "inlined_helper")), "{inlined:?}");
}

#[test]
fn a_stack_keeps_its_order_and_names_every_address() {
    let (symbolizer, mappings) = own();
    let libc = mappings.iter().find(|m| m.path.contains("libc.so")).expect("a C library");
    let stack = [0x10, entry() + 1, libc.start + 1];
    let frames = symbolizer.resolve(&mappings, &stack);
    assert_eq!(frames[0].function, "unmapped+0x10", "{frames:?}");
    assert!(frames.iter().any(|frame| is_here(frame, "keeps_sessions")));
    assert!(frames.len() >= stack.len(), "{frames:?}");
    assert!(symbolizer.resolve(&mappings, &[]).is_empty());
}

#[test]
fn the_culprit_is_named_from_raw_addresses() {
    let (symbolizer, mappings) = own();
    let profile = |taken, mib| Profile {
        taken: WallTime(taken),
        stacks: vec![StackSample {
            stack: vec![entry() + 1],
            inuse_space: Bytes::from_mib(mib),
            inuse_objects: mib,
            samples: mib * 2,
            ..StackSample::default()
        }],
        mappings: mappings.clone(),
        sample_period: Bytes(512 << 10),
        lost_samples: 0,
    };
    let earlier = [Digest::of(&profile(0.0, 1)), Digest::of(&profile(30.0, 20))];
    let earlier: Vec<&Digest> = earlier.iter().collect();
    let names = |mappings: &[Mapping], addresses: &[u64]| {
        symbolizer.symbols(mappings, addresses.iter().copied())
    };
    let culprits = culprit::name(&earlier, &profile(60.0, 41), names).expect("named");
    let culprit = &culprits[0];
    assert!(culprit.stack.iter().any(|frame| is_here(frame, "keeps_sessions")), "{culprit:?}");
    assert_eq!(culprit.growth, Bytes::from_mib(40));
}

/// Not a test: the body of the program that the tests below start and kill.
#[test]
#[ignore = "started by other tests"]
fn stand_still() {
    println!("\nENTRY {}", entry());
    black_box(keeps_sessions(1));
    // Until the parent kills this program or ends itself.
    std::io::stdin().lines().for_each(drop);
}

/// Starts a copy of this program and waits until it says where its function is.
fn start_copy(dir: &Path) -> (Child, PathBuf, u64) {
    let copy = dir.join("shop service");
    fs::copy(env::current_exe().expect("a program"), &copy).expect("copied");
    let mut child = Command::new(&copy)
        .args(["--ignored", "--exact", "--nocapture", "stand_still"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let entry = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("ENTRY ").and_then(|entry| entry.parse().ok()))
        .expect("the copy says where its function is");
    (child, copy, entry)
}

fn kill(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

#[test]
fn a_killed_program_whose_file_is_gone_still_has_its_names() {
    let dir = tempfile::tempdir().expect("a directory");
    let (child, copy, entry) = start_copy(dir.path());
    let pid = child.id();
    let symbolizer = Symbolizer::attach(Path::new(PROC), pid).expect("attached");
    let mappings = mappings(pid);
    kill(child);
    fs::remove_file(&copy).expect("removed");

    let libc = mappings.iter().find(|m| m.path.contains("libc.so")).expect("a C library");
    let frames = symbolizer.resolve(&mappings, &[entry + 1, libc.start + 0x1001]);
    assert!(frames.iter().any(|frame| is_here(frame, "keeps_sessions")), "{frames:?}");
    let library = frames.last().expect("a frame");
    let offset = libc.file_offset + 0x1000;
    assert_eq!(library.function, format!("libc.so.6+0x{offset:x}"), "its file went with it");
    assert!(matches!(Symbolizer::attach(Path::new(PROC), pid), Err(SymbolizeError::Gone { .. })));
}

#[test]
fn a_program_replaced_while_it_runs_has_the_names_of_what_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let (child, copy, entry) = start_copy(dir.path());
    fs::remove_file(&copy).expect("removed");
    fs::write(&copy, "a new version").expect("written");
    // Attached and mapped after the replacement: the kernel marks the path as deleted.
    let symbolizer = Symbolizer::attach(Path::new(PROC), child.id()).expect("attached");
    let mappings = mappings(child.id());
    assert!(mappings.iter().any(|mapping| mapping.path.ends_with("service (deleted)")));
    let frames = symbolizer.resolve(&mappings, &[entry + 1]);
    kill(child);
    assert!(frames.iter().any(|frame| is_here(frame, "keeps_sessions")), "{frames:?}");
}

#[test]
fn a_stripped_binary_says_so_and_gives_offsets() {
    let child = Command::new("sleep").arg("1000").spawn().expect("started");
    let symbolizer = Symbolizer::attach(Path::new(PROC), child.id()).expect("attached");
    let code = Mapping {
        start: 0x1000,
        end: 0x9000,
        file_offset: 0x2000,
        path: fs::read_link(format!("/proc/{}/exe", child.id()))
            .expect("a link")
            .to_string_lossy()
            .into_owned(),
        build_id: None,
    };
    let module = code.path.rsplit('/').next().expect("a name").to_owned();
    let frames = symbolizer.resolve(&[code], &[0x1a01]);
    kill(child);
    assert!(!symbolizer.has_symbols());
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].function, format!("{module}+0x2a00"));
    assert_eq!((&frames[0].file, frames[0].line), (&None, None));
}

#[test]
fn mappings_that_lead_elsewhere_give_offsets() {
    let (symbolizer, _) = own();
    let elsewhere = env::current_exe().expect("a program");
    for path in [
        format!("/proc/..{}", elsewhere.display()),
        "/dev/zero".to_owned(),
        "/etc/passwd".to_owned(),
        "/usr/lib/nothing.so".to_owned(),
        "/usr/bin/env (deleted)".to_owned(),
        "relative".to_owned(),
    ] {
        let mapping = Mapping {
            start: 0,
            end: 0x10_0000,
            file_offset: 0,
            path: path.clone(),
            build_id: None,
        };
        let frames = symbolizer.resolve(&[mapping], &[0x8_0001]);
        assert!(frames[0].function.ends_with("+0x80000"), "{path}: {frames:?}");
    }
}

#[test]
fn a_process_that_is_not_there_is_gone() {
    let fake = tempfile::tempdir().expect("a directory");
    let error = Symbolizer::attach(fake.path(), 7).expect_err("nothing there");
    assert!(matches!(error, SymbolizeError::Gone { pid: 7 }), "{error}");
    // A kernel thread has a directory and no binary.
    fs::create_dir(fake.path().join("8")).expect("made");
    let error = Symbolizer::attach(fake.path(), 8).expect_err("no binary");
    assert!(matches!(error, SymbolizeError::Gone { pid: 8 }), "{error}");
}
