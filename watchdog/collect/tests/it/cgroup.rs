//! Finding and reading the memory cgroup of a process.

use watchdog_collect::CollectError;
use watchdog_collect::cgroup::{CgroupReader, CgroupReading, Version};
use watchdog_core::sample::Cgroup;
use watchdog_core::units::Bytes;

use crate::tree::{NO_LIMIT_V1, Tree};

const V1_MOUNT: &str = "35 31 0:32 / {}/memory rw,relatime - cgroup cgroup rw,memory";
const V2_MOUNT: &str = "41 31 0:38 / {} rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate";

fn find(tree: &Tree) -> Result<CgroupReader, CollectError> {
    CgroupReader::find(&tree.proc_root(), 7)
}

fn reading(usage: u64, unreclaimable: u64, oom_kills: u64, limit: Option<u64>) -> CgroupReading {
    let cgroup = Cgroup { usage: Bytes(usage), unreclaimable: Bytes(unreclaimable), oom_kills };
    CgroupReading { cgroup, limit: limit.map(Bytes) }
}

#[test]
fn v1_counts_children_and_takes_the_smallest_limit_above() {
    let tree = Tree::new();
    tree.mounts(&[V1_MOUNT]);
    tree.write("proc/7/cgroup", "5:cpu:/elsewhere\n4:memory:/pod/app\n");
    tree.v1("sys/memory", "9", NO_LIMIT_V1, 0);
    tree.v1("sys/memory/pod", "9", "6000\n", 0);
    tree.v1("sys/memory/pod/app", "1234\n", "9000\n", 2);
    let mut reader = find(&tree).expect("found");
    assert_eq!((reader.version(), reader.path().to_str()), (Version::V1, Some("/pod/app")));
    assert_eq!(reader.read().expect("read"), reading(1234, 723, 2, Some(6000)));
    tree.v1("sys/memory/pod", "9", NO_LIMIT_V1, 0);
    tree.v1("sys/memory/pod/app", "1235\n", NO_LIMIT_V1, 3);
    assert_eq!(reader.read().expect("read again"), reading(1235, 723, 3, None));
}

#[test]
fn v1_knows_the_limits_of_ancestors_out_of_sight() {
    let tree = Tree::new();
    tree.mounts(&["35 31 0:32 /docker/x {}/memory rw - cgroup cgroup rw,memory"]);
    tree.write("proc/7/cgroup", "4:memory:/docker/x\n");
    tree.v1("sys/memory", "1", NO_LIMIT_V1, 0);
    tree.write("sys/memory/memory.stat", "rss 10\nhierarchical_memory_limit 5000\n");
    assert_eq!(find(&tree).expect("found").read().expect("read"), reading(1, 10, 0, Some(5000)));
}

#[test]
fn v2_adds_swap_and_takes_the_smallest_limit_above() {
    let tree = Tree::new();
    tree.mounts(&[V2_MOUNT]);
    tree.write("proc/7/cgroup", "0::/pod/app\n");
    tree.write("sys/cgroup.controllers", "memory\n");
    tree.v2("sys/pod", "9", "4096\n", 0);
    tree.v2("sys/pod/app", "2000\n", "max\n", 1);
    let mut reader = find(&tree).expect("found");
    assert_eq!(reader.version(), Version::V2);
    assert_eq!(reader.read().expect("read"), reading(2000, 845, 1, Some(4096)));
    assert_eq!(reader.oom_kills().expect("kills"), 1);
}

#[test]
fn v2_without_swap_and_without_a_limit_is_read_too() {
    let tree = Tree::new();
    tree.mounts(&[V2_MOUNT]);
    tree.write("proc/7/cgroup", "0::/app\n");
    tree.v2("sys/app", "2000\n", "max\n", 0);
    std::fs::remove_file(tree.path("sys/app/memory.swap.current")).expect("removed");
    assert_eq!(find(&tree).expect("found").read().expect("read"), reading(2000, 840, 0, None));
}

#[test]
fn v2_charges_the_nearest_cgroup_with_the_controller_on() {
    let tree = Tree::new();
    tree.mounts(&[V2_MOUNT]);
    tree.write("proc/7/cgroup", "0::/user/session/scope\n");
    tree.write("sys/user/session/scope/cgroup.procs", "7\n");
    tree.v2("sys/user", "77\n", "100\n", 0);
    let mut reader = find(&tree).expect("found");
    assert_eq!(reader.path().to_str(), Some("/user"));
    assert_eq!(reader.read().expect("read"), reading(77, 845, 0, Some(100)));
}

#[test]
fn on_a_hybrid_machine_the_memory_is_where_v1_says() {
    let tree = Tree::new();
    tree.mounts(&[
        "31 1 0:28 / {} rw - tmpfs tmpfs rw,mode=755",
        "41 31 0:38 / {}/unified rw - cgroup2 cgroup2 rw",
        V1_MOUNT,
    ]);
    tree.write("proc/7/cgroup", "4:memory:/app\n1:name=systemd:/x\n0::/other\n");
    tree.v1("sys/memory/app", "11", "5000", 0);
    tree.v2("sys/unified/other", "99", "1", 0);
    assert_eq!(find(&tree).expect("found").read().expect("read"), reading(11, 723, 0, Some(5000)));
}

