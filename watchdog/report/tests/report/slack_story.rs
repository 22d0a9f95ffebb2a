//! What the tests of the Slack sinks share: a story that goes on from delivery to delivery, and evidence for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use watchdog_core::history::Row;
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::{Bytes, Moment, WallTime};
use watchdog_fixtures::slack::{Message, SlackServer, TOKEN};
use watchdog_report::sink::{Delivery, DeliveryError, Evidence, Sink};
use watchdog_report::slack::{SlackOptions, SlackSink};

use crate::sample::confirmed;
use crate::slack::{CHANNEL, options};

/// More steps than any delivery takes.
const MAX_STEPS: usize = 60;

/// A sink and what it remembers.
pub(crate) struct Story<S> {
    pub(crate) sink: S,
    pub(crate) memory: Option<Value>,
}

impl<S: Sink> Story<S> {
    pub(crate) fn new(sink: S) -> Self {
        Self { sink, memory: None }
    }

    /// Takes one step; returns whether another is left.
    pub(crate) async fn step(
        &mut self,
        incidents: &[Incident],
        unsure_since: Option<WallTime>,
    ) -> Result<bool, DeliveryError> {
        let delivery = Delivery { incidents, memory: self.memory.as_ref(), unsure_since };
        let progress = self.sink.deliver(delivery).await?;
        let size = progress.memory.as_ref().map_or(0, |memory| memory.to_string().len());
        assert!(size <= 16 << 10, "{size} bytes of memory");
        self.memory = progress.memory;
        Ok(progress.more)
    }

    /// Takes every step that is left; returns how many there were.
    pub(crate) async fn tell(&mut self, incidents: &[Incident]) -> Result<usize, DeliveryError> {
        for steps in 1..MAX_STEPS {
            if !self.step(incidents, None).await? {
                return Ok(steps);
            }
        }
        panic!("it never ends");
    }
}

/// A server and a sink that posts to a channel given by its id.
pub(crate) async fn story(evidence: Known) -> (SlackServer, Story<SlackSink>) {
    let server = SlackServer::start().await.expect("a server");
    let sink = sink(&server, evidence);
    (server, Story::new(sink))
}

/// A sink of that server.
pub(crate) fn sink(server: &SlackServer, evidence: Known) -> SlackSink {
    let options = SlackOptions {
        runbook: Some("https://runbooks.example/oomen".parse().expect("a url")),
        evidence: Arc::new(evidence),
        ..options(&server.url())
    };
    SlackSink::new(options).expect("a sink")
}

/// Evidence that is there, or not.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known {
    pub(crate) rows: bool,
    pub(crate) profile: Option<usize>,
}

impl Evidence for Known {
    fn series(&self, target: &str) -> Vec<Row> {
        assert!(target.starts_with("recommendations"), "{target}");
        if self.rows { rows() } else { Vec::new() }
    }

    fn profile<'a>(
        &'a self,
        id: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>> {
        Box::pin(
            async move { self.profile.map(|length| id.bytes().cycle().take(length).collect()) },
        )
    }
}

fn rows() -> Vec<Row> {
    let row = |second: u32| Row {
        at: Moment(f64::from(second)),
        wall: WallTime(1_795_269_490.0 + f64::from(second)),
        unreclaimable: Bytes::from_mib(130 + u64::from(second) / 2),
        rss: Bytes::from_mib(140 + u64::from(second) / 2),
        shmem: Bytes(0),
        file: Bytes::from_mib(10),
        limit: Some(Bytes::from_mib(256)),
        allocator: None,
        load: None,
    };
    (0..120).map(row).collect()
}

/// The sample in another state, `seconds` later.
pub(crate) fn later(state: State, seconds: f64) -> Incident {
    let mut incident = confirmed();
    incident.state = state;
    incident.revision = 1 + state as u32;
    incident.updated = incident.updated.plus(seconds);
    if state.is_closed() {
        incident.closed = Some(incident.updated);
        incident.kill = None;
    }
    match state {
        State::Killed => {
            incident.evidence = Some("The cgroup's counter of OOM kills rose from 0 to 1.".into());
        }
        State::Recovered => incident.evidence = Some("The growth stopped.".into()),
        _ => {}
    }
    incident
}

/// That one, before its function is known.
pub(crate) fn unnamed(incident: Incident) -> Incident {
    Incident {
        culprit: None,
        suspects: Vec::new(),
        culprit_pending: Some(
            "no function named yet: 2 of the 3 heap profiles needed are taken".into(),
        ),
        ..incident
    }
}

/// Replicas of one workload in these states.
pub(crate) fn replicas(states: &[State]) -> Vec<Incident> {
    let replica = |(number, state): (usize, &State)| {
        let mut incident = later(*state, 0.0);
        incident.id = format!("recommendations-{number}-1795269549");
        incident.target.name = format!("recommendations-{number}");
        incident.target.workload = Some("recommendations".into());
        incident.target.pod = Some(format!("recommendations-7d9f-{number}"));
        incident
    };
    states.iter().enumerate().map(replica).collect()
}

/// What a server was sent, in short: `post`, `update`, `reply`, `broadcast` and other methods by their name.
pub(crate) fn course(server: &SlackServer) -> Vec<String> {
    let messages = server.messages();
    let mut accepted = messages.iter();
    let requests = server.requests();
    let word = |request: &watchdog_fixtures::slack::Request| {
        let refused = request.refused.is_some();
        let message = match request.method.as_str() {
            "chat.postMessage" | "chat.update" if !refused => accepted.next(),
            _ => None,
        };
        let kind = match (request.method.as_str(), message) {
            ("chat.postMessage", Some(Message { thread_ts: Some(_), .. })) => "reply",
            ("chat.postMessage", _) => "post",
            ("chat.update", _) => "update",
            (method, _) => method,
        };
        if refused { format!("{kind} refused") } else { kind.to_owned() }
    };
    requests.iter().map(word).collect()
}

/// What is read in the channel itself, oldest first: messages, and replies that are shown there as well.
pub(crate) async fn channel(server: &SlackServer) -> Vec<Value> {
    // Another test may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
    let url = format!("{}/api/conversations.history?channel={CHANNEL}", server.url());
    let answer = client.get(url).bearer_auth(TOKEN).send().await.expect("an answer");
    let mut answer: Value = answer.json().await.expect("JSON");
    let mut messages: Vec<Value> =
        serde_json::from_value(answer["messages"].take()).expect("messages");
    messages.reverse();
    messages
}
