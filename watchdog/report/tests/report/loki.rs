//! The Loki sink against a strict receiver.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;
use watchdog_fixtures::hostile::{HostileServer, Mode};
use watchdog_fixtures::loki::{Entry, LokiServer, Options};
use watchdog_report::http::{Clock, HttpOptions};
use watchdog_report::loki::{LokiOptions, LokiSink};
use watchdog_report::sink::{Delivery, ErrorKind, Progress, Sink};

use crate::sample::confirmed;

/// Just after the sample incident's last change.
const NOW: u64 = 1_795_269_620;

fn options(url: &str) -> LokiOptions {
    let clock = Clock::new(|| WallTime(NOW as f64));
    LokiOptions {
        url: url.parse().expect("a URL"),
        tenant: Some("team-a".into()),
        labels: BTreeMap::from([("cluster".to_owned(), "blue".to_owned())]),
        page: None,
        http: HttpOptions { clock, ..HttpOptions::default() },
    }
}

async fn server() -> (LokiServer, LokiSink) {
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let options = Options { tenant_required: true, now: Some(now) };
    let server = LokiServer::start_with(options).await.expect("a server");
    let sink = LokiSink::new(self::options(&server.url())).expect("a sink");
    (server, sink)
}

async fn deliver(sink: &LokiSink, incident: &Incident, memory: Option<&Value>) -> Progress {
    let incidents = std::slice::from_ref(incident);
    let delivery = Delivery { incidents, memory, unsure_since: None };
    sink.deliver(delivery).await.expect("delivered")
}

fn labels(entry: &Entry) -> Vec<(&str, &str)> {
    entry.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test]
async fn a_piece_of_news_is_one_line_and_is_pushed_once() {
    let (server, sink) = server().await;
    let news = Incident { revision: 2, updated: WallTime(1_795_269_610.62), ..confirmed() };
    let progress = deliver(&sink, &news, None).await;
    deliver(&sink, &news, progress.memory.as_ref()).await;
    assert_eq!((server.requests(), server.refused()), (1, Vec::new()));
    let entries = server.entries();
    let entry = &entries[0];
    assert_eq!(entry.tenant.as_deref(), Some("team-a"));
    assert_eq!(
        labels(entry),
        [
            ("cluster", "blue"),
            ("job", "oomen"),
            ("kind", "heap-leak"),
            ("namespace", "shop"),
            ("state", "confirmed"),
            ("target", "recommendations")
        ]
    );
    assert_eq!(entry.at_nanos, 1_795_269_610_620_000_000);
    assert!(entry.metadata.is_empty(), "Loki 2 takes none");
    let line: Value = serde_json::from_str(&entry.line).expect("JSON");
    assert!(line["title"].as_str().expect("a title").starts_with("recommendations leaks memory"));
    for (place, value) in [
        ("/id", "recommendations-4242-1795269549"),
        ("/state", "confirmed"),
        ("/target/pod", "recommendations-7d9f"),
        ("/culprits/0/function", "services_recommendations::cache::remember"),
        ("/kill/estimate", "2026-11-21T14:03:20Z"),
    ] {
        assert_eq!(line.pointer(place).and_then(Value::as_str), Some(value), "{place}");
    }
    assert_eq!(line.pointer("/culprits/0/stack"), None, "a line is no place for a stack");
}

#[tokio::test]
async fn the_request_is_compressed_and_says_so() {
    let server = HostileServer::start(Mode::Status(204)).await.expect("a server");
    // What people copy out of another program's settings.
    let url = format!("{}/loki/api/v1/push", server.url());
    deliver(&LokiSink::new(options(&url)).expect("a sink"), &confirmed(), None).await;
    let request = &server.received()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/loki/api/v1/push"));
    for (name, value) in
        [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")]
    {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn the_same_news_again_counts_once() {
    let (server, sink) = server().await;
    for _ in 0..2 {
        deliver(&sink, &confirmed(), None).await;
    }
    assert_eq!((server.requests(), server.entries().len()), (2, 1));
}

#[tokio::test]
async fn labels_have_few_values_whatever_the_incident() {
    let (server, sink) = server().await;
    for state in State::ALL {
        let mut incident = Incident { state, ..confirmed() };
        incident.id = format!("{state:?}");
        incident.target.pid += 1;
        incident.target.pod = Some(format!("pod-{state:?}"));
        incident.target.name = "recommendations-2".into();
        incident.target.workload = Some("recommendations".into());
        deliver(&sink, &incident, None).await;
    }
    let entries = server.entries();
    assert_eq!(entries.len(), State::ALL.len());
    for (entry, state) in entries.iter().zip(State::ALL) {
        let mut expected = labels(&entries[0]);
        expected[4].1 = state.as_str();
        assert_eq!(labels(entry), expected);
    }
}

#[tokio::test]
async fn names_and_times_that_loki_refuses_are_made_fit() {
    let (server, sink) = server().await;
    for (name, label) in [
        ("a\"b\\c\nd\u{fffd}e", "a\"b\\c_d_e"),
        ("größe", "größe"),
        // Without a name there is no label: an empty one is refused.
        ("", ""),
    ] {
        let mut incident = Incident { updated: WallTime(f64::NAN), ..confirmed() };
        incident.target.name = name.into();
        deliver(&sink, &incident, None).await;
        let entry = server.entries().pop().expect("an entry");
        assert_eq!(entry.labels.get("target").map_or("", String::as_str), label);
        assert_eq!(entry.at_nanos, i128::from(NOW) * 1_000_000_000);
    }
    let mut long = confirmed();
    long.target.name = "ä\"".repeat(3000);
    long.verdict.sentence = "x".repeat(1 << 20);
    deliver(&sink, &long, None).await;
    assert_eq!(server.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn what_loki_refuses_is_permanent_and_said_in_its_words() {
    let (server, sink) = server().await;
    let old = Incident { updated: WallTime(1_000_000_000.0), ..confirmed() };
    let incidents = &[old];
    let delivery = Delivery { incidents, memory: None, unsure_since: None };
    let error = sink.deliver(delivery).await.expect_err("too old");
    assert_eq!(error.kind, ErrorKind::Permanent, "{error}");
    assert!(error.text.contains("too old"), "{error}");
    let nobody = LokiOptions { tenant: None, ..options(&server.url()) };
    let delivery = Delivery { incidents: &[confirmed()], ..delivery };
    let error = LokiSink::new(nobody).expect("a sink").deliver(delivery).await;
    let error = error.expect_err("no tenant");
    assert!(error.text.contains("401") && error.text.contains("credentials"), "{error}");
}
