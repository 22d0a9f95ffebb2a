//! Log lines on their way to Loki: a bounded queue, batches, and retries while the queue has room.
//!
//! Who logs never waits: a line that finds the queue full is dropped and counted.

use std::time::Duration;

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use jiff::Timestamp;
use loki_api::logproto::{EntryAdapter, PushRequest, StreamAdapter};
use loki_api::prost::Message as _;
use loki_api::prost_types::Timestamp as ProtoTimestamp;
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Level, Metadata};
use url::Url;

use crate::peers::Peer;

/// Where Loki takes lines.
const PUSH_PATH: &str = "/loki/api/v1/push";

/// Lines that wait at most; with [`MAX_LINE`] that is 8 MiB.
const QUEUE: usize = 1024;

/// Bytes of a line; the rest is cut off.
const MAX_LINE: usize = 8 << 10;

/// Lines of one push at most.
const BATCH: usize = 256;

/// How long a line waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// How long Loki may take for one push.
const DEADLINE: Duration = Duration::from_secs(5);

/// The pauses between attempts to push a batch; after the last it is dropped. Meanwhile the queue fills.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// What is on the way.
pub(super) struct Loki {
    queue: Queue,
    stopping: CancellationToken,
    task: JoinHandle<()>,
}

/// Takes lines.
#[derive(Clone)]
pub(super) struct Queue {
    lines: mpsc::Sender<Line>,
    lost: IntCounter,
}

struct Line {
    level: Level,
    time: Timestamp,
    text: String,
}

struct Pusher {
    http: reqwest::Client,
    url: Url,
    service: Peer,
    lost: IntCounter,
    stopping: CancellationToken,
}

impl Loki {
    /// Starts the task that pushes. Needs a runtime.
    pub(super) fn start(
        base: &Url,
        service: Peer,
        http: reqwest::Client,
        lost: IntCounter,
    ) -> Self {
        let mut url = base.clone();
        if !url.path().ends_with(PUSH_PATH) {
            url.set_path(&format!("{}{PUSH_PATH}", base.path().trim_end_matches('/')));
        }
        let (lines, waiting) = mpsc::channel(QUEUE);
        let queue = Queue { lines, lost: lost.clone() };
        let stopping = CancellationToken::new();
        let pusher = Pusher { http, url, service, lost, stopping: stopping.clone() };
        Self { queue, stopping, task: tokio::spawn(pusher.run(waiting)) }
    }

    pub(super) fn queue(&self) -> Queue {
        self.queue.clone()
    }

    /// Pushes what waits, each batch tried once more.
    pub(super) async fn stop(self) {
        self.stopping.cancel();
        // It ends by itself; what it could not push it has counted.
        self.task.await.ok();
    }
}

impl Queue {
    /// Takes a line, or counts it as lost. Lines about pushing are left out: each would cause another.
    pub(super) fn offer(&self, metadata: &Metadata<'_>, time: Timestamp, mut text: String) {
        let origin = metadata.target().split("::").next().unwrap_or_default();
        if matches!(origin, "hyper" | "hyper_util" | "reqwest" | "rustls" | "mio") {
            return;
        }
        if text.len() > MAX_LINE {
            text.truncate(text.floor_char_boundary(MAX_LINE));
        }
        if self.lines.try_send(Line { level: *metadata.level(), time, text }).is_err() {
            self.lost.inc();
        }
    }
}

impl Pusher {
    async fn run(self, mut waiting: mpsc::Receiver<Line>) {
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(first) = self.stopping.run_until_cancelled(waiting.recv()).await.flatten() {
            batch.push(first);
            let gather = async {
                while batch.len() < BATCH {
                    let Some(line) = waiting.recv().await else { break };
                    batch.push(line);
                }
            };
            self.stopping.run_until_cancelled(timeout(GATHER, gather)).await;
            self.deliver(std::mem::take(&mut batch)).await;
        }
        waiting.close();
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            self.deliver(std::mem::take(&mut batch)).await;
        }
    }

    async fn deliver(&self, batch: Vec<Line>) {
        let count = batch.len() as u64;
        let Ok(body) = self.encode(batch) else {
            self.lost.inc_by(count);
            return;
        };
        for pause in PAUSES.iter().map(Some).chain([None]) {
            let push = self
                .http
                .post(self.url.clone())
                .header(CONTENT_TYPE, "application/x-protobuf")
                .header(CONTENT_ENCODING, "snappy")
                .timeout(DEADLINE)
                .body(body.clone());
            let passes = match push.send().await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => answer.status().as_u16() == 429 || answer.status().is_server_error(),
                Err(_) => true,
            };
            match pause {
                Some(pause) if passes && !self.stopping.is_cancelled() => {
                    self.stopping.run_until_cancelled(sleep(*pause)).await;
                }
                _ => break,
            }
        }
        self.lost.inc_by(count);
    }

    /// `logproto.PushRequest` of Loki's `push.proto`, compressed with snappy; a stream for each level.
    fn encode(&self, batch: Vec<Line>) -> Result<Vec<u8>, snap::Error> {
        let mut streams: Vec<StreamAdapter> = Vec::new();
        for Line { level, time, text } in batch {
            let level = level.as_str().to_lowercase();
            let service = self.service.name();
            let labels = format!(r#"{{job="shop", level="{level}", service="{service}"}}"#);
            let timestamp =
                ProtoTimestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() };
            let entry = EntryAdapter { timestamp: Some(timestamp), line: text };
            match streams.iter_mut().find(|stream| stream.labels == labels) {
                Some(stream) => stream.entries.push(entry),
                // The hash is for Loki's own parts to fill in.
                None => streams.push(StreamAdapter { labels, entries: vec![entry], hash: 0 }),
            }
        }
        snap::raw::Encoder::new().compress_vec(&PushRequest { streams }.encode_to_vec())
    }
}
