//! Joining the sources of one target.

use watchdog_collect::collector::{Collector, CollectorOptions};
use watchdog_collect::confine::Confined;
use watchdog_collect::limit::LimitSource;
use watchdog_core::incident::Ending;
use watchdog_core::sample::Sample;
use watchdog_core::units::{Bytes, Moment, WallTime};

use crate::confine::{name, start};
use crate::tree::Tree;

fn options(tree: &Tree) -> CollectorOptions {
    CollectorOptions {
        proc_root: tree.proc_root(),
        pid: 7,
        limit_override: None,
        downward_limit: Some(Bytes(99)),
    }
}

/// A process in a v2 cgroup with a limit of 4 MiB.
fn shop() -> Tree {
    let tree = Tree::new();
    tree.process(7, 90_000, "shop");
    tree.mounts(&["41 31 0:38 / {} rw - cgroup2 cgroup2 rw"]);
    tree.write("proc/7/cgroup", "0::/app\n");
    tree.v2("sys/app", "2000", "4194304", 0);
    tree
}

fn sample(collector: &mut Collector, at: f64) -> Sample {
    collector.sample(Moment(at), WallTime(at)).expect("a sample")
}

#[test]
fn a_sample_joins_process_cgroup_and_limit() {
    let tree = shop();
    let mut collector = Collector::attach(options(&tree)).expect("attached");
    assert_eq!((collector.pid(), collector.start_ticks()), (7, 90_000));
    assert_eq!(collector.comm().expect("a name"), "shop");
    let sample = sample(&mut collector, 5.0);
    assert_eq!(sample.memory.anon, Bytes::from_kib(1024));
    assert_eq!(sample.cgroup.expect("a cgroup").usage, Bytes(2000));
    assert_eq!(sample.limit, Some(Bytes::from_mib(4)));
    assert_eq!(sample.allocator, None);
    assert!((sample.age - 100.0).abs() < 1e-6);
    assert_eq!(collector.limit_source(), Some(LimitSource::Cgroup));
}

#[test]
fn neighbours_in_a_cgroup_without_a_limit_do_not_count() {
    let tree = shop();
    tree.v2("sys/app", "900000000", "max", 0);
    let options = CollectorOptions { limit_override: Some(Bytes::from_mib(2)), ..options(&tree) };
    let mut collector = Collector::attach(options).expect("attached");
    let sample = sample(&mut collector, 1.0);
    assert_eq!(sample.cgroup, None);
    assert_eq!(sample.used(), sample.memory.unreclaimable());
}

#[test]
fn the_limit_given_by_the_user_overrides_the_cgroup() {
    let tree = shop();
    let options = CollectorOptions { limit_override: Some(Bytes(5)), ..options(&tree) };
    let mut collector = Collector::attach(options).expect("attached");
    assert_eq!(collector.limit_source(), Some(LimitSource::Explicit));
    assert_eq!(sample(&mut collector, 1.0).limit, Some(Bytes(5)));
}

#[test]
fn without_a_cgroup_the_downward_api_gives_the_limit_and_the_reason_is_kept() {
    let tree = Tree::new();
    tree.process(7, 1, "shop");
    tree.write("proc/7/cgroup", "0::/../hidden\n");
    let mut collector = Collector::attach(options(&tree)).expect("attached");
    let sample = sample(&mut collector, 1.0);
    assert_eq!((sample.cgroup, sample.limit), (None, Some(Bytes(99))));
    assert_eq!(collector.limit_source(), Some(LimitSource::DownwardApi));
    assert!(collector.cgroup_problem().expect("a reason").to_string().contains("process 7"));
}

#[test]
fn a_cgroup_that_fails_is_a_gap_that_is_counted_while_the_limit_stays() {
    let tree = shop();
    let mut collector = Collector::attach(options(&tree)).expect("attached");
    tree.write("sys/app/memory.current", "garbage");
    let gap = sample(&mut collector, 1.0);
    assert_eq!((gap.cgroup, gap.limit), (None, Some(Bytes::from_mib(4))));
    assert_eq!(collector.cgroup_failures(), 1);
    tree.v2("sys/app", "2001", "4194304", 0);
    let back = sample(&mut collector, 2.0);
    assert_eq!(back.cgroup.expect("back").usage, Bytes(2001));
    assert_eq!(collector.cgroup_failures(), 1);
}

