//! The Alertmanager sink: an incident as alerts, for whoever routes, silences and inhibits there already.
//!
//! Several Alertmanagers of a cluster do not pass alerts on to each other, so each is sent every alert. It is a success if
//! one took it: that one tells people. One that was away gets what is open within a minute, with the next refresh, and
//! ends by itself what it missed the end of. What to route and inhibit there is in `docs/alertmanager.md`.

mod alert;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::header::HeaderMap;
use url::Url;

use crate::http::{Endpoint, EndpointError, HttpOptions};
use crate::labels::{self, LabelError};
use crate::sink::{Attempt, Delivery, DeliveryError, ErrorKind, Habits, Progress, Sink};
use alert::{Alert, Context, Labels, Memory, OWN_LABELS, alerts};

/// Where Alertmanager takes alerts.
pub const ALERTS_PATH: &str = "/api/v2/alerts";

/// Labels are kept with every alert by everybody that handles it; what is written here is remembered per incident too.
const MAX_LABELS: usize = 16;

/// Where to send alerts.
#[derive(Clone)]
pub struct AlertmanagerOptions {
    /// The address of every Alertmanager of the cluster, with or without [`ALERTS_PATH`].
    pub urls: Vec<Url>,
    /// Further labels of every alert, such as the cluster's or the team's name.
    pub labels: Labels,
    /// Where people reach the watchdog's page; alerts link to it as their source.
    pub page: Option<Url>,
    /// What to do about a leak, where it is not the project's own page on each alert.
    pub runbook: Option<Url>,
    /// Credentials, headers, deadline; the same for all of them.
    pub http: HttpOptions,
}

/// Options that no alert can be sent with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlertmanagerConfigError {
    /// No address.
    #[error(
        "alertmanager: no address is given: name every Alertmanager of the cluster, such as http://alertmanager:9093"
    )]
    NoAddress,
    /// An address or the credentials cannot be used.
    #[error("alertmanager: {0}")]
    Endpoint(#[from] EndpointError),
    /// A label cannot be used.
    #[error("alertmanager: {0}")]
    Labels(#[from] LabelError),
}

struct Receiver {
    endpoint: Endpoint,
    /// It did not take the last delivery, although another one did; said once, not every minute.
    missed: AtomicBool,
}

/// Sends alerts to every Alertmanager of a cluster.
pub struct AlertmanagerSink {
    receivers: Vec<Receiver>,
    labels: Labels,
    page: Option<Url>,
    runbook: Option<Url>,
}

impl fmt::Debug for AlertmanagerSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints: Vec<_> = self.receivers.iter().map(|one| &one.endpoint).collect();
        f.debug_struct("AlertmanagerSink").field("endpoints", &endpoints).finish_non_exhaustive()
    }
}

impl AlertmanagerSink {
    /// A sink that sends to all of `options.urls`.
    ///
    /// # Errors
    /// When there is no address, or one of them, the credentials or a label cannot be used.
    pub fn new(options: AlertmanagerOptions) -> Result<Self, AlertmanagerConfigError> {
        labels::check(&options.labels, &OWN_LABELS, MAX_LABELS)?;
        let receiver = |url| -> Result<Receiver, EndpointError> {
            // The same alert twice is one alert.
            let endpoint = Endpoint::new(url, ALERTS_PATH, &options.http)?.repeatable();
            Ok(Receiver { endpoint, missed: AtomicBool::new(false) })
        };
        let receivers = options.urls.iter().map(receiver).collect::<Result<Vec<_>, _>>()?;
        if receivers.is_empty() {
            return Err(AlertmanagerConfigError::NoAddress);
        }
        let AlertmanagerOptions { labels, page, runbook, .. } = options;
        Ok(Self { receivers, labels, page, runbook })
    }

    async fn send(&self, alerts: &[Alert]) -> Result<(), DeliveryError> {
        let body = serde_json::to_vec(alerts).map_err(|error| {
            DeliveryError::permanent(format!("no alert can be made of the incident: {error}"))
        })?;
        let posts = self.receivers.iter().map(|receiver| {
            receiver.endpoint.post("application/json", HeaderMap::new(), body.clone())
        });
        let results = join_all(posts).await;
        if results.iter().all(Result::is_err) {
            return Err(together(results.into_iter().filter_map(Result::err)));
        }
        for (receiver, result) in self.receivers.iter().zip(&results) {
            receiver.note(result.as_ref().err());
        }
        Ok(())
    }
}

