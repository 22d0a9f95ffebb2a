//! The lesser way into Slack: an incoming webhook. It answers with no more than "ok", so nothing that was posted can be
//! changed, answered or found again.
//!
//! It therefore posts at the turns alone: the first report, a replica that joins, a near kill, the function's name unless
//! an earlier post held it, and the end.

use std::fmt;

use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use slack_morphism::SlackMessageContent;
use url::Url;
use watchdog_core::incident::{Incident, State};

use super::blocks::{self, Surroundings};
use super::{PACE, memory, root_key};
use crate::http::{Endpoint, EndpointError, HttpOptions};
use crate::sink::{Attempt, Delivery, DeliveryError, Habits, Progress, Sink};

/// An address that no message can be sent to.
#[derive(Debug, thiserror::Error)]
pub enum WebhookConfigError {
    /// It is no address at all. It is a secret, so it is not shown.
    #[error(
        "the Slack webhook is no address: give the whole of https://hooks.slack.com/services/… that Slack shows for it"
    )]
    Address,
    /// It cannot be used.
    #[error("the Slack webhook cannot be used: {0}")]
    Endpoint(#[from] EndpointError),
}

/// Posts reports through an incoming webhook.
pub struct SlackWebhookSink {
    endpoint: Endpoint,
    page: Option<Url>,
    runbook: Option<Url>,
}

impl fmt::Debug for SlackWebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackWebhookSink")
            .field("host", &self.endpoint.shown())
            .finish_non_exhaustive()
    }
}

/// What was posted of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Posted {
    incidents: Vec<String>,
    near: bool,
    killed: bool,
    named: bool,
    over: bool,
}

impl Posted {
    fn read(memory: Option<&serde_json::Value>) -> Self {
        memory.and_then(|memory| Self::deserialize(memory).ok()).unwrap_or_default()
    }

    /// What is posted once these are, on top of what was.
    fn with(&self, incidents: &[Incident]) -> Self {
        let any = |state| incidents.iter().any(|incident| incident.state == state);
        Self {
            incidents: incidents.iter().map(memory::key).collect(),
            near: self.near || any(State::Imminent),
            killed: self.killed || any(State::Killed),
            named: self.named || incidents.iter().any(|incident| incident.culprit.is_some()),
            over: incidents.iter().all(|incident| incident.state.is_closed()),
        }
    }

    /// Whether `next` holds something that people were not told.
    fn lacks(&self, next: &Self) -> bool {
        (next.near && !self.near)
            || (next.killed && !self.killed)
            || (next.named && !self.named)
            || (next.over && !self.over)
            || next.incidents.iter().any(|incident| !self.incidents.contains(incident))
    }
}

impl SlackWebhookSink {
    /// Prepares the client, without connecting. `url` is the webhook's address, which is a secret; messages link to `page`
    /// and `runbook`.
    ///
    /// # Errors
    /// When the address is none, or TLS cannot be set up.
    pub fn new(
        url: &SecretString,
        page: Option<Url>,
        runbook: Option<Url>,
    ) -> Result<Self, WebhookConfigError> {
        let url: Url =
            url.expose_secret().trim().parse().map_err(|_| WebhookConfigError::Address)?;
        let endpoint = Endpoint::new(&url, "", &HttpOptions::default())?;
        Ok(Self { endpoint, page, runbook })
    }

    async fn take(&self, delivery: Delivery<'_>) -> Result<Progress, DeliveryError> {
        let posted = Posted::read(delivery.memory);
        let next = posted.with(delivery.incidents);
        if posted.lacks(&next) {
            self.post(delivery.incidents).await?;
        }
        Ok(Progress { memory: serde_json::to_value(next).ok(), more: false })
    }

    async fn post(&self, incidents: &[Incident]) -> Result<(), DeliveryError> {
        let key = root_key(incidents);
        let (page, runbook) = (self.page.as_ref(), self.runbook.as_ref());
        let around = Surroundings { page, runbook, plot: None, key: &key };
        let content = blocks::content(incidents, around);
        let sent = self.send(&content).await;
        match sent {
            Err(error) if error.text.contains("blocks") => {
                // Slack's limits move; better a plain report than none.
                tracing::warn!(error = error.text, "slack refused the layout, sending plain text");
                self.send(&SlackMessageContent { blocks: None, ..content }).await
            }
            sent => sent,
        }
    }

    async fn send(&self, content: &SlackMessageContent) -> Result<(), DeliveryError> {
        let body = serde_json::to_vec(content).map_err(|error| {
            DeliveryError::permanent(format!("the message cannot be written as JSON: {error}"))
        })?;
        self.endpoint.post("application/json; charset=utf-8", HeaderMap::new(), body).await
    }
}

impl Sink for SlackWebhookSink {
    fn name(&self) -> &'static str {
        "slack-webhook"
    }

    fn habits(&self) -> Habits {
        Habits { groups: true, refreshes: false, pace: Some(PACE), ..Habits::default() }
    }

    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> Attempt<'a> {
        Box::pin(self.take(delivery))
    }
}
