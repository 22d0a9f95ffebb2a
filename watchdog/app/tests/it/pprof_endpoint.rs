//! Go's own tool and jeprof, pointed at the watchdog as people do it.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{
    CULPRIT, Exhibit, GoTop, Program, Service, Shop, Watchdog, get, get_bytes, go_top, http,
};

/// Bytes a second.
const RATE: u64 = 20_000_000;
/// jeprof starts `addr2line` and reads all debug information.
const JEPROF: Duration = Duration::from_secs(90);

/// A service that leaks, and how its profiles are taken.
struct Leaking {
    shop: Shop,
    service: Service,
    watchdog: Watchdog,
}

impl Leaking {
    async fn start() -> Self {
        let shop = Shop::new();
        let service = shop.start().await;
        let flags = [format!("--pid={}", service.pid()), format!("--probe={}", service.admin)];
        let watchdog = Watchdog::start(&flags.each_ref().map(String::as_str)).await;
        watchdog.has_baseline(&shop.name).await;
        service.leak(RATE).await;
        let leaking = Self { shop, service, watchdog };
        leaking.holds(40e6).await;
        leaking
    }

    async fn holds(&self, bytes: f64) {
        let allocated =
            format!("oomen_target_allocator_allocated_bytes{{target=\"{}\"}}", self.shop.name);
        self.watchdog.metric_fits(&allocated, |allocated| allocated > bytes).await;
    }

    /// No more is leaked from now on, so that two looks see the same.
    async fn settle(&self) {
        self.service.leak(0).await;
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.watchdog.url)
    }

    fn below_target(&self) -> String {
        self.url(&format!("/t/{}/debug/pprof/heap", self.shop.name))
    }

    /// Stores a dump now.
    async fn store(&self) -> Value {
        let url = self.url(&format!("/api/v1/targets/{}/heap-dumps", self.shop.name));
        let answer = http().post(url).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 201, "{answer:?}");
        serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
    }
}