impl Receiver {
    /// Another one took the alerts, and this one did or did not.
    fn note(&self, error: Option<&DeliveryError>) {
        let missed = self.missed.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !missed => {
                tracing::warn!(%error, "one alertmanager did not take the alerts, another one did");
            }
            None if missed => {
                let alertmanager = self.endpoint.shown();
                tracing::info!(alertmanager, "this alertmanager takes alerts again");
            }
            _ => {}
        }
    }
}

impl Sink for AlertmanagerSink {
    fn name(&self) -> &'static str {
        "alertmanager"
    }

    fn habits(&self) -> Habits {
        Habits { refreshes: true, ..Habits::default() }
    }

    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> Attempt<'a> {
        Box::pin(async move {
            let Some(incident) = delivery.incidents.first() else { return Ok(Progress::done()) };
            let Some(first) = self.receivers.first() else { return Ok(Progress::done()) };
            let now = first.endpoint.now();
            let (page, runbook) = (self.page.as_ref(), self.runbook.as_ref());
            let context = Context { labels: &self.labels, page, runbook, now };
            let (alerts, memory) = alerts(incident, &Memory::read(delivery.memory), context);
            if !alerts.is_empty() {
                self.send(&alerts).await?;
            }
            Ok(Progress { memory: memory.value(), more: false })
        })
    }
}

/// What the failures of all mean: to be tried again as soon as one may take it.
fn together(errors: impl Iterator<Item = DeliveryError>) -> DeliveryError {
    let joined = errors.reduce(|one, other| DeliveryError {
        kind: match (one.kind, other.kind) {
            (ErrorKind::Retry { after: a }, ErrorKind::Retry { after: b }) => {
                ErrorKind::Retry { after: sooner(a, b) }
            }
            (retry @ ErrorKind::Retry { .. }, _) | (_, retry) => retry,
        },
        unsure: one.unsure || other.unsure,
        text: format!("{}; {}", one.text, other.text),
    });
    joined.unwrap_or_else(|| DeliveryError::permanent("no alertmanager is configured"))
}

/// The shorter pause; none is the shortest.
fn sooner(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    Some(one?.min(other?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failures_of_all_are_tried_again_as_soon_as_one_may_take_it() {
        let after =
            |seconds| DeliveryError::retry_after(Some(Duration::from_secs(seconds)), "busy");
        let all = |errors: Vec<DeliveryError>| together(errors.into_iter());
        let asked = |seconds| ErrorKind::Retry { after: Some(Duration::from_secs(seconds)) };
        assert_eq!(all(vec![after(9), after(3)]).kind, asked(3));
        let free = all(vec![after(9), DeliveryError::retry("refused")]);
        assert_eq!(free.kind, ErrorKind::Retry { after: None });
        let wrong = DeliveryError::permanent("wrong");
        assert_eq!(all(vec![wrong.clone(), after(9)]).kind, asked(9));
        let both = all(vec![wrong.clone(), wrong]);
        assert_eq!((both.kind, both.text.as_str()), (ErrorKind::Permanent, "wrong; wrong"));
    }

    #[test]
    fn an_address_is_needed_and_no_label_may_be_set_twice() {
        let options = |urls: &[&str], label: (&str, &str)| AlertmanagerOptions {
            urls: urls.iter().map(|url| url.parse().expect("a URL")).collect(),
            labels: Labels::from([(label.0.to_owned(), label.1.to_owned())]),
            page: None,
            runbook: None,
            http: HttpOptions::default(),
        };
        let refused = |options| AlertmanagerSink::new(options).expect_err("refused");
        let url = ["http://127.0.0.1:9093"];
        assert_eq!(refused(options(&[], ("a", "b"))), AlertmanagerConfigError::NoAddress);
        let own = refused(options(&url, ("severity", "page")));
        let reserved = LabelError::Own("severity".into());
        assert_eq!(own, AlertmanagerConfigError::Labels(reserved));
        let scheme = refused(options(&["ftp://h/"], ("a", "b"))).to_string();
        assert!(scheme.contains("`ftp:`"), "{scheme}");
    }
}
