//! Names of this very program: while it runs, and of a copy of it that was killed and deleted.

#![cfg(test)]

use std::env;
use std::fs;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use watchdog_core::culprit::growth::Digest;
use watchdog_core::profile::{Frame, Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::culprit;
use watchdog_heap::jemalloc::{ParseLimits, parse};
use watchdog_heap::symbolize::{SymbolCache, SymbolizeError, Symbolizer};

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
    let symbolizer = Symbolizer::attach(Path::new(PROC), std::process::id()).expect("attached");
    let mappings = symbolizer.mappings().expect("mappings");
    (symbolizer, mappings)
}

/// The frames of one stack.
fn resolve(symbolizer: &Symbolizer, mappings: &[Mapping], stack: &[u64]) -> Vec<Frame> {
    let symbols = symbolizer.symbols(mappings, stack.iter().copied());
    stack.iter().flat_map(|address| symbols.frames(*address)).cloned().collect()
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
    let frames = resolve(&symbolizer, &mappings, &[entry() + 1]);
    let outermost = frames.last().expect("a frame");
    assert!(is_here(outermost, "keeps_sessions"), "{frames:?}");
    assert_eq!(outermost.function, "symbolize::keeps_sessions", "a whole path without a hash");
}

#[test]
fn an_inlined_call_is_a_frame_of_its_own_inside_its_caller() {
    let (symbolizer, mappings) = own();
    let addresses: Vec<u64> = (1..64).map(|offset| entry() + offset).collect();
    let symbols = symbolizer.symbols(&mappings, addresses.iter().copied());
    let mut resolved = addresses.iter().map(|address| symbols.frames(*address));
    let inlined = resolved.find(|frames| frames.len() > 1).expect("an inlined call");
    let caller = inlined.last().expect("a frame");
    assert!(is_here(caller, "keeps_sessions"), "{inlined:?}");
    assert!(inlined.iter().any(|frame| is_here(frame, "inlined_helper")), "{inlined:?}");
}