/// The function of the leak has nearly all of what Go's table adds up to.
fn assert_names_the_leak(top: &GoTop) {
    let (total, below) = (top.total(), top.cumulative(CULPRIT));
    assert!(total > 30_000_000, "{total} bytes: {top:?}");
    assert!(below * 10 > total * 8, "{below} of {total}: {top:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gos_tool_reads_the_heap_of_a_target_at_every_address_of_it() {
    let leaking = Leaking::start().await;
    leaking.settle().await;
    for path in [
        &format!("/t/{}/debug/pprof/heap", leaking.shop.name),
        &format!("/t/{}/debug/pprof/allocs", leaking.shop.name),
        &format!("/debug/pprof/heap?target={}", leaking.shop.name),
        // There is only one.
        "/debug/pprof/heap",
    ] {
        assert_names_the_leak(&go_top(&[&leaking.url(path)]).await);
    }
    let unknown = go_top(&[&leaking.url("/t/nobody/debug/pprof/heap")]).await.outcome;
    assert_ne!(unknown.code(), Some(0), "{unknown:?}");
    assert!(unknown.stderr.contains("no target is called `nobody`"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn growth_over_seconds_is_what_was_leaked_in_them() {
    let leaking = Leaking::start().await;
    let by_address = format!("{}?seconds=2", leaking.below_target());
    for arguments in [&[by_address.as_str()] as &[&str], &["-seconds=2", &leaking.below_target()]] {
        let top = go_top(arguments).await;
        let grown = top.cumulative(CULPRIT);
        // Two seconds between two profiles, on a machine that does other things too.
        assert!((20_000_000..100_000_000).contains(&grown), "{grown} bytes: {top:?}");
        assert!(top.total() * 8 < grown * 10, "{top:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn growth_since_a_stored_dump_is_the_same_by_its_id_and_by_gos_own_difference() {
    let leaking = Leaking::start().await;
    let base = leaking.store().await;
    let before = base["inuse_space"].as_i64().expect("bytes");
    leaking.holds(100e6).await;
    leaking.settle().await;
    let id = base["id"].as_str().expect("an id");
    let by_id = go_top(&[&format!("{}?base={id}", leaking.below_target())]).await;
    let stored = format!("{}?format=pprof", leaking.watchdog.dump_url(&base));
    let by_go = go_top(&[&format!("-base={stored}"), &leaking.below_target()]).await;
    let whole = go_top(&[&leaking.below_target()]).await;

    let grown = by_id.cumulative(CULPRIT);
    assert!(grown > 20_000_000, "{grown}: {by_id:?}");
    // The service serves its admin port between the two.
    let near = |a: i64, b: i64| (a - b).abs() <= 4 << 20;
    assert!(near(grown, by_go.cumulative(CULPRIT)), "{grown}: {by_go:?}");
    assert!(near(by_id.total(), whole.total() - before), "{before} before: {by_id:?} {whole:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_dump_that_was_downloaded_opens_in_gos_tool() {
    let leaking = Leaking::start().await;
    let dump = leaking.store().await;
    let profile = get_bytes(&format!("{}?format=pprof", leaking.watchdog.dump_url(&dump))).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), profile.expect("a profile")).expect("written");
    let top = go_top(&[file.path().to_str().expect("a path")]).await;
    assert_names_the_leak(&top);
    assert_eq!(top.total(), dump["inuse_space"].as_i64().expect("bytes"), "{top:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jeprof_opens_a_raw_dump_and_finds_the_same_total_and_function() {
    let leaking = Leaking::start().await;
    jeprof_agrees(&leaking.watchdog, &leaking.shop, &leaking.store().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jeprof_opens_what_a_flight_recorder_held() {
    let shop = Shop::new();
    let directory = tempfile::tempdir().expect("a directory");
    let recorders = format!("--recorder-dir={}", directory.path().display());
    let watchdog = Watchdog::start(&[&format!("--process={}", shop.name), &recorders]).await;
    let variable = format!("OOMEN_RECORDER_DIR={}", directory.path().display());
    let room = watchdog_core::units::Bytes::from_mib(1024);
    let service = shop.start_confined(room, &["env", &variable]).await;
    watchdog.has_baseline(&shop.name).await;
    service.leak(RATE).await;
    let recorded = |dump: &Value| {
        dump["source"] == "recorder" && dump["inuse_space"].as_u64().is_some_and(|b| b > 30 << 20)
    };
    let dump = watchdog.dump("a dump of a leak", recorded).await;
    jeprof_agrees(&watchdog, &shop, &dump).await;
}

async fn jeprof_agrees(watchdog: &Watchdog, shop: &Shop, dump: &Value) {
    let raw = get(&format!("{}?format=raw", watchdog.dump_url(dump))).await.expect("a dump");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), raw).expect("written");
    let mut command = Command::new("jeprof");
    command.arg("--text").arg(shop.program()).arg(file.path());
    let outcome = Program::run(&mut command, JEPROF).await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    let total = outcome.stdout.lines().find_map(|line| line.strip_prefix("Total: "));
    let total = total.and_then(|total| total.strip_suffix(" MB")).expect("a total in MB");
    let total: f64 = total.parse().expect("a number");
    let ours = dump["inuse_space"].as_f64().expect("bytes") / f64::from(1 << 20);
    // It prints tenths of a MiB.
    assert!((total - ours).abs() < 0.1, "{total} there, {ours} here");
    assert!(outcome.stdout.contains("cache::remember"), "{}", outcome.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heap_of_a_go_program_is_as_its_own_endpoint_gives_it() {
    let exhibit = Exhibit::start("go-map-cache", RATE).await;
    let pid = format!("--pid={}", exhibit.program.pid());
    let watchdog =
        Watchdog::start(&[&pid, "--name=shelf", "--limit=1GiB", &exhibit.profiles]).await;
    watchdog.has_baseline("shelf").await;
    let (ours, own) = (format!("{}/t/shelf/debug/pprof/heap", watchdog.url), exhibit.heap_url());
    // The function of the leak allocates by itself, so that it is the first row.
    let mut top = go_top(&[&ours]).await;
    while top.total() < 20_000_000 {
        top = go_top(&[&ours]).await;
    }
    assert!(top.first().contains(exhibit.culprit()), "{top:?}");
    let own = go_top(&[&own]).await;
    assert_eq!(top.first(), own.first(), "{own:?}");
    let delta = go_top(&[&format!("{ours}?seconds=2")]).await;
    assert!(delta.first().contains(exhibit.culprit()), "{delta:?}");
}
