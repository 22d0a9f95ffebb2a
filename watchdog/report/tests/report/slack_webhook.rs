//! The incoming webhook of Slack: what is worth a message where none can be changed, and its secret.

use watchdog_core::incident::{Incident, State};
use watchdog_fixtures::slack::{Failure, SlackServer};
use watchdog_report::sink::{ErrorKind, Sink};
use watchdog_report::slack::webhook::SlackWebhookSink;

use crate::sample::confirmed;
use crate::slack_story::{Story, later, replicas, unnamed};

async fn webhook() -> (SlackServer, Story<SlackWebhookSink>) {
    let server = SlackServer::start().await.expect("a server");
    let sink = SlackWebhookSink::new(&server.webhook_url().into(), None, None).expect("a sink");
    (server, Story::new(sink))
}

async fn posts(told: &[&[Incident]]) -> Vec<String> {
    let (server, mut story) = webhook().await;
    for incidents in told {
        story.tell(incidents).await.expect("told");
    }
    server.messages().into_iter().map(|message| message.text).collect()
}

#[tokio::test]
async fn it_posts_at_each_turn_and_at_nothing_else() {
    let told: [&[Incident]; 6] = [
        &[unnamed(confirmed())],
        &[unnamed(later(State::Confirmed, 5.0))],
        &[confirmed()],
        &[later(State::Imminent, 20.0)],
        &[later(State::Imminent, 21.0)],
        &[later(State::Killed, 30.0)],
    ];
    let posts = posts(&told).await;
    assert_eq!(posts.len(), 4, "{posts:#?}");
    assert!(!posts[0].contains("culprit") && posts[1].contains("culprit"), "{posts:#?}");
    assert!(posts[2].starts_with("🚨") && posts[3].starts_with("💀"), "{posts:#?}");
}

#[tokio::test]
async fn a_name_that_an_earlier_post_held_is_not_told_alone() {
    let told: [&[Incident]; 3] =
        [&[confirmed()], &[later(State::Confirmed, 5.0)], &[later(State::Recovered, 9.0)]];
    assert_eq!(posts(&told).await.len(), 2);
}

#[tokio::test]
async fn a_group_is_one_post_and_its_end_another() {
    use State::{Confirmed, Gone, Killed};
    let told: [&[Incident]; 4] = [
        &replicas(&[Confirmed; 3]),
        &replicas(&[Killed, Confirmed, Confirmed]),
        &replicas(&[Killed, Killed, Confirmed]),
        &replicas(&[Killed, Killed, Gone]),
    ];
    let posts = posts(&told).await;
    assert_eq!(posts.len(), 3, "{posts:#?}");
    assert!(posts[0].contains("3 of recommendations leak memory"), "{posts:#?}");
    assert!(posts[2].contains("2 of 3 were killed for their memory, 1 ended"), "{posts:#?}");
}

#[tokio::test]
async fn after_a_restart_it_goes_on_where_it_was() {
    let (server, mut before) = webhook().await;
    before.tell(&[confirmed()]).await.expect("told");
    let sink = SlackWebhookSink::new(&server.webhook_url().into(), None, None).expect("a sink");
    let mut after = Story { sink, memory: before.memory };
    after.tell(&[confirmed()]).await.expect("told");
    assert_eq!(server.messages().len(), 1);
}

#[tokio::test]
async fn what_may_pass_is_retried_and_what_may_not_says_how_to_mend_it() {
    let (server, mut story) = webhook().await;
    for (failure, kind, unsure) in [
        (Failure::Status(500), ErrorKind::Retry { after: None }, true),
        (Failure::Reset, ErrorKind::Retry { after: None }, true),
        (
            Failure::RateLimited(4),
            ErrorKind::Retry { after: Some(std::time::Duration::from_secs(4)) },
            false,
        ),
        (Failure::Code("no_service"), ErrorKind::Permanent, false),
        (Failure::Code("invalid_token"), ErrorKind::Permanent, false),
    ] {
        server.fail_next(1, failure);
        let error = story.step(&[confirmed()], None).await.expect_err("a failure");
        assert_eq!((error.kind, error.unsure), (kind, unsure), "{failure:?}: {error}");
        assert!(!error.text.contains("oomenFixtureWebhookSecret"), "{error}");
    }
    assert!(server.messages().is_empty());
}

#[tokio::test]
async fn a_layout_that_slack_refuses_is_sent_as_plain_text() {
    let (server, mut story) = webhook().await;
    server.fail_next(1, Failure::Code("invalid_blocks"));
    story.tell(&[confirmed()]).await.expect("told");
    let messages = server.messages();
    assert!(messages[0].blocks.is_empty() && messages[0].text.contains("recommendations"));
}

#[tokio::test]
async fn the_address_is_in_no_error_and_no_log_at_any_level() {
    let (log, _guard) = crate::secrets::log();
    let (server, mut story) = webhook().await;
    for failure in [Failure::Status(500), Failure::Reset, Failure::Code("no_service")] {
        server.fail_next(1, failure);
        let error = story.step(&[confirmed()], None).await.expect_err("a failure");
        assert!(!format!("{error:?}").contains("oomenFixtureWebhookSecret"), "{error:?}");
    }
    story.tell(&[confirmed()]).await.expect("told");
    let log = log.text();
    assert!(!log.is_empty() && !log.contains("oomenFixtureWebhookSecret"), "{log}");
}

#[test]
fn the_address_is_a_secret_and_a_wrong_one_is_refused_without_being_shown() {
    let url = "https://hooks.slack.com/services/T0/B0/hush";
    let sink = SlackWebhookSink::new(&url.into(), None, None).expect("a sink");
    let text = format!("{sink:?} {:?}", sink.habits());
    assert!(text.contains("hooks.slack.com") && !text.contains("hush"), "{text}");
    for wrong in ["", "hush", "ftp://hooks.slack.com/hush"] {
        let error = SlackWebhookSink::new(&wrong.into(), None, None).expect_err("refused");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hush") && !error.to_string().is_empty(), "{text}");
    }
}
