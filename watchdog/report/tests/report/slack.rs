//! The Slack sink against a Slack-compatible server, and against one that is not.

use std::time::Duration;

use watchdog_core::incident::State;
use watchdog_fixtures::hostile::{HostileServer, Mode};
use watchdog_fixtures::slack::{Event, Failure, MISSING_CHANNEL, SlackServer, TOKEN};
use watchdog_report::pipeline::{Options, Pipeline};
use watchdog_report::sink::{DeliveryError, ErrorKind, Sink};
use watchdog_report::slack::{Account, SlackOptions, SlackSink};

use crate::sample::{confirmed, incident, tell};

/// Longer than anything here takes, short enough to fail a test.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) fn options(url: &str) -> SlackOptions {
    SlackOptions {
        token: TOKEN.into(),
        channel: "#alerts".into(),
        api_url: Some(url.parse().expect("a url")),
        page: Some("http://127.0.0.1:9911/".parse().expect("a url")),
    }
}

async fn server() -> (SlackServer, SlackSink) {
    let server = SlackServer::start().await.expect("a server");
    let sink = SlackSink::new(options(&server.url())).expect("a sink");
    (server, sink)
}

async fn fails(sink: &SlackSink) -> DeliveryError {
    tell(sink, &confirmed()).await.expect_err("a failure")
}

#[tokio::test]
async fn an_incident_is_posted_once_and_then_updated_in_place() {
    let (server, sink) = server().await;
    tell(&sink, &incident("a", State::Confirmed)).await.expect("posted");
    tell(&sink, &incident("b", State::Confirmed)).await.expect("posted");
    tell(&sink, &incident("a", State::Killed)).await.expect("updated");
    let messages = server.messages();
    let events: Vec<_> = messages.iter().map(|message| message.event).collect();
    assert_eq!(events, [Event::Post, Event::Post, Event::Update]);
    assert_eq!(messages[2].ts, messages[0].ts);
    assert_eq!(messages[2].channel, messages[0].channel);
    assert!(messages[2].text.starts_with("💀 recommendations was killed"), "{}", messages[2].text);
}

#[tokio::test]
async fn the_message_says_who_when_how_fast_and_which_function() {
    let (server, sink) = server().await;
    tell(&sink, &confirmed()).await.expect("posted");
    let message = &server.messages()[0];
    assert_eq!(
        message.text,
        "⚠️ recommendations leaks memory: killed in 3 min 10 s (2 min 40 s – 4 min) · \
         180.0 MiB of 256.0 MiB (70 %) · growing 409.6 KiB/s · \
         culprit services_recommendations::cache::remember (93 %)"
    );
    let golden = include_str!("confirmed.slack.json").replace("VERSION", env!("CARGO_PKG_VERSION"));
    let golden: serde_json::Value = serde_json::from_str(&golden).expect("JSON");
    assert_eq!(serde_json::Value::from(message.blocks.clone()), golden);
}

#[tokio::test]
async fn slack_that_asks_for_time_gets_it() {
    let (server, sink) = server().await;
    server.fail_next(1, Failure::RateLimited(7));
    let asked = ErrorKind::Retry { after: Some(Duration::from_secs(7)) };
    assert_eq!(fails(&sink).await.kind, asked);

    server.fail_next(2, Failure::RateLimited(1));
    let pipeline = Pipeline::start(vec![Box::new(sink)], &Options::default());
    pipeline.submit(confirmed());
    server.wait_for(|messages| messages.len() == 1, DEADLINE).await.expect("delivered");
    let requests = server.requests();
    let posts: Vec<_> = requests.iter().filter(|r| r.method == "chat.postMessage").collect();
    let last = posts.last().expect("the accepted post");
    let before = posts[posts.len() - 2];
    assert!(last.at - before.at >= Duration::from_secs(1), "{posts:?}");
}

#[tokio::test]
async fn what_may_pass_is_to_be_retried_and_then_goes_through() {
    let (server, sink) = server().await;
    for failure in [
        Failure::Status(500),
        Failure::Status(503),
        Failure::Garbage,
        Failure::Code("internal_error"),
        Failure::Code("ratelimited"),
        Failure::Reset,
    ] {
        server.fail_next(1, failure);
        let error = fails(&sink).await;
        assert_eq!(error.kind, ErrorKind::Retry { after: None }, "{failure:?}: {error}");
    }
    assert!(server.messages().is_empty());
    tell(&sink, &confirmed()).await.expect("posted");
    assert_eq!(server.messages().len(), 1);
}

#[tokio::test]
async fn slack_that_hangs_is_left_at_the_deadline_and_asked_again() {
    let (server, sink) = server().await;
    sink.auth_test().await.expect("an account");
    let options = Options { attempt_deadline: Duration::from_millis(200), ..Options::default() };
    let pipeline = Pipeline::start(vec![Box::new(sink)], &options);
    server.wait_for(|_| server.requests().len() == 2, DEADLINE).await.expect("warmed up");
    server.fail_next(1, Failure::Hang);
    pipeline.submit(confirmed());
    server.wait_for(|messages| messages.len() == 1, DEADLINE).await.expect("delivered");
    assert_eq!(server.requests().len(), 4);
    assert_eq!(pipeline.drain(DEADLINE).await, 0);
    assert_eq!((pipeline.stats()[0].delivered, pipeline.stats()[0].retried), (1, 1));
}

