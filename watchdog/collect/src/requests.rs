//! Reads how many requests the process has served, from a counter in its own Prometheus metrics.
//!
//! All series of the counter are summed before the rate is taken, so that an answer of megabytes leaves two numbers
//! behind. What that costs: a series that disappears alone looks like a restart of the whole, which is one gap.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use crate::http::{Endpoint, HttpError};

mod exposition;
mod rate;

use exposition::{Exposition, Found};

pub use rate::{INTERVAL, Rate};

/// Metrics are rendered under load too. The rate is asked for seldom, and nothing waits for it.
const DEADLINE: Duration = Duration::from_secs(5);
/// Ten thousands of series. Only one line at a time is held.
const MAX_BODY: usize = 8 << 20;
/// The text format, without which some servers answer in protobuf.
const ACCEPT: &str = "text/plain;version=0.0.4, */*;q=0.1";

/// Why there is no count. The address is shown without what may be secret in it.
#[derive(Debug, thiserror::Error)]
pub enum RequestsError {
    /// There is no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A line of the counter does not say what it should.
    #[error("{url} line {line}: `{text}` is no series of a counter")]
    Malformed {
        /// The address.
        url: String,
        /// The line, counted from one.
        line: usize,
        /// What stood there, cut to 80 characters.
        text: String,
    },
    /// The metrics say that it may fall.
    #[error(
        "{url} calls `{counter}` a gauge: name a counter that only rises, as http_requests_total"
    )]
    Gauge {
        /// The address.
        url: String,
        /// The metric that was looked for.
        counter: CounterName,
    },
    /// It is counted under another name.
    #[error("{url} calls `{counter}` a {kind}, which is counted as `{counter}_count`: name that")]
    Counted {
        /// The address.
        url: String,
        /// The metric that was looked for.
        counter: CounterName,
        /// What it is: `histogram` or `summary`.
        kind: &'static str,
    },
    /// There is no such counter, or no series of it has a value.
    #[error("{url} has no counter `{counter}`; some appear only after the first request")]
    Missing {
        /// The address.
        url: String,
        /// The metric that was looked for.
        counter: CounterName,
    },
}

/// The name of a counter as its samples bear it, such as `http_requests_total`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterName(String);

impl CounterName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CounterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that cannot be a counter's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("that is no name of a counter: write it without labels, as http_requests_total")]
pub struct CounterNameError;

/// Longer names are a mistake.
const MAX_NAME: usize = 256;

impl FromStr for CounterName {
    type Err = CounterNameError;

    /// Letters, digits, `_` and `:`, as Prometheus' data model has it; the first is no digit.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first = text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        let fits = first && text.len() <= MAX_NAME && text.bytes().all(exposition::is_name);
        if fits { Ok(Self(text.to_owned())) } else { Err(CounterNameError) }
    }
}

/// Asks one process, one request at a time.
#[derive(Clone, Debug)]
pub struct RequestsClient {
    endpoint: Endpoint,
    counter: CounterName,
}

impl RequestsClient {
    /// A client for the metrics at `url`, with a deadline of five seconds for the whole answer.
    ///
    /// # Errors
    /// When `url` is no plain HTTP address.
    pub fn new(url: Url, counter: CounterName) -> Result<Self, RequestsError> {
        Ok(Self { endpoint: Endpoint::new(url, ACCEPT, DEADLINE, MAX_BODY)?, counter })
    }

    /// The same client with another deadline.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { endpoint: self.endpoint.with_deadline(deadline), ..self }
    }

    /// The requests counted so far, over all series of the counter.
    ///
    /// # Errors
    /// [`RequestsError`] when there is no answer, or the counter is not in it.
    pub async fn fetch(&self) -> Result<f64, RequestsError> {
        let mut exposition = Exposition::new(self.counter.as_str());
        self.endpoint.read(|part| exposition.feed(part)).await?;
        let (url, counter) = (self.endpoint.shown().to_owned(), self.counter.clone());
        match exposition.finish() {
            Found::Sum(sum) => Ok(sum),
            Found::Malformed { line, text } => Err(RequestsError::Malformed { url, line, text }),
            Found::Gauge => Err(RequestsError::Gauge { url, counter }),
            Found::Counted(kind) => Err(RequestsError::Counted { url, counter, kind }),
            Found::Nothing => Err(RequestsError::Missing { url, counter }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_prometheus_takes_for_one() {
        for good in ["http_requests_total", "a", "_x9", "job:requests:sum"] {
            assert_eq!(good.parse::<CounterName>().map(|name| name.to_string()), Ok(good.into()));
        }
        for bad in ["", "9x", "http-requests", "x{a=\"b\"}", "rate(x)", "é", &"x".repeat(257)] {
            assert_eq!(bad.parse::<CounterName>(), Err(CounterNameError), "{bad}");
        }
    }
}