#[test]
fn a_cgroup_of_another_container_is_read_through_the_root_of_its_process() {
    let tree = Tree::new();
    tree.mounts(&[V2_MOUNT]);
    tree.v2("sys", "1", "1", 0);
    tree.write("proc/7/cgroup", "0::/../cri-app\n");
    let mount = "99 98 0:38 /../cri-app /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    tree.write("proc/7/mountinfo", mount);
    tree.v2("proc/7/root/sys/fs/cgroup", "321", "640", 4);
    let mut reader = find(&tree).expect("found");
    assert_eq!(reader.read().expect("read"), reading(321, 845, 4, Some(640)));
}

#[test]
fn a_v1_cgroup_of_another_container_is_read_through_the_root_of_its_process() {
    let tree = Tree::new();
    tree.mounts(&["35 31 0:32 /docker/us {}/memory rw - cgroup cgroup rw,memory"]);
    tree.v1("sys/memory", "1", "1", 0);
    tree.write("proc/7/cgroup", "4:memory:/docker/app\n");
    let mount = "99 98 0:32 /docker/app /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    tree.write("proc/7/mountinfo", mount);
    tree.v1("proc/7/root/sys/fs/cgroup/memory", "12", "640", 4);
    assert_eq!(find(&tree).expect("found").read().expect("read"), reading(12, 723, 4, Some(640)));
}

#[test]
fn the_sub_cgroup_of_another_container_is_found_below_its_mount() {
    let tree = Tree::new();
    tree.mounts(&[V2_MOUNT]);
    tree.write("proc/7/cgroup", "0::/../cri-app/worker\n");
    let mount = "99 98 0:38 /../cri-app /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    tree.write("proc/7/mountinfo", mount);
    tree.v2("proc/7/root/sys/fs/cgroup", "321", "640", 4);
    tree.v2("proc/7/root/sys/fs/cgroup/worker", "21", "max", 0);
    assert_eq!(find(&tree).expect("found").read().expect("read"), reading(21, 845, 0, Some(640)));
}

#[test]
fn a_cgroup_out_of_reach_says_so_and_how_to_go_on() {
    let tree = Tree::new();
    tree.mounts(&[V2_MOUNT]);
    tree.write("proc/7/cgroup", "0::/../cri-app\n");
    let error = find(&tree).expect_err("out of reach").to_string();
    assert!(error.contains("process 7") && error.contains("--limit"), "{error}");
    assert!(error.contains("proc/7/mountinfo"), "{error}");
}

#[test]
fn a_removed_cgroup_is_not_mistaken_for_its_parent() {
    let tree = Tree::new();
    tree.mounts(&[V2_MOUNT]);
    tree.v2("sys/pod", "9", "4096", 0);
    tree.write("proc/7/cgroup", "0::/pod/app (deleted)\n");
    let error = find(&tree).expect_err("removed");
    assert!(matches!(error, CollectError::NoCgroup { pid: 7, .. }), "{error}");
}

#[test]
fn the_root_of_v2_has_nothing_to_read() {
    let tree = Tree::new();
    tree.mounts(&[V2_MOUNT]);
    tree.write("sys/cgroup.controllers", "memory\n");
    tree.write("proc/7/cgroup", "0::/\n");
    tree.write("proc/7/mountinfo", "24 1 0:5 / /proc rw - proc proc rw\n");
    let error = find(&tree).expect_err("nothing there").to_string();
    assert!(error.contains("memory.current"), "{error}");
}

#[test]
fn malformed_files_are_named_by_path_line_and_item() {
    let tree = Tree::new();
    tree.mounts(&[V2_MOUNT]);
    tree.write("proc/7/cgroup", "0::/app\n");
    tree.v2("sys/app", "2000\n", "max\n", 0);
    let mut reader = find(&tree).expect("found");
    for (file, text, expected) in [
        ("memory.current", "many\n", "memory.current line 1: usage cannot be `many`"),
        ("memory.current", "-1\n", "memory.current line 1: usage cannot be `-1`"),
        ("memory.max", "", "memory.max line 1: limit cannot be ``"),
        ("memory.stat", "anon 1\nshmem x\n", "memory.stat line 2: shmem cannot be `x`"),
        ("memory.stat", "anon 1\n", "memory.stat has no `shmem`; Linux 4.13 or newer writes it"),
        (
            "memory.events",
            "oom 4\n",
            "memory.events has no `oom_kill`; Linux 4.13 or newer writes it",
        ),
    ] {
        tree.v2("sys/app", "2000\n", "max\n", 0);
        tree.write(&format!("sys/app/{file}"), text);
        let error = reader.read().expect_err(text).to_string();
        assert!(error.ends_with(expected), "{error}");
    }
    for (text, expected) in [
        ("0::app\n", "proc/7/cgroup line 1: path cannot be `0::app`"),
        ("1:cpu:/\nx:memory:/\n", "proc/7/cgroup line 2: hierarchy cannot be `x`"),
        ("1\n", "proc/7/cgroup line 1: controllers cannot be `1`"),
    ] {
        tree.write("proc/7/cgroup", text);
        let error = find(&tree).expect_err(text).to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn a_pid_that_nobody_has_is_vanished() {
    let tree = Tree::new();
    tree.mounts(&[V2_MOUNT]);
    assert!(find(&tree).expect_err("nobody").is_vanished());
}

#[test]
fn our_own_real_cgroup_is_found_where_there_is_one() {
    let mut reader = CgroupReader::find("/proc".as_ref(), std::process::id()).expect("a cgroup");
    let reading = reader.read().expect("read");
    assert!(reading.cgroup.usage > Bytes(0), "{reading:?}");
}
