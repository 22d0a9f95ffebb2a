//! Reading one process.

use std::process::{Command, Stdio};

use watchdog_collect::CollectError;
use watchdog_collect::process::{ProcessReader, SelfReader};
use watchdog_core::sample::Memory;
use watchdog_core::units::Bytes;

use crate::tree::Tree;

fn attach(tree: &Tree, pid: u32) -> Result<ProcessReader, CollectError> {
    ProcessReader::attach(&tree.proc_root(), pid)
}

#[test]
fn memory_name_binary_and_age_are_read() {
    let tree = Tree::new();
    tree.process(7, 90_000, "a (b) c");
    tree.link("proc/7/exe", "/usr/bin/shop (deleted)");
    let mut reader = attach(&tree, 7).expect("attached");
    let memory = Memory {
        rss: Bytes::from_kib(3072),
        anon: Bytes::from_kib(1024),
        file: Bytes::from_kib(1536),
        shmem: Bytes::from_kib(512),
        swap: Bytes::from_kib(256),
    };
    assert_eq!(reader.read().expect("memory"), memory);
    assert_eq!((reader.pid(), reader.start_ticks()), (7, 90_000));
    assert_eq!(reader.comm().expect("a name"), "a (b) c");
    assert_eq!(reader.exe().expect("a binary").to_str(), Some("/usr/bin/shop"));
    assert!((reader.age().expect("an age") - 100.0).abs() < 1e-6);
}

#[test]
fn a_pid_that_nobody_has_is_vanished() {
    assert!(attach(&Tree::new(), 7).expect_err("nobody").is_vanished());
}

#[test]
fn a_process_that_vanishes_between_two_reads_is_vanished() {
    let tree = Tree::new();
    tree.process(7, 1, "shop");
    let mut reader = attach(&tree, 7).expect("attached");
    reader.read().expect("still there");
    tree.remove("proc/7");
    assert!(reader.read().expect_err("gone").is_vanished());
}

#[test]
fn a_pid_given_to_another_process_is_vanished() {
    let tree = Tree::new();
    tree.process(7, 1, "shop");
    let mut replaced = attach(&tree, 7).expect("attached");
    let mut rewritten = attach(&tree, 7).expect("attached");
    tree.process(7, 2, "shop");
    assert!(rewritten.read().expect_err("another start").is_vanished());
    tree.remove("proc/7");
    tree.process(7, 1, "shop");
    assert!(replaced.read().expect_err("another directory").is_vanished());
}

#[test]
fn a_process_without_memory_is_vanished() {
    let tree = Tree::new();
    tree.process(7, 1, "shop");
    let mut reader = attach(&tree, 7).expect("attached");
    tree.write("proc/7/status", "Name:\tshop\nState:\tZ (zombie)\nThreads:\t1\n");
    assert!(reader.read().expect_err("a zombie").is_vanished());
}

#[test]
fn a_malformed_line_is_named() {
    let tree = Tree::new();
    tree.process(7, 1, "shop");
    let mut reader = attach(&tree, 7).expect("attached");
    tree.write("proc/7/status", "Name:\tshop\nVmRSS:\t  much kB\n");
    let error = reader.read().expect_err("malformed").to_string();
    assert!(error.ends_with("proc/7/status line 2: VmRSS cannot be `much`"), "{error}");
    tree.write("proc/7/status", "VmRSS:\t  12 kB\n");
    let error = reader.read().expect_err("incomplete").to_string();
    assert!(error.contains("proc/7/status has no `RssAnon`"), "{error}");
}

#[test]
fn a_name_that_is_not_utf8_does_no_harm() {
    let tree = Tree::new();
    tree.process(7, 1, "shop");
    let mut status = b"Name:\t\xff\xfe\n".to_vec();
    status.extend(std::fs::read(tree.path("proc/7/status")).expect("written"));
    std::fs::write(tree.path("proc/7/status"), status).expect("written");
    let memory = attach(&tree, 7).expect("attached").read().expect("memory");
    assert_eq!(memory.anon, Bytes::from_kib(1024));
}

#[test]
fn a_file_without_end_is_refused() {
    let tree = Tree::new();
    tree.process(7, 1, "shop");
    let mut reader = attach(&tree, 7).expect("attached");
    tree.write("proc/7/status", &"x".repeat(1 << 20));
    let error = reader.read().expect_err("too large").to_string();
    assert!(error.contains("proc/7/status") && error.contains("too large"), "{error}");
}

#[test]
fn the_real_kernel_agrees() {
    let mut reader = ProcessReader::attach("/proc".as_ref(), std::process::id()).expect("attached");
    let memory = reader.read().expect("memory");
    assert!(memory.rss > Bytes::from_kib(500), "{memory:?}");
    assert_eq!(memory.rss, memory.anon + memory.file + memory.shmem);
    assert_eq!(reader.exe().expect("a binary"), std::env::current_exe().expect("a path"));
    assert!(reader.age().expect("an age") < 3600.0);
}

#[test]
fn a_real_process_that_was_killed_is_vanished_as_a_zombie_and_after() {
    let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().expect("sleep");
    let mut reader = ProcessReader::attach("/proc".as_ref(), child.id()).expect("attached");
    reader.read().expect("alive");
    child.kill().expect("killed");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let error = loop {
        match reader.read() {
            Ok(_) => assert!(std::time::Instant::now() < deadline, "it does not die"),
            Err(error) => break error,
        }
        std::thread::yield_now();
    };
    assert!(error.is_vanished(), "{error}");
    child.wait().expect("reaped");
    assert!(reader.read().expect_err("reaped").is_vanished());
    assert!(reader.exe().expect_err("reaped").is_vanished());
}

#[test]
fn a_kernel_thread_is_no_process_with_memory() {
    // 2 is kthreadd where the pid namespace is the machine's.
    let tree = Tree::new();
    tree.process(2, 0, "kthreadd");
    tree.write("proc/2/status", "Name:\tkthreadd\nState:\tS (sleeping)\nKthread:\t1\n");
    assert!(attach(&tree, 2).expect("attached").read().expect_err("no memory").is_vanished());
}

#[test]
fn the_watchdog_knows_what_it_costs_itself() {
    let tree = Tree::new();
    tree.process(42, 1, "oomen");
    tree.link("proc/self", "42");
    let usage = SelfReader::attach(&tree.proc_root()).expect("attached").read().expect("usage");
    assert_eq!(usage.rss, Bytes::from_kib(3072));
    assert!((usage.cpu_seconds - 2.0).abs() < 1e-9, "{usage:?}");
    assert_eq!((usage.open_fds, usage.max_fds), (None, None), "a gap, not a zero");
    let real = SelfReader::attach("/proc".as_ref()).expect("attached").read().expect("usage");
    assert!(real.rss > Bytes::from_kib(500), "{real:?}");
    assert!(real.threads >= 1 && real.virtual_memory > real.rss, "{real:?}");
    // Standard input, output and error, and the directory that it holds; other tests open files meanwhile.
    assert!(real.open_fds.is_some_and(|open| (4..1000).contains(&open)), "{real:?}");
    assert!(real.max_fds.is_none_or(|most| most >= 64), "{real:?}");
}