#[test]
fn a_limit_that_is_changed_is_followed() {
    let tree = shop();
    let mut collector = Collector::attach(options(&tree)).expect("attached");
    sample(&mut collector, 1.0);
    assert!(collector.cgroup_took().is_some(), "its reading is measured");
    tree.v2("sys/app", "2000", "8388608", 0);
    assert_eq!(sample(&mut collector, 2.0).limit, Some(Bytes::from_mib(8)));
}

#[test]
fn a_process_that_goes_without_a_kill_ended_otherwise() {
    let tree = shop();
    let mut collector = Collector::attach(options(&tree)).expect("attached");
    sample(&mut collector, 1.0);
    tree.remove("proc/7");
    let error = collector.sample(Moment(2.0), WallTime(2.0)).expect_err("gone");
    assert!(error.is_vanished());
    let words = "memory.events oom_kill stayed at 0 in /app; last seen 1.2 MiB of 4.0 MiB";
    assert_eq!(collector.ending(), Ending::Other(words.into()));
}

#[test]
fn a_kill_of_a_neighbour_that_the_process_outlived_is_not_its_own() {
    let tree = shop();
    let mut collector = Collector::attach(options(&tree)).expect("attached");
    sample(&mut collector, 1.0);
    tree.v2("sys/app", "2000", "4194304", 1);
    sample(&mut collector, 2.0);
    sample(&mut collector, 60.0);
    tree.remove("proc/7");
    assert!(matches!(collector.ending(), Ending::Other(_)));
}

#[test]
fn a_death_close_to_the_limit_is_probably_a_kill_where_nothing_counts() {
    let tree = shop();
    tree.remove("sys/app");
    tree.status(7, 3400, 0);
    let downward_limit = Some(Bytes::from_mib(4));
    let options = CollectorOptions { downward_limit, ..options(&tree) };
    let mut collector = Collector::attach(options).expect("attached");
    sample(&mut collector, 1.0);
    tree.remove("proc/7");
    let Ending::OomKilled(words) = collector.ending() else { panic!("taken for another ending") };
    assert!(words.starts_with("probably") && words.contains("4.1 MiB of 4.0 MiB"), "{words}");
}

#[test]
fn a_real_kill_is_seen_from_first_sample_to_evidence() {
    let mut confined =
        Confined::create(&name("collector"), Bytes::from_mib(32)).expect("this test needs root");
    // The shell waits for a line, so the collector is there before the memory is eaten.
    let mut child = std::process::Command::new("sh")
        .args(["-c", "read line; exec tail /dev/zero"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("sh starts");
    confined.enter(child.id()).expect("entered");
    let mut collector = Collector::attach(CollectorOptions {
        proc_root: "/proc".into(),
        pid: child.id(),
        limit_override: None,
        downward_limit: None,
    })
    .expect("attached");
    assert_eq!(sample(&mut collector, 0.0).limit, Some(Bytes::from_mib(32)));
    drop(child.stdin.take());
    let started = std::time::Instant::now();
    let error = loop {
        let at = started.elapsed().as_secs_f64();
        match collector.sample(Moment(at), WallTime(at)) {
            Ok(_) => assert!(at < 30.0, "it is not killed"),
            Err(error) => break error,
        }
        std::thread::yield_now();
    };
    assert!(error.is_vanished(), "{error}");
    let Ending::OomKilled(words) = collector.ending() else { panic!("no kill was seen") };
    assert!(words.contains("oom_kill went from 0 to 1 in /"), "{words}");
    assert!(words.contains("of 32.0 MiB"), "{words}");
    child.wait().expect("reaped");
    confined.remove().expect("removed");
}

#[test]
fn a_real_neighbours_kill_leaves_the_target_watched() {
    let mut confined =
        Confined::create(&name("neighbour"), Bytes::from_mib(32)).expect("this test needs root");
    let mut target = start(&confined, "exec sleep 60");
    // The kernel picks the larger one, which is not the target.
    confined.enter(target.id()).expect("entered");
    let mut collector = Collector::attach(CollectorOptions {
        proc_root: "/proc".into(),
        pid: target.id(),
        limit_override: None,
        downward_limit: None,
    })
    .expect("attached");
    start(&confined, "exec tail /dev/zero").wait().expect("killed");
    let seen = sample(&mut collector, 1.0);
    assert_eq!(seen.cgroup.expect("a cgroup").oom_kills, 1);
    sample(&mut collector, 100.0);
    target.kill().expect("killed");
    target.wait().expect("reaped");
    let error = collector.sample(Moment(101.0), WallTime(101.0)).expect_err("gone");
    assert!(error.is_vanished());
    assert!(matches!(collector.ending(), Ending::Other(_)));
    confined.remove().expect("removed");
}
