//! The Loki sink: what is pushed, read back as Loki reads it.

use std::collections::BTreeMap;

use prost::Message;
use serde_json::Value;
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;
use watchdog_fixtures::hostile::{HostileServer, Mode, Received};
use watchdog_report::http::HttpOptions;
use watchdog_report::loki::{LokiOptions, LokiSink};
use watchdog_report::sink::{Delivery, Progress, Sink};

use crate::sample::confirmed;

/// `logproto.PushRequest`, by another hand than the sink's: field by field as `push.proto` numbers them.
#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<StreamAdapter>,
}

#[derive(Clone, PartialEq, Message)]
struct StreamAdapter {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<EntryAdapter>,
}

#[derive(Clone, PartialEq, Message)]
struct EntryAdapter {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    line: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn options(url: &str) -> LokiOptions {
    LokiOptions {
        url: url.parse().expect("a URL"),
        tenant: Some("team-a".into()),
        labels: BTreeMap::from([("cluster".to_owned(), "blue".to_owned())]),
        page: None,
        http: HttpOptions::default(),
    }
}

async fn server() -> (HostileServer, LokiSink) {
    let server = HostileServer::start(Mode::Status(204)).await.expect("a server");
    let sink = LokiSink::new(options(&server.url())).expect("a sink");
    (server, sink)
}

async fn deliver(sink: &LokiSink, incident: &Incident, memory: Option<&Value>) -> Progress {
    let incidents = std::slice::from_ref(incident);
    let delivery = Delivery { incidents, memory, unsure_since: None };
    sink.deliver(delivery).await.expect("delivered")
}

/// The labels, the time and the line of a push.
fn read(request: &Received) -> (String, Timestamp, Value) {
    let body = snap::raw::Decoder::new().decompress_vec(&request.body).expect("snappy");
    let push = PushRequest::decode(body.as_slice()).expect("a push");
    let [stream] = push.streams.as_slice() else { panic!("{push:?}") };
    let [entry] = stream.entries.as_slice() else { panic!("{push:?}") };
    let line = serde_json::from_str(&entry.line).expect("JSON");
    (stream.labels.clone(), entry.timestamp.expect("a time"), line)
}

#[tokio::test]
async fn a_piece_of_news_is_one_line_and_is_pushed_once() {
    let (server, sink) = server().await;
    let news = Incident { revision: 2, updated: WallTime(1_795_269_610.25), ..confirmed() };
    let progress = deliver(&sink, &news, None).await;
    deliver(&sink, &news, progress.memory.as_ref()).await;
    let received = server.received();
    assert_eq!(received.len(), 1);
    let request = &received[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/loki/api/v1/push"));
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-scope-orgid", "team-a"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let (labels, time, line) = read(request);
    assert_eq!(
        labels,
        r#"{cluster="blue", job="oomen", kind="heap-leak", namespace="shop", state="confirmed", target="recommendations"}"#
    );
    assert_eq!((time.seconds, time.nanos), (1_795_269_610, 250_000_000));
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
async fn the_same_news_again_is_the_same_line_at_the_same_time() {
    let (server, sink) = server().await;
    for _ in 0..2 {
        deliver(&sink, &confirmed(), None).await;
    }
    let received = server.received();
    assert_eq!(received[0].body, received[1].body);
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
    for (request, state) in server.received().iter().zip(State::ALL) {
        let expected = format!(
            r#"{{cluster="blue", job="oomen", kind="heap-leak", namespace="shop", state="{}", target="recommendations"}}"#,
            state.as_str()
        );
        assert_eq!(read(request).0, expected);
    }
}

#[tokio::test]
async fn names_and_times_that_loki_refuses_are_made_fit() {
    let (server, sink) = server().await;
    let mut incident = Incident { updated: WallTime(f64::NAN), ..confirmed() };
    incident.target.name = "a\"b\\c\nd\u{fffd}e".into();
    deliver(&sink, &incident, None).await;
    let (labels, time, _) = read(&server.received()[0]);
    assert!(labels.contains(r#"target="a\"b\\c_d_e""#), "{labels}");
    let now = jiff::Timestamp::now().as_second();
    assert!((now - 60..=now).contains(&time.seconds), "{time:?}");
}
