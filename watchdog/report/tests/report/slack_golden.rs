//! Whole messages, block by block, as people get them. `UPDATE_GOLDEN=1` writes them anew.

use serde_json::Value;
use watchdog_core::incident::{Incident, State};

use crate::sample::confirmed;
use crate::slack_story::{Known, later, replicas, story};

/// Tells the incidents and compares the message with `{name}.slack.json`.
async fn check(name: &str, told: &[&[Incident]], rows: bool) {
    let (server, mut story) = story(Known { rows, profile: None }).await;
    for incidents in told {
        story.tell(incidents).await.expect("told");
    }
    let messages = server.messages();
    let root = messages.iter().rfind(|message| message.thread_ts.is_none()).expect("a message");
    let message = serde_json::json!({"text": root.text, "blocks": root.blocks});
    let path = format!("{}/tests/report/{name}.slack.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&message).expect("JSON");
        let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        std::fs::write(&path, text + "\n").expect("written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden message");
    let golden = golden.replace("VERSION", env!("CARGO_PKG_VERSION"));
    let golden: Value = serde_json::from_str(&golden).expect("JSON");
    assert_eq!(message, golden, "{name}");
}

#[tokio::test]
async fn a_confirmed_leak() {
    check("confirmed", &[&[confirmed()]], false).await;
}

#[tokio::test]
async fn a_near_kill_with_its_functions_and_its_plot() {
    let mut near = later(State::Imminent, 150.0);
    near.limit = Some(watchdog_core::units::Bytes::from_mib(200));
    let mut culprit = near.culprit.clone().expect("a culprit");
    (culprit.rate, culprit.rate_low, culprit.rate_high) = (390_000.0, 350_000.0, 430_000.0);
    let mut second = culprit.clone();
    second.frame.function = "services_recommendations::session::Store<K>::insert".into();
    second.share = 0.05;
    near.suspects = vec![culprit.clone(), second];
    near.culprit = Some(culprit);
    check("imminent", &[&[confirmed()], &[near]], true).await;
}

#[tokio::test]
async fn three_replicas_at_once() {
    use State::{Confirmed, Imminent, Killed};
    check("group", &[&replicas(&[Confirmed, Imminent, Killed])], false).await;
}

#[tokio::test]
async fn a_growth_that_stopped() {
    check("recovered", &[&[confirmed()], &[later(State::Recovered, 300.0)]], false).await;
}

#[tokio::test]
async fn a_kill() {
    check("killed", &[&[confirmed()], &[later(State::Killed, 195.0)]], false).await;
}