#[test]
fn a_stack_keeps_its_order_and_names_every_address() {
    let (symbolizer, mappings) = own();
    let libc = mappings.iter().find(|m| m.path.contains("libc.so")).expect("a C library");
    let stack = [0x10, entry() + 1, libc.start + 1];
    let frames = resolve(&symbolizer, &mappings, &stack);
    assert_eq!(frames[0].function, "unmapped+0x10", "{frames:?}");
    assert!(frames.iter().any(|frame| is_here(frame, "keeps_sessions")));
    assert!(frames.len() >= stack.len(), "{frames:?}");
    assert!(resolve(&symbolizer, &mappings, &[]).is_empty());
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
    // One after the other: a child that is forked while another copy is being written holds that file open until it has
    // become its own program, and a file that is open for writing cannot be started.
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let copy = dir.join("shop service");
    fs::copy(env::current_exe().expect("a program"), &copy).expect("copied");
    let mut child = Command::new(&copy)
        .args(["--ignored", "--exact", "--nocapture", "stand_still"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    drop(turn);
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
    let frames = resolve(&symbolizer, &mappings, &[entry + 1, libc.start + 0x1001]);
    assert!(frames.iter().any(|frame| is_here(frame, "keeps_sessions")), "{frames:?}");
    let library = frames.last().expect("a frame");
    let offset = libc.file_offset + 0x1000;
    assert_eq!(library.function, format!("libc.so.6+0x{offset:x}"), "its file went with it");
    assert!(matches!(Symbolizer::attach(Path::new(PROC), pid), Err(SymbolizeError::Gone { .. })));
}

#[test]
fn libraries_seen_while_the_program_lived_have_names_after_it_was_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (child, _, entry) = start_copy(dir.path());
    let symbolizer = Symbolizer::attach(Path::new(PROC), child.id()).expect("attached");
    let mappings = symbolizer.mappings().expect("mappings");
    assert!(mappings.iter().all(|mapping| mapping.build_id.is_some()), "{mappings:?}");
    assert_eq!(symbolizer.mappings().expect("mappings"), mappings, "nothing changed");
    kill(child);

    let libc = mappings.iter().find(|m| m.path.contains("libc.so")).expect("a C library");
    let addresses: Vec<u64> = (libc.start..libc.end).step_by(4096).map(|at| at + 1).collect();
    let symbols = symbolizer.symbols(&mappings, addresses.iter().copied().chain([entry + 1]));
    let named = addresses.iter().flat_map(|address| symbols.frames(*address));
    let named = named.filter(|frame| !frame.function.contains("+0x")).count();
    assert!(named > addresses.len() / 4, "{named} of {}", addresses.len());
    assert!(symbols.frames(entry + 1).iter().any(|frame| is_here(frame, "keeps_sessions")));
    assert!(matches!(symbolizer.mappings(), Err(SymbolizeError::Gone { .. })));
}

#[test]
fn names_are_kept_by_build_id_and_found_without_the_process() {
    let dir = tempfile::tempdir().expect("a directory");
    let cache = Arc::new(SymbolCache::open(dir.path().join("symbols")).expect("a cache"));
    let (symbolizer, mappings) = own();
    let symbolizer = symbolizer.with_cache(Arc::clone(&cache));
    let here = symbolizer.symbols(&mappings, [entry() + 1]);
    let exe = mappings.iter().find(|m| m.start <= entry() && entry() < m.end).expect("own code");
    assert_eq!(exe.build_id.as_deref(), symbolizer.build_id());

    // Elsewhere, where there is no such file: the addresses are others, the build is the same.
    let moved = Mapping {
        start: 0x10_0000,
        end: 0x10_0000 + exe.end - exe.start,
        path: "/opt/shop/nowhere".into(),
        ..exe.clone()
    };
    let at = entry() + 1 - exe.start + moved.start;
    let offline = Symbolizer::offline(Some(cache), Vec::new());
    let there = offline.symbols(std::slice::from_ref(&moved), [at, at + 0x1000]);
    assert_eq!(there.frames(at), here.frames(entry() + 1));
    assert!(there.frames(at + 0x1000)[0].function.starts_with("nowhere+0x"), "never asked for");
    assert_eq!(offline.missing().len(), 1, "{:?}", offline.missing());

    let other = Mapping { build_id: Some("00ff00ff00ff00ff".into()), ..moved };
    assert!(offline.symbols(&[other], [at]).frames(at)[0].function.starts_with("nowhere+0x"));
    assert!(matches!(offline.mappings(), Err(SymbolizeError::Offline)));
}

#[test]
fn another_build_at_the_path_of_a_profile_is_not_believed() {
    let (_, mappings) = own();
    let exe = mappings.iter().find(|m| m.start <= entry() && entry() < m.end).expect("own code");
    let offline = Symbolizer::offline(None, Vec::new());
    let name = |build_id: Option<&str>| {
        let mapping = Mapping { build_id: build_id.map(str::to_owned), ..exe.clone() };
        resolve(&offline, &[mapping], &[entry() + 1]).pop().expect("a frame")
    };
    assert!(is_here(&name(exe.build_id.as_deref()), "keeps_sessions"));
    assert!(is_here(&name(None), "keeps_sessions"));
    assert!(name(Some("00ff00ff00ff00ff")).function.contains("+0x"));
    let missing = offline.missing().concat();
    assert!(missing.contains("another build is at its path"), "{missing}");
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
    let frames = resolve(&symbolizer, &mappings, &[entry + 1]);
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
    let frames = resolve(&symbolizer, &[code], &[0x1a01]);
    kill(child);
    assert!(!symbolizer.has_symbols());
    assert!(symbolizer.missing().concat().contains("it is stripped"), "{:?}", symbolizer.missing());
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
        let frames = resolve(&symbolizer, &[mapping], &[0x8_0001]);
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
