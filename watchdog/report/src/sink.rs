//! What a sink is: it makes one delivery of one incident's present state and says whether to retry.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use watchdog_core::incident::Incident;

/// A delivery under way.
pub type Delivery<'a> = Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send + 'a>>;

/// A place where people are told. It keeps no queue, does not retry and need not be quick: the pipeline sees to that.
pub trait Sink: Send + Sync + 'static {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Delivers the incident as it is now. Must bear being cancelled at any point, and being called again after that.
    fn deliver<'a>(&'a self, incident: &'a Incident) -> Delivery<'a>;

    /// Opens what can be opened before it is needed: a report is a race. Nothing by default.
    fn warm_up(&self) -> Delivery<'_> {
        Box::pin(async { Ok(()) })
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

/// A delivery that failed. The text says what failed and how to mend it, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryError {
    /// Whether trying again may help.
    pub kind: ErrorKind,
    /// What failed.
    pub text: String,
}

impl DeliveryError {
    /// A failure that may pass.
    pub fn retry(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Retry { after: None }, text: text.into() }
    }

    /// A refusal that says when to come back.
    pub fn retry_after(after: Option<Duration>, text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Retry { after }, text: text.into() }
    }

    /// A failure that stays.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Permanent, text: text.into() }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for DeliveryError {}