#[tokio::test]
async fn what_will_not_pass_is_permanent_and_says_how_to_mend_it() {
    let (server, sink) = server().await;
    for (failure, hint) in [
        (Failure::Code("invalid_auth"), "chat:write"),
        (Failure::Code("token_revoked"), "chat:write"),
        (Failure::Code("missing_scope"), "install it again"),
        (Failure::Code("not_in_channel"), "invite the app"),
        (Failure::Code("is_archived"), "choose another"),
        (Failure::Code("who_knows"), "documentation"),
        (Failure::Status(404), "check the API address"),
    ] {
        server.fail_next(1, failure);
        let error = fails(&sink).await;
        assert_eq!(error.kind, ErrorKind::Permanent, "{failure:?}");
        assert!(error.text.contains(hint), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_token_and_a_missing_channel_are_permanent() {
    let (server, _) = server().await;
    let wrong = SlackOptions { token: "xoxb-wrong".into(), ..options(&server.url()) };
    let wrong = SlackSink::new(wrong).expect("a sink");
    let error = fails(&wrong).await;
    assert!(error.kind == ErrorKind::Permanent && error.text.contains("invalid_auth"), "{error}");
    assert!(wrong.auth_test().await.expect_err("refused").text.contains("invalid_auth"));

    let missing = SlackOptions { channel: MISSING_CHANNEL.into(), ..options(&server.url()) };
    let error = fails(&SlackSink::new(missing).expect("a sink")).await;
    assert!(error.kind == ErrorKind::Permanent, "{error}");
    assert!(error.text.contains("channel_not_found"), "{error}");
}

#[tokio::test]
async fn a_message_that_was_deleted_is_posted_anew() {
    let (server, sink) = server().await;
    tell(&sink, &confirmed()).await.expect("posted");
    server.delete_messages();
    tell(&sink, &confirmed()).await.expect("posted anew");
    tell(&sink, &confirmed()).await.expect("updated");
    let messages = server.messages();
    let events: Vec<_> = messages.iter().map(|message| message.event).collect();
    assert_eq!(events, [Event::Post, Event::Post, Event::Update]);
    assert_eq!(messages[2].ts, messages[1].ts);
}

#[tokio::test]
async fn a_layout_that_slack_refuses_is_sent_as_plain_text() {
    let (server, sink) = server().await;
    server.fail_next(1, Failure::Code("invalid_blocks"));
    tell(&sink, &confirmed()).await.expect("posted");
    let message = &server.messages()[0];
    assert!(message.blocks.is_empty() && message.text.contains("recommendations"));
}

#[tokio::test]
async fn an_answer_that_is_lost_after_slack_accepted_costs_a_second_message_not_a_report() {
    let (server, sink) = server().await;
    server.fail_next(1, Failure::AcceptThenReset);
    assert_eq!(fails(&sink).await.kind, ErrorKind::Retry { after: None });
    tell(&sink, &confirmed()).await.expect("posted");
    tell(&sink, &confirmed()).await.expect("updated");
    assert_eq!(server.messages().len(), 3);
    assert_eq!(server.messages()[2].ts, server.messages()[1].ts);
}

#[tokio::test]
async fn a_server_that_is_not_slack_is_to_be_retried_and_never_read_to_its_end() {
    for mode in [Mode::Endless, Mode::Garbage, Mode::Reset, Mode::Status(500)] {
        let server = HostileServer::start(mode.clone()).await.expect("a server");
        let sink = SlackSink::new(options(&server.url())).expect("a sink");
        let delivery = tokio::time::timeout(DEADLINE, tell(&sink, &confirmed())).await;
        let error = delivery.expect("in time").expect_err("a failure");
        assert_eq!(error.kind, ErrorKind::Retry { after: None }, "{mode:?}: {error}");
        if mode == Mode::Endless {
            assert!(error.text.contains("more than 1048576 bytes"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_or_does_not_listen_is_to_be_retried() {
    let (server, _) = server().await;
    // Needs root certificates (Debian's ca-certificates), as every https address does.
    let https = server.url().replace("http:", "https:");
    let sink = SlackSink::new(options(&https)).expect("root certificates");
    assert_eq!(fails(&sink).await.kind, ErrorKind::Retry { after: None });

    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let closed = format!("http://{}", closed.expect("an address"));
    let sink = SlackSink::new(options(&closed)).expect("a sink");
    let error = fails(&sink).await;
    assert_eq!(error.kind, ErrorKind::Retry { after: None });
    assert!(error.text.contains("refused"), "{error}");
}

#[tokio::test]
async fn warming_up_tells_whose_token_it_is_and_keeps_the_connection() {
    let (server, sink) = server().await;
    let account = sink.auth_test().await.expect("an account");
    assert_eq!(account, Account { team: "Fixtures".into(), user: "oomen".into() });
    sink.warm_up().await.expect("warm");
    let methods: Vec<_> = server.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["auth.test", "auth.test"]);
}
