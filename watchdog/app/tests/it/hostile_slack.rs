//! Slack that misbehaves: the report arrives once it has recovered, as one message, and what happened can be seen.

use std::net::SocketAddr;
use std::time::Duration;

use tempfile::NamedTempFile;
use watchdog_fixtures::slack::{Event, Failure, Message, Options, SlackServer, TOKEN};

use crate::support::{SOON, Service, Shop, Watchdog, free_port};

/// A service that is watched, and what is needed for it.
struct Scene {
    _shop: Shop,
    service: Service,
    watchdog: Watchdog,
    _token: NamedTempFile,
}

impl Scene {
    async fn start(slack_url: &str) -> Self {
        let shop = Shop::new();
        let service = shop.start().await;
        let token = NamedTempFile::new().expect("a file");
        std::fs::write(token.path(), TOKEN).expect("written");
        let watchdog = Watchdog::start(&[
            &format!("--pid={}", service.pid()),
            "--limit=96MiB",
            "--slack-channel=#oncall",
            &format!("--slack-api-url={slack_url}"),
            &format!("--slack-token-file={}", token.path().display()),
        ])
        .await;
        Self { _shop: shop, service, watchdog, _token: token }
    }

    /// Leaks until people were to be told.
    async fn leak(&self) {
        self.service.leak(12_000_000).await;
        self.watchdog.incident("a leak is told", |incident| !incident["told"].is_null()).await;
        self.service.leak(0).await;
    }

    async fn deliveries(&self, outcome: &str) -> f64 {
        self.watchdog.metric(&series(outcome)).await.expect("a series")
    }

    /// Ends the service and checks that all of its story is one message, and that no secret is anywhere.
    async fn ends_as_one_message(&mut self, slack: &SlackServer) -> Vec<Message> {
        self.service.program.kill();
        self.watchdog.incident("its end", |incident| incident["state"] == "gone").await;
        let queue = "oomen_delivery_queue_length{sink=\"slack\"}";
        self.watchdog.metric_fits(queue, |length| length == 0.0).await;
        let came = slack.messages();
        let (roots, replies): (Vec<_>, Vec<_>) =
            came.iter().partition(|one| one.thread_ts.is_none());
        assert_eq!(roots.iter().filter(|one| one.event == Event::Post).count(), 1, "{came:#?}");
        assert!(roots.iter().all(|one| one.ts == roots[0].ts), "{came:#?}");
        let in_thread = |one: &&Message| one.thread_ts.as_ref() == Some(&roots[0].ts);
        assert!(replies.iter().all(in_thread), "{came:#?}");
        let text = self.watchdog.everything_readable().await;
        assert!(!text.contains(TOKEN), "the token can be read");
        came
    }
}

fn series(outcome: &str) -> String {
    format!("oomen_deliveries_total{{sink=\"slack\",outcome=\"{outcome}\"}}")
}

/// A watched service and a Slack whose next requests fail.
async fn scene_before(times: usize, failure: Failure) -> (SlackServer, Scene) {
    let slack = SlackServer::start().await.expect("a server");
    let scene = Scene::start(&slack.url()).await;
    // The first connection is opened at the start; only what follows is to fail.
    crate::support::eventually("the first request", SOON, async || {
        (!slack.requests().is_empty()).then_some(())
    })
    .await;
    slack.fail_next(times, failure);
    (slack, scene)
}

/// Failures that a retry mends.
async fn arrives_after(failure: Failure, said: &str) -> (SlackServer, Vec<Message>) {
    let (slack, mut scene) = scene_before(3, failure).await;
    scene.leak().await;
    scene.watchdog.metric_fits(&series("retried"), |count| count >= 1.0).await;
    slack.wait_for(|came| !came.is_empty(), SOON).await.expect("the report");
    let log = scene.watchdog.program.stderr();
    assert!(log.contains("report not delivered, trying again"), "{log}");
    assert!(log.contains(said), "`{said}` in {log}");
    assert_eq!(scene.deliveries("failed").await, 0.0);
    assert_eq!(scene.deliveries("dropped").await, 0.0);
    let came = scene.ends_as_one_message(&slack).await;
    (slack, came)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_arrives_after_slack_answered_500() {
    arrives_after(Failure::Status(500), "Slack answered with HTTP status 500").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_arrives_after_slack_reset_the_connection() {
    arrives_after(Failure::Reset, "Slack gave no answer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_arrives_after_slack_answered_nonsense() {
    arrives_after(Failure::Garbage, "the answer is not one of Slack's").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_arrives_after_slack_did_not_answer_in_time() {
    arrives_after(Failure::Hang, "no answer within 10s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_waits_as_long_as_slack_asks_and_then_arrives() {
    let (slack, _) = arrives_after(Failure::RateLimited(2), "Slack asks to slow down").await;
    let requests = slack.requests();
    let posts: Vec<_> = requests.iter().filter(|one| one.method.starts_with("chat.")).collect();
    let mut refused = 0;
    for pair in posts.windows(2).filter(|pair| pair[0].refused.is_some()) {
        let waited = pair[1].at - pair[0].at;
        assert!(waited >= Duration::from_secs(2), "asked again after {waited:?}");
        refused += 1;
    }
    assert!(refused > 0, "no post was refused: {requests:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_arrives_after_slack_refused_the_connection() {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut scene = Scene::start(&format!("http://{address}")).await;
    scene.watchdog.program.says("the sink is not ready").await;
    scene.leak().await;
    scene.watchdog.metric_fits(&series("retried"), |count| count >= 1.0).await;
    scene.watchdog.program.says("report not delivered, trying again").await;
    let slack = listen(address).await;
    slack.wait_for(|came| !came.is_empty(), SOON).await.expect("the report");
    scene.ends_as_one_message(&slack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_delivers_the_report_that_still_waits() {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let scene = Scene::start(&format!("http://{address}")).await;
    scene.leak().await;
    // By now the next attempt is seconds away.
    scene.watchdog.metric_fits(&series("retried"), |count| count >= 4.0).await;
    let slack = listen(address).await;
    let outcome = scene.watchdog.stop().await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    let came = slack.messages();
    assert!(came.iter().any(|message| message.event == Event::Post), "{outcome:?}");
    assert!(!outcome.stderr.contains("not delivered before the end"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_not_tried_again_and_the_next_state_is_delivered_when_it_is_accepted() {
    // One request to warm up and one report may fail before the other states of the incident come.
    let (slack, mut scene) = scene_before(2, Failure::Code("invalid_auth")).await;
    scene.leak().await;
    scene.watchdog.metric_fits(&series("failed"), |count| count >= 1.0).await;
    let line = scene.watchdog.program.says("report given up").await;
    assert!(line.contains("give a valid bot token with the scope chat:write"), "{line}");
    let came = scene.ends_as_one_message(&slack).await;
    assert!(came.last().is_some_and(|last| last.text.contains("ended")), "{came:#?}");
    assert_eq!(scene.deliveries("retried").await, 0.0);
}

async fn listen(address: SocketAddr) -> SlackServer {
    let options =
        Options { listen: Some(address), token: Some(TOKEN.into()), ..Options::default() };
    SlackServer::start_with(options).await.expect("a server")
}
