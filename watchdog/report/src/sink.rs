//! What a sink is: it takes one step towards telling the present state of some incidents, and says whether to retry.
//!
//! A step is one message, one file, one push: what may be cut short and repeated alone. The pipeline calls again until
//! nothing is left, and puts what is more urgent – another incident that nobody was told of – in between.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;
use watchdog_core::history::Row;
use watchdog_core::incident::Incident;
use watchdog_core::units::WallTime;

/// A step under way.
pub type Attempt<'a> = Pin<Box<dyn Future<Output = Result<Progress, DeliveryError>> + Send + 'a>>;

/// A place where people are told. It keeps no queue, does not retry and need not be quick: the pipeline sees to that.
pub trait Sink: Send + Sync + 'static {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// How it wants to be called.
    fn habits(&self) -> Habits {
        Habits::default()
    }

    /// Takes the most urgent step that is left. Must bear being cancelled at any point, and being called again after that.
    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> Attempt<'a>;

    /// Opens what can be opened before it is needed: a report is a race. Nothing by default.
    fn warm_up(&self) -> Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send + '_>> {
        Box::pin(async { Ok(()) })
    }
}

/// How a sink wants to be called.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Habits {
    /// It tells several replicas that leak at once in one message; else every delivery is of one incident.
    pub groups: bool,
    /// It wants the figures between two pieces of news as well.
    pub refreshes: bool,
    /// It is told of what is only suspected as well.
    pub suspicions: bool,
    /// How many steps it may be asked for.
    pub pace: Option<Pace>,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Steps that may follow each other at once.
    pub burst: u32,
    /// After which a further one is allowed.
    pub every: Duration,
}

/// What is to be told.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The incidents of one group, the one that began it first; never empty.
    pub incidents: &'a [Incident],
    /// What the sink's last step for this group gave to be remembered, over restarts as well.
    pub memory: Option<&'a Value>,
    /// An attempt since then may have been taken without its answer reaching us: what cannot be taken back is looked for
    /// before it is done again.
    pub unsure_since: Option<WallTime>,
}

/// A step that worked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// What to remember; replaces what was remembered before.
    pub memory: Option<Value>,
    /// Whether another step is left.
    pub more: bool,
}

impl Progress {
    /// All is told, and there is nothing to remember.
    pub fn done() -> Self {
        Self::default()
    }
}

/// What messages are illustrated with.
pub trait Evidence: Send + Sync + 'static {
    /// The rows of a target's plot, oldest first; empty where none are known. Does not block.
    fn series(&self, target: &str) -> Vec<Row>;

    /// The stored heap dump of this id as a pprof file, `None` where it is gone or too large.
    fn profile<'a>(
        &'a self,
        id: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>>;
}

/// Messages without illustrations.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvidence;

impl Evidence for NoEvidence {
    fn series(&self, _target: &str) -> Vec<Row> {
        Vec::new()
    }

    fn profile<'a>(
        &'a self,
        _id: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>> {
        Box::pin(async { None })
    }
}

/// Whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It may.
    Retry {
        /// The receiver takes nothing at all before this time has passed.
        after: Option<Duration>,
    },
    /// It will not, before somebody mends the configuration.
    Permanent,
}

/// A step that failed. The text says what failed and how to mend it, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryError {
    /// Whether trying again may help.
    pub kind: ErrorKind,
    /// Whether the receiver may have taken it all the same: no answer came, or one that does not say.
    pub unsure: bool,
    /// What failed.
    pub text: String,
}

impl DeliveryError {
    /// A failure that may pass, of which it is not known how far it came.
    pub fn unsure(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Retry { after: None }, unsure: true, text: text.into() }
    }

    /// A failure that may pass; the receiver has taken nothing.
    pub fn retry(text: impl Into<String>) -> Self {
        Self::retry_after(None, text)
    }

    /// A refusal that says when to come back.
    pub fn retry_after(after: Option<Duration>, text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Retry { after }, unsure: false, text: text.into() }
    }

    /// A failure that stays.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Permanent, unsure: false, text: text.into() }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for DeliveryError {}
