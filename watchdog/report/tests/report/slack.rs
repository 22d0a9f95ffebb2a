//! The Slack sink against a Slack-compatible server, and against one that is not.

use std::sync::Arc;
use std::time::Duration;

use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;
use watchdog_fixtures::hostile::{HostileServer, Mode};
use watchdog_fixtures::slack::{Failure, MISSING_CHANNEL, SlackServer, TOKEN};
use watchdog_report::pipeline::{Options, Pipeline};
use watchdog_report::plot::Theme;
use watchdog_report::sink::{DeliveryError, ErrorKind, NoEvidence, Sink};
use watchdog_report::slack::{Account, SlackOptions, SlackSink};

use crate::sample::{confirmed, tell};
use crate::slack_story::{Story, course, later};

/// Longer than anything here takes, short enough to fail a test.
const DEADLINE: Duration = Duration::from_secs(60);

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
async fn a_refusal_that_says_when_to_come_back_is_understood_whatever_its_body_is() {
    let server = HostileServer::start(Mode::Hang).await.expect("a server");
    let sink = SlackSink::new(options(&server.url())).expect("a sink");
    let nine = Some(Duration::from_secs(9));
    for (status, content_type, after, expected, unsure) in [
        (429, None, Some("9"), nine, false),
        (429, Some("application/json"), Some(" 9 "), nine, false),
        (429, Some("text/html"), Some("9"), nine, false),
        (429, None, None, None, false),
        (429, None, Some("soon"), None, false),
        (429, None, Some("18446744073709551615"), Some(Duration::from_secs(86_400)), false),
        (503, None, Some("9"), nine, true),
        (503, None, None, None, true),
        (500, None, Some("9"), None, true),
    ] {
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = content_type.map(|value| named("content-type", value));
        let headers = headers.into_iter().chain(after.map(|value| named("Retry-After", value)));
        let headers = headers.collect();
        server.set(Mode::Reply { status, headers, body: b"<html>busy".into() });
        let error = fails(&sink).await;
        assert_eq!(error.kind, ErrorKind::Retry { after: expected }, "{status} {after:?}: {error}");
        assert_eq!(error.unsure, unsure, "{status} {after:?}: {error}");
    }
}

#[tokio::test]
async fn a_channel_given_by_its_name_is_known_by_its_id_after_the_first_answer() {
    let (server, _) = server().await;
    let by_name = SlackOptions { channel: "#alerts".into(), ..options(&server.url()) };
    let mut story = Story::new(SlackSink::new(by_name.clone()).expect("a sink"));
    story.sink.warm_up().await.expect("warm");
    story.tell(&[confirmed()]).await.expect("told");
    // After a restart as well: the message remembers it.
    let sink = SlackSink::new(by_name).expect("a sink");
    let mut story = Story { sink, memory: story.memory };
    story.tell(&[later(State::Imminent, 5.0)]).await.expect("told");
    let other = Incident { id: "other".into(), ..confirmed() };
    let mut next = Story { sink: story.sink, memory: None };
    server.fail_next(1, Failure::AcceptThenReset);
    next.step(std::slice::from_ref(&other), None).await.expect_err("no answer");
    next.step(&[other], Some(WallTime(0.0))).await.expect("found");
    let course = course(&server);
    let expected = ["auth.test", "post", "update", "reply", "post", "conversations.history"];
    assert_eq!(course[..6], expected, "{course:?}");
    assert_eq!(course.iter().filter(|word| *word == "post").count(), 2, "{course:?}");
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
