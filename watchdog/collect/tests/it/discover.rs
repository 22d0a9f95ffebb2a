//! Finding the processes to watch.

use watchdog_collect::discover::{Found, by_name, top_of_containers};

use crate::tree::Tree;

fn pids(found: &[Found]) -> Vec<u32> {
    found.iter().map(|found| found.pid).collect()
}

#[test]
fn a_process_is_known_by_command_binary_or_first_argument_oldest_first() {
    let tree = Tree::new();
    tree.process(30, 500, "shop");
    tree.process(31, 100, "main");
    tree.link("proc/31/exe", "/opt/shop (deleted)");
    tree.process(32, 300, "python3");
    tree.write("proc/32/cmdline", "/srv/shop\0--verbose\0");
    tree.process(33, 200, "shopper");
    tree.write("proc/33/cmdline", "/srv/shopper\0shop\0");
    tree.write("proc/sys/kernel/x", "not a process");
    let found = by_name(&tree.proc_root(), "shop").expect("read");
    assert_eq!(pids(&found), [31, 32, 30]);
    assert_eq!(found[0].name, "shop");
    assert_eq!(found[0].start_ticks, 100);
}

#[test]
fn a_long_name_is_known_though_the_kernel_cuts_it() {
    let tree = Tree::new();
    tree.process(1, 1, "recommendations");
    tree.write("proc/1/cmdline", "/bin/sh\0./recommendations-of-today\0");
    tree.process(2, 2, "recommendations");
    tree.write("proc/2/cmdline", "/srv/recommendations-of-yesterday\0");
    tree.process(3, 3, "recommendations");
    tree.link("proc/3/exe", "/srv/recommendations-of-today");
    let root = tree.proc_root();
    assert_eq!(pids(&by_name(&root, "recommendations-of-today").expect("read")), [1, 3]);
    assert_eq!(pids(&by_name(&root, "recommendations").expect("read")), [1, 2, 3]);
}

#[test]
fn zombies_and_broken_entries_are_left_out() {
    let tree = Tree::new();
    tree.process(1, 1, "shop");
    tree.write("proc/2/stat", "2 (shop) Z 1 1 1 0 -1 64 1 2 3 4 1 1 0 0 20 0 1 0 4 0 0\n");
    tree.write("proc/3/stat", "nonsense");
    tree.write("proc/4/comm", "shop\n");
    assert_eq!(pids(&by_name(&tree.proc_root(), "shop").expect("read")), [1]);
}

#[test]
fn nothing_found_is_an_empty_list_and_no_root_an_error() {
    let tree = Tree::new();
    assert_eq!(by_name(&tree.proc_root(), "shop").expect("read"), []);
    let error = by_name(&tree.path("nowhere"), "shop").expect_err("no root").to_string();
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn of_each_container_the_oldest_process_is_taken_but_not_ours_and_not_pause() {
    let tree = Tree::new();
    for (pid, start, comm, cgroup) in [
        (1, 10, "pause", "0::/../pause\n"),
        (9, 40, "oomen", "0::/\n"),
        (10, 41, "helper", "0::/\n"),
        (20, 35, "app-worker", "0::/../app\n"),
        (21, 30, "app", "0::/../app\n"),
        (22, 30, "app", "0::/../app\n"),
        (30, 20, "proxy", "4:memory:/../proxy\n0::/\n"),
    ] {
        tree.process(pid, start, comm);
        tree.write(&format!("proc/{pid}/cgroup"), cgroup);
    }
    let found = top_of_containers(&tree.proc_root(), 9).expect("read");
    assert_eq!(pids(&found), [30, 21]);
    assert_eq!(found[1].cgroup, "/../app");
}

#[test]
fn this_test_finds_itself() {
    let own = std::env::current_exe().expect("a path");
    let name = own.file_name().and_then(|name| name.to_str()).expect("a name");
    let found = by_name("/proc".as_ref(), name).expect("read");
    assert!(pids(&found).contains(&std::process::id()), "{found:?}");
}
