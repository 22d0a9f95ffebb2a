//! The terminal sink: a readable block, or one JSON line, per report.
//!
//! A terminal may stop reading for as long as it likes, so the writing is done by a thread of its own that neither
//! the runtime nor the end of the program waits for.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tokio::sync::oneshot;
use watchdog_core::incident::{Incident, State};

use crate::message;
use crate::sink::{Attempt, Delivery, DeliveryError, Progress, Sink};

/// Frames shown of the culprit's stack.
const MAX_FRAMES: usize = 8;
/// Longer values are cut: a generic Rust function may be thousands of characters long.
const MAX_LINE: usize = 400;

/// How a report looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A block of lines.
    Text {
        /// Whether the state is coloured.
        color: bool,
    },
    /// The incident as one line of JSON.
    Json,
}

/// A block to write, and who waits for it.
type Job = (String, oneshot::Sender<io::Result<()>>);

/// Prints reports.
pub struct TerminalSink {
    format: Format,
    writer: SyncSender<Job>,
}

impl TerminalSink {
    /// Prints to `out`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(out: impl Write + Send + 'static, format: Format) -> io::Result<Self> {
        let (writer, jobs) = sync_channel(1);
        std::thread::Builder::new().name("terminal".into()).spawn(move || write_all(out, &jobs))?;
        Ok(Self { format, writer })
    }

    async fn print(&self, incident: &Incident) -> Result<(), DeliveryError> {
        let text = match self.format {
            Format::Text { color } => text(incident, color),
            Format::Json => json(incident)?,
        };
        let (done, written) = oneshot::channel();
        self.writer.try_send((text, done)).map_err(|error| match error {
            TrySendError::Full(_) => {
                DeliveryError::retry("an earlier report is still being written")
            }
            TrySendError::Disconnected(_) => DeliveryError::permanent("the writing thread ended"),
        })?;
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                Err(DeliveryError::permanent(format!("cannot write the report: {error}")))
            }
            Err(_) => Err(DeliveryError::permanent("the writing thread ended")),
        }
    }
}

impl Sink for TerminalSink {
    fn name(&self) -> &'static str {
        "terminal"
    }

    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> Attempt<'a> {
        Box::pin(async move {
            for incident in delivery.incidents {
                self.print(incident).await?;
            }
            Ok(Progress::done())
        })
    }
}

fn write_all(mut out: impl Write, jobs: &Receiver<Job>) {
    while let Ok((text, done)) = jobs.recv() {
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        // Nobody waits any more when the attempt was given up.
        drop(done.send(written));
    }
}

/// The incident as one line of JSON.
///
/// # Errors
/// When it cannot be serialized.
pub fn json(incident: &Incident) -> Result<String, DeliveryError> {
    serde_json::to_string(incident)
        .map(|line| line + "\n")
        .map_err(|error| DeliveryError::permanent(format!("cannot serialize the report: {error}")))
}

/// The report as a block of lines.
pub fn text(incident: &Incident, color: bool) -> String {
    let state = incident.state.as_str().to_uppercase();
    let state = if color { format!("{}{state}\x1b[0m", paint(incident.state)) } else { state };
    let mut block = format!("{state}  {}\n", line(&message::title(incident)));
    for (label, value) in rows(incident) {
        // Writing to a string cannot fail.
        let _ = writeln!(block, "  {label:<9} {}", line(&value));
    }
    block
}

fn line(text: &str) -> String {
    message::truncated(text, MAX_LINE)
}

/// Bold, with red, yellow or green.
fn paint(state: State) -> &'static str {
    match state {
        State::Imminent | State::Killed => "\x1b[1;31m",
        State::Suspected | State::Confirmed => "\x1b[1;33m",
        State::Recovered => "\x1b[1;32m",
        State::Gone => "\x1b[1m",
    }
}

fn rows(incident: &Incident) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("incident", message::clean(&incident.id)),
        ("target", target(incident)),
        ("memory", message::memory(incident)),
    ];
    rows.extend(message::growth(incident).map(|growth| ("growth", growth)));
    if let Some((forecast, kill)) = message::forecast(incident).zip(incident.kill) {
        rows.push(("forecast", format!("{forecast}, about {}", message::clock(kill.estimate))));
    }
    rows.push(("verdict", message::verdict(incident)));
    rows.extend(culprit_rows(incident));
    if let Some(evidence) = &incident.evidence {
        rows.push(("evidence", message::clean(evidence)));
    }
    rows
}

fn target(incident: &Incident) -> String {
    let target = &incident.target;
    let mut words = vec![message::name(incident), format!("pid {}", target.pid)];
    let parts =
        [("namespace", &target.namespace), ("pod", &target.pod), ("version", &target.version)];
    for (label, value) in parts {
        words.extend(value.as_ref().map(|value| format!("{label} {}", message::clean(value))));
    }
    words.join(", ")
}

fn culprit_rows(incident: &Incident) -> Vec<(&'static str, String)> {
    let Some(culprit) = &incident.culprit else {
        let pending = incident.culprit_pending.as_ref();
        return pending.map(|reason| ("culprit", message::clean(reason))).into_iter().collect();
    };
    let mut rows = vec![("culprit", message::clean(&culprit.frame.function))];
    rows.extend(message::location(&culprit.frame).map(|location| ("", location)));
    rows.push(("", message::share(culprit)));
    rows.extend(message::rate(culprit).map(|rate| ("", rate)));
    rows.extend(message::others(incident).into_iter().map(|other| ("", other)));
    let labels = std::iter::once("stack").chain(std::iter::repeat(""));
    rows.extend(labels.zip(message::stack(culprit, MAX_FRAMES)));
    rows
}
