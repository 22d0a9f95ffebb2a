//! Killing the watchdog at any moment leaves the service untouched.

use rustix::process::Signal;
use watchdog_fixtures::hostile::{HostileServer, Mode};

use crate::support::{Gate, SOON, Shop, Watchdog, eventually};

fn reads(target: &str) -> String {
    format!("oomen_source_reads_total{{target=\"{target}\",source=\"proc\",outcome=\"ok\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watchdog_killed_between_two_samples_leaves_the_service_untouched() {
    let shop = Shop::new();
    let mut service = shop.start().await;
    for moment in [1.0, 2.0, 5.0] {
        let flags = [
            &format!("--pid={}", service.pid()),
            "--limit=16MiB",
            &format!("--probe={}", service.admin),
        ];
        let mut watchdog = Watchdog::start(&flags).await;
        watchdog.metric_fits(&reads(&shop.name), |count| count >= moment).await;
        watchdog.program.kill();
        service.assert_untouched().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watchdog_killed_in_the_middle_of_a_heap_profile_leaves_the_service_untouched() {
    let shop = Shop::new();
    let mut service = shop.start().await;
    let mut gate = Gate::before(&service.admin).await;
    let flags = [&format!("--pid={}", service.pid()), &format!("--probe={}", gate.url())];
    let mut watchdog = Watchdog::start(&flags.map(String::as_str)).await;
    gate.holds().await;
    watchdog.program.kill();
    service.assert_untouched().await;

    // Whoever watches next gets a whole profile.
    let flags = [&format!("--pid={}", service.pid()), &format!("--probe={}", service.admin)];
    let next = Watchdog::start(&flags.map(String::as_str)).await;
    next.has_baseline(&shop.name).await;
    service.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watchdog_killed_while_slack_hangs_leaves_the_service_untouched() {
    let slack = HostileServer::start(Mode::Hang).await.expect("a server");
    let (mut service, mut watchdog) = leaking_with_a_report_under_way(&slack).await;
    watchdog.program.kill();
    service.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_watchdog_within_five_seconds_even_while_slack_hangs() {
    let slack = HostileServer::start(Mode::Hang).await.expect("a server");
    let (mut service, watchdog) = leaking_with_a_report_under_way(&slack).await;
    let outcome = watchdog.stop().await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("report not delivered before the end"), "{outcome:?}");
    service.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigint_ends_a_calm_watchdog_as_well() {
    let shop = Shop::new();
    let service = shop.start().await;
    let watchdog = Watchdog::start(&[&format!("--pid={}", service.pid())]).await;
    watchdog.program.signal(Signal::INT);
    assert_eq!(watchdog.program.ended(SOON).await.code(), Some(0));
}

/// A leak was told, and its message hangs on the way to Slack.
async fn leaking_with_a_report_under_way(
    slack: &HostileServer,
) -> (crate::support::Service, Watchdog) {
    let shop = Shop::new();
    let service = shop.start().await;
    let token = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(token.path(), "xoxb-whatever").expect("written");
    let watchdog = Watchdog::start(&[
        &format!("--pid={}", service.pid()),
        "--limit=96MiB",
        "--slack-channel=#oncall",
        &format!("--slack-api-url={}", slack.url()),
        &format!("--slack-token-file={}", token.path().display()),
    ])
    .await;
    service.leak(12_000_000).await;
    watchdog.incident("a leak is told", |incident| !incident["told"].is_null()).await;
    service.leak(0).await;
    watchdog.metric_fits("oomen_delivery_queue_length{sink=\"slack\"}", |n| n >= 1.0).await;
    eventually("a request to Slack", SOON, async || (slack.requests() > 0).then_some(())).await;
    (service, watchdog)
}
