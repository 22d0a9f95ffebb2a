//! The calls to Slack's API: as whom, and what of their failures may be said.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use slack_morphism::errors::SlackClientError;
use slack_morphism::prelude::*;
use url::Url;

use super::connector::Connector;
use super::failure;
use super::memory::Place;
use crate::sink::DeliveryError;

type Session<'a> = SlackClientSession<'a, SlackClientHyperConnector<Connector>>;

/// Messages asked for at once: if all were as large as Slack takes them, the answer would still be below the bound.
const PAGE: usize = 40;

/// Who calls, and where.
pub(super) struct Api {
    client: SlackClient<SlackClientHyperConnector<Connector>>,
    token: SlackApiToken,
    secret: SecretString,
}

/// Messages of a channel or a thread, as far as they matter here. slack-morphism's own type refuses the whole answer for
/// one message of another app that it does not know.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) messages: Vec<Found>,
    response_metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    next_cursor: Option<String>,
}

/// A message that was found.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) ts: SlackTs,
    blocks: Option<Vec<Value>>,
}

impl Found {
    /// What the message is found by: the id of its first block.
    pub(super) fn key(&self) -> Option<&str> {
        self.blocks.as_ref()?.first()?["block_id"].as_str()
    }
}

impl Page {
    /// Where the next page begins, if there is one.
    pub(super) fn next(&self) -> Option<&String> {
        let cursor = self.response_metadata.as_ref()?.next_cursor.as_ref()?;
        Some(cursor).filter(|cursor| !cursor.is_empty())
    }
}

impl Api {
    pub(super) fn new(connector: Connector, api_url: &str, secret: SecretString) -> Self {
        let connector = SlackClientHyperConnector::with_connector(connector);
        Self {
            client: SlackClient::new(connector.with_slack_api_url(api_url)),
            token: SlackApiToken::new(secret.expose_secret().into()),
            secret,
        }
    }

    pub(super) fn session(&self) -> Session<'_> {
        self.client.open_session(&self.token)
    }

    /// In words. Whatever the server put into its answer, the token is not among them.
    pub(super) fn explain(&self, error: &SlackClientError) -> DeliveryError {
        let error = failure::explain(error);
        let text = error.text.replace(self.secret.expose_secret(), "[token]");
        DeliveryError { text, ..error }
    }

    /// Messages after `oldest`: of the thread of `root`, else of the channel.
    pub(super) async fn messages(
        &self,
        channel: &SlackChannelId,
        root: Option<&Place>,
        oldest: &str,
        cursor: Option<&String>,
    ) -> Result<Page, SlackClientError> {
        let method = if root.is_some() { "conversations.replies" } else { "conversations.history" };
        let (oldest, limit) = (oldest.to_owned(), PAGE.to_string());
        let parameters = vec![
            ("channel", Some(&channel.0)),
            ("ts", root.map(|root| &root.ts.0)),
            ("oldest", Some(&oldest)),
            ("limit", Some(&limit)),
            ("cursor", cursor),
        ];
        self.session().http_session_api.http_get(method, &parameters, None).await
    }

    /// Sends a file's bytes. Without the token: the address is one that an answer named.
    pub(super) async fn send_file(
        &self,
        to: Url,
        bytes: &[u8],
        content_type: &str,
    ) -> Result<(), SlackClientError> {
        let span = tracing::debug_span!("slack upload");
        let context = SlackClientApiCallContext {
            rate_control_params: None,
            token: None,
            tracing_span: &span,
            is_sensitive_url: true,
        };
        let connector = &self.client.http_api.connector;
        let sent: Result<Value, _> =
            connector.http_post_uri_binary(to, content_type.into(), bytes, context).await;
        sent.map(drop)
    }
}
