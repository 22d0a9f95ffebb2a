//! The Slack sink against a Slack-compatible server, and against one that is not.

use std::sync::Arc;
use std::time::Duration;

use watchdog_fixtures::hostile::{HostileServer, Mode};
use watchdog_fixtures::slack::{Failure, MISSING_CHANNEL, SlackServer, TOKEN};
use watchdog_report::pipeline::{Options, Pipeline};
use watchdog_report::plot::Theme;
use watchdog_report::sink::{DeliveryError, ErrorKind, NoEvidence, Sink};
use watchdog_report::slack::{Account, SlackOptions, SlackSink};

use crate::sample::{confirmed, tell};

/// Longer than anything here takes, short enough to fail a test.
const DEADLINE: Duration = Duration::from_secs(20);

/// Where reports are posted.
pub(crate) const CHANNEL: &str = "C0ALERTS00";

pub(crate) fn options(url: &str) -> SlackOptions {
    SlackOptions {
        token: TOKEN.into(),
        channel: CHANNEL.into(),
        api_url: Some(url.parse().expect("a url")),
        page: Some("http://127.0.0.1:9911/".parse().expect("a url")),
        runbook: None,
        evidence: Arc::new(NoEvidence),
        theme: Theme::Light,
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
async fn slack_that_asks_for_time_gets_it() {
    let (server, sink) = server().await;
    server.fail_next(1, Failure::RateLimited(7));
    let asked = ErrorKind::Retry { after: Some(Duration::from_secs(7)) };
    let error = fails(&sink).await;
    assert_eq!((error.kind, error.unsure), (asked, false));

    server.fail_next(2, Failure::RateLimited(1));
    let pipeline = Pipeline::start(vec![Box::new(sink)], &Options::default());
    pipeline.submit(&confirmed());
    server.wait_for(|messages| messages.len() == 1, DEADLINE).await.expect("delivered");
    let requests = server.requests();
    let posts: Vec<_> = requests.iter().filter(|r| r.method == "chat.postMessage").collect();
    let last = posts.last().expect("the accepted post");
    let before = posts[posts.len() - 2];
    assert!(last.at - before.at >= Duration::from_secs(1), "{posts:?}");
}

#[tokio::test]
async fn what_may_pass_is_to_be_retried_and_says_whether_slack_may_have_taken_it() {
    let (server, sink) = server().await;
    for (failure, unsure) in [
        (Failure::Status(500), true),
        (Failure::Status(503), true),
        (Failure::Garbage, true),
        (Failure::Code("internal_error"), true),
        (Failure::Code("fatal_error"), true),
        (Failure::Code("service_unavailable"), false),
        (Failure::Reset, true),
    ] {
        server.fail_next(1, failure);
        let error = fails(&sink).await;
        assert_eq!(error.kind, ErrorKind::Retry { after: None }, "{failure:?}: {error}");
        assert_eq!(error.unsure, unsure, "{failure:?}: {error}");
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
    pipeline.submit(&confirmed());
    server.wait_for(|messages| messages.len() == 1, DEADLINE).await.expect("delivered");
    let methods: Vec<_> = server.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods[2..], ["chat.postMessage", "conversations.history", "chat.postMessage"]);
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
        assert_eq!((error.kind, error.unsure), (ErrorKind::Permanent, false), "{failure:?}");
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
async fn a_layout_that_slack_refuses_is_sent_as_plain_text() {
    let (server, sink) = server().await;
    server.fail_next(1, Failure::Code("invalid_blocks"));
    tell(&sink, &confirmed()).await.expect("posted");
    let message = &server.messages()[0];
    assert!(message.blocks.is_empty() && message.text.contains("recommendations"));
}

#[tokio::test]
async fn a_server_that_is_not_slack_is_to_be_retried_and_never_read_to_its_end() {
    for mode in [Mode::Endless, Mode::Garbage, Mode::Reset, Mode::Status(500)] {
        let server = HostileServer::start(mode.clone()).await.expect("a server");
        let sink = SlackSink::new(options(&server.url())).expect("a sink");
        let delivery = tokio::time::timeout(DEADLINE, tell(&sink, &confirmed())).await;
        let error = delivery.expect("in time").expect_err("a failure");
        assert_eq!(error.kind, ErrorKind::Retry { after: None }, "{mode:?}: {error}");
        assert!(error.unsure, "it may have been taken: {mode:?}: {error}");
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
    let no_tls = fails(&sink).await;

    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let closed = format!("http://{}", closed.expect("an address"));
    let refused = fails(&SlackSink::new(options(&closed)).expect("a sink")).await;
    assert!(refused.text.contains("refused"), "{refused}");

    let nowhere = SlackSink::new(options("http://nowhere.invalid")).expect("a sink");
    let unknown = fails(&nowhere).await;
    for error in [no_tls, refused, unknown] {
        assert_eq!(error.kind, ErrorKind::Retry { after: None }, "{error}");
        assert!(!error.unsure, "nothing was taken: {error}");
    }
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
