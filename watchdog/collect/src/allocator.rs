//! Asks a process for its allocator's statistics: `GET /debug/allocator` on its admin port.

use std::time::Duration;

use serde::Deserialize;
use url::Url;
use watchdog_core::sample::Allocator;
use watchdog_core::units::Bytes;

use crate::http::{Endpoint, HttpError};

/// The process answers from memory, over loopback. One that takes longer is stuck, and the tick goes on.
const DEADLINE: Duration = Duration::from_secs(1);
/// A right answer has some 150 bytes.
const MAX_BODY: usize = 64 * 1024;

/// Why there are no statistics. The address is shown without what may be secret in it.
#[derive(Debug, thiserror::Error)]
pub enum AllocatorError {
    /// There is no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The answer is not the JSON object of the allocator's bytes.
    #[error("{url} did not answer with the allocator's JSON: {reason}")]
    NotJson {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Asks one process, one request at a time.
#[derive(Clone, Debug)]
pub struct AllocatorClient(Endpoint);

impl AllocatorClient {
    /// A client for `{base}/debug/allocator`, with a deadline of one second for connection and answer.
    ///
    /// # Errors
    /// When `base` is no plain HTTP address.
    pub fn new(mut base: Url) -> Result<Self, AllocatorError> {
        // An address without a path to extend is refused below.
        if let Ok(mut path) = base.path_segments_mut() {
            path.pop_if_empty().extend(["debug", "allocator"]);
        }
        Ok(Self(Endpoint::new(base, "application/json", DEADLINE, MAX_BODY)?))
    }

    /// The same client with another deadline.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self(self.0.with_deadline(deadline))
    }

    /// One reading.
    ///
    /// # Errors
    /// [`AllocatorError`] when there is no answer or a wrong one.
    pub async fn fetch(&self) -> Result<Allocator, AllocatorError> {
        let mut body = Vec::new();
        self.0.read(|part| body.extend_from_slice(part)).await?;
        match serde_json::from_slice::<Answer>(&body) {
            Ok(answer) => Ok(answer.into()),
            Err(error) => {
                // The text may quote the answer.
                let reason = error.to_string().chars().take(200).collect();
                Err(AllocatorError::NotJson { url: self.0.shown().to_owned(), reason })
            }
        }
    }
}

/// The answer of the probe, all sizes in bytes.
#[derive(Deserialize)]
struct Answer {
    allocated: u64,
    active: u64,
    resident: u64,
    retained: u64,
    mapped: u64,
    metadata: u64,
    profiling: bool,
}

impl From<Answer> for Allocator {
    fn from(answer: Answer) -> Self {
        Self {
            allocated: Bytes(answer.allocated),
            active: Bytes(answer.active),
            resident: Bytes(answer.resident),
            retained: Bytes(answer.retained),
            mapped: Bytes(answer.mapped),
            metadata: Bytes(answer.metadata),
            profiling: answer.profiling,
        }
    }
}
