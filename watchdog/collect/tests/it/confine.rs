//! Confining a command, on a real kernel that kills and on small trees.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};

use watchdog_collect::cgroup::CgroupReader;
use watchdog_collect::confine::{ConfineError, Confined};
use watchdog_core::units::Bytes;

use crate::tree::Tree;

const LIMIT: Bytes = Bytes::from_mib(32);
const SIGKILL: i32 = 9;

pub(crate) fn name(test: &str) -> String {
    format!("collect-{test}-{}", std::process::id())
}

/// Runs a shell command inside, after the shell itself has entered.
pub(crate) fn start(confined: &Confined, command: &str) -> Child {
    let script = format!("echo $$ > '{}' && {command}", confined.procs_file().display());
    Command::new("sh").arg("-c").arg(script).spawn().expect("sh starts")
}

#[test]
fn what_exceeds_the_limit_is_killed_counted_and_cleaned_up() {
    let mut confined = Confined::create(&name("kill"), LIMIT).expect("this test needs root");
    assert_eq!(confined.oom_kills().expect("a counter"), 0);
    let mut child = start(&confined, "exec tail /dev/zero");
    let status = child.wait().expect("waited");
    assert_eq!(status.signal(), Some(SIGKILL));
    assert_eq!(confined.oom_kills().expect("a counter"), 1);
    let directory = confined.procs_file().parent().expect("a directory").to_path_buf();
    confined.remove().expect("removed");
    assert!(!directory.exists());
}

#[test]
fn a_cgroup_in_use_is_neither_removed_nor_taken_over() {
    let mut confined = Confined::create(&name("busy"), LIMIT).expect("this test needs root");
    let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
    confined.enter(child.id()).expect("entered");
    assert!(matches!(confined.remove(), Err(ConfineError::NotEmpty(_))));
    let again = Confined::create(&name("busy"), LIMIT).expect_err("in use");
    assert!(matches!(again, ConfineError::InUse(_)), "{again}");
    child.kill().expect("killed");
    child.wait().expect("reaped");
    confined.remove().expect("removed");
}

#[test]
fn a_cgroup_left_behind_empty_is_made_anew_and_goes_when_dropped() {
    let first = Confined::create(&name("left"), LIMIT).expect("this test needs root");
    let directory = first.procs_file().parent().expect("a directory").to_path_buf();
    std::mem::forget(first);
    drop(Confined::create(&name("left"), LIMIT).expect("made anew"));
    assert!(!directory.exists());
}

#[test]
fn the_reader_sees_the_limit_and_after_removal_an_error_instead_of_zeros() {
    let mut confined = Confined::create(&name("reader"), LIMIT).expect("this test needs root");
    let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
    confined.enter(child.id()).expect("entered");
    let mut reader = CgroupReader::find("/proc".as_ref(), child.id()).expect("found");
    assert_eq!(reader.read().expect("read").limit, Some(LIMIT));
    child.kill().expect("killed");
    child.wait().expect("reaped");
    assert_eq!(reader.oom_kills().expect("readable after death"), 0);
    confined.remove().expect("removed");
    assert!(reader.read().is_err());
    assert!(reader.oom_kills().is_err());
}

#[test]
fn a_process_that_is_gone_cannot_enter() {
    let confined = Confined::create(&name("gone"), LIMIT).expect("this test needs root");
    let mut child = Command::new("true").spawn().expect("true starts");
    child.wait().expect("reaped");
    let error = confined.enter(child.id()).expect_err("gone").to_string();
    assert!(error.contains("cgroup.procs"), "{error}");
}

fn create(tree: &Tree, name: &str) -> Result<Confined, ConfineError> {
    Confined::create_under(&tree.path("sys"), &tree.proc_root(), name, LIMIT)
}

#[test]
fn on_v2_the_controller_is_handed_on_step_by_step() {
    let tree = Tree::new();
    tree.write("sys/cgroup.controllers", "cpu memory\n");
    tree.write("sys/cgroup.subtree_control", "cpu\n");
    let confined = create(&tree, "run-1").expect("created");
    let read = |path: &str| std::fs::read_to_string(tree.path(path)).expect("written");
    assert_eq!(read("sys/cgroup.subtree_control"), "+memory");
    assert_eq!(read("sys/oomen/cgroup.subtree_control"), "+memory");
    assert_eq!(read("sys/oomen/run-1/memory.max"), LIMIT.0.to_string());
    confined.enter(7).expect("entered");
    assert_eq!(read("sys/oomen/run-1/cgroup.procs"), "7");
    tree.write("sys/oomen/run-1/memory.events", "oom 4\noom_kill 3\n");
    assert_eq!(confined.oom_kills().expect("a counter"), 3);
}

#[test]
fn where_the_root_of_v2_is_out_of_bounds_the_place_beside_ours_is_taken() {
    let tree = Tree::new();
    tree.write("sys/cgroup.controllers", "cpu memory\n");
    // A directory cannot be written to, not even by root.
    tree.write("sys/cgroup.subtree_control/x", "");
    tree.write("sys/user/app/cgroup.subtree_control", "memory pids\n");
    tree.write(&format!("proc/{}/cgroup", std::process::id()), "0::/user/app/shell\n");
    let confined = create(&tree, "run-1").expect("created");
    assert_eq!(confined.procs_file(), tree.path("sys/user/app/oomen/run-1/cgroup.procs"));
}

#[test]
fn a_refusal_names_the_step_and_the_file() {
    let tree = Tree::new();
    tree.write("sys/cgroup.controllers", "cpu memory\n");
    tree.write("sys/cgroup.subtree_control/x", "");
    let error = create(&tree, "run-1").expect_err("refused").to_string();
    assert!(error.contains("cannot write") && error.contains("cgroup.subtree_control"), "{error}");
}

#[test]
fn a_machine_without_a_memory_controller_is_told_so() {
    let tree = Tree::new();
    tree.write("sys/cgroup.controllers", "cpu hugetlb\n");
    let error = create(&tree, "run-1").expect_err("no controller");
    assert!(matches!(error, ConfineError::NoController(_)), "{error}");
}

#[test]
fn bad_names_and_limits_are_refused() {
    let tree = Tree::new();
    for name in ["", ".", "..", "../x", "a/b", "-x", ".x", "a b", "é", &"x".repeat(65)] {
        let error = create(&tree, name).expect_err(name);
        assert!(matches!(error, ConfineError::BadName(_)), "{name}: {error}");
    }
    let sys = tree.path("sys");
    let error = Confined::create_under(&sys, &tree.proc_root(), "x", Bytes(4096));
    assert!(error.expect_err("small").to_string().contains("1.0 MiB"));
}
