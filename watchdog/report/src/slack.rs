//! The Slack sink: one message per incident, posted once and then updated in place.
//!
//! `chat.postMessage` is not idempotent and Slack takes no key for it: when an answer is lost after Slack accepted the
//! message, the retry posts it again. A report twice is better than none.

mod blocks;
mod connector;
mod failure;
mod posted;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use secrecy::{ExposeSecret, SecretString};
use slack_morphism::prelude::*;
use url::Url;
use watchdog_core::incident::Incident;

use crate::sink::{Attempt, Delivery, DeliveryError, Progress, Sink};
use connector::Connector;
use posted::{Place, Posted};

pub use connector::MAX_ANSWER;

/// Slack's own address.
pub const API_URL: &str = "https://slack.com/api";

/// Where and as whom to post.
#[derive(Clone, Debug)]
pub struct SlackOptions {
    /// A bot token (`xoxb-…`) with the scope `chat:write`.
    pub token: SecretString,
    /// The channel's name, with or without `#`, or its id.
    pub channel: String,
    /// Another address than [`API_URL`]; `/api` is added where it has no path.
    pub api_url: Option<Url>,
    /// Where people reach the watchdog's page; messages link to it.
    pub page: Option<Url>,
}

/// Options that no message can be sent with.
#[derive(Debug, thiserror::Error)]
pub enum SlackConfigError {
    /// The token is empty or has characters that no token has.
    #[error(
        "the Slack token is empty or holds spaces or control characters: give a bot token (xoxb-…) alone"
    )]
    Token,
    /// No channel is given.
    #[error("the Slack channel is empty: give its name or its id")]
    Channel,
    /// The address is not one of HTTP.
    #[error(
        "the Slack API address `{0}` is neither http nor https: leave it out, or give one such as {API_URL}"
    )]
    ApiUrl(Url),
    /// TLS cannot be set up.
    #[error("cannot set up TLS for Slack: {0}; is the package ca-certificates installed?")]
    Tls(String),
}

/// Whom a token belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The workspace.
    pub team: String,
    /// The bot.
    pub user: String,
}

/// Posts reports to one channel.
pub struct SlackSink {
    client: SlackClient<SlackClientHyperConnector<Connector>>,
    token: SlackApiToken,
    secret: SecretString,
    channel: SlackChannelId,
    page: Option<Url>,
    posted: Posted,
}

impl fmt::Debug for SlackSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackSink").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl SlackSink {
    /// Prepares the client, without connecting. Root certificates are only read for an https address.
    ///
    /// # Errors
    /// When no message could ever be sent with these options.
    pub fn new(options: SlackOptions) -> Result<Self, SlackConfigError> {
        let token = options.token.expose_secret();
        if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(SlackConfigError::Token);
        }
        let channel = options.channel.trim();
        if channel.is_empty() {
            return Err(SlackConfigError::Channel);
        }
        let (api_url, secure) = api_url(options.api_url)?;
        if !secure {
            tracing::warn!(
                api_url,
                "the Slack token travels unencrypted, as the address is plain http"
            );
        }
        let connector = SlackClientHyperConnector::with_connector(connector::connector(secure)?);
        Ok(Self {
            client: SlackClient::new(connector.with_slack_api_url(&api_url)),
            token: SlackApiToken::new(token.into()),
            channel: channel.into(),
            page: options.page,
            posted: Posted::default(),
            secret: options.token,
        })
    }

    /// Asks Slack whom the token belongs to, and by that opens a connection. Needs a deadline from outside.
    ///
    /// # Errors
    /// When Slack cannot be reached or refuses the token.
    pub async fn auth_test(&self) -> Result<Account, DeliveryError> {
        let answer = self.client.open_session(&self.token).auth_test().await;
        let answer = answer.map_err(|error| self.explain(&error))?;
        Ok(Account { team: answer.team, user: answer.user.unwrap_or_default() })
    }

    async fn tell(&self, incident: &Incident) -> Result<(), DeliveryError> {
        let content = blocks::content(incident, self.page.as_ref());
        let mut result = self.send(&incident.id, &content).await;
        if let Err(error) = &result
            && failure::is_about_layout(error)
        {
            // Slack's limits move; better a plain report than none.
            tracing::warn!(incident = incident.id, "slack refused the layout, sending plain text");
            let plain = SlackMessageContent { blocks: None, ..content };
            result = self.send(&incident.id, &plain).await;
        }
        result.map_err(|error| self.explain(&error))
    }

    /// Updates the incident's message; posts it if there is none, or none any more.
    async fn send(
        &self,
        id: &str,
        content: &SlackMessageContent,
    ) -> Result<(), errors::SlackClientError> {
        let session = self.client.open_session(&self.token);
        if let Some(place) = self.posted.find(id) {
            let request = SlackApiChatUpdateRequest::new(place.channel, content.clone(), place.ts);
            match session.chat_update(&request).await {
                Err(error) if failure::is_about_a_lost_message(&error) => self.posted.forget(id),
                result => return result.map(drop),
            }
        }
        let request = SlackApiChatPostMessageRequest::new(self.channel.clone(), content.clone())
            .with_unfurl_links(false)
            .with_unfurl_media(false);
        let answer = session.chat_post_message(&request).await?;
        self.posted.remember(id, Place { channel: answer.channel, ts: answer.ts });
        Ok(())
    }

    /// In words. Whatever the server put into its answer, the token is not among them.
    fn explain(&self, error: &errors::SlackClientError) -> DeliveryError {
        let error = failure::explain(error);
        let text = error.text.replace(self.secret.expose_secret(), "[token]");
        DeliveryError { text, ..error }
    }
}

impl Sink for SlackSink {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> Attempt<'a> {
        Box::pin(async move {
            for incident in delivery.incidents {
                self.tell(incident).await?;
            }
            Ok(Progress::done())
        })
    }

    fn warm_up(&self) -> Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send + '_>> {
        Box::pin(async { self.auth_test().await.map(drop) })
    }
}

/// The address as slack-morphism wants it, without a slash at its end, and whether it is https.
fn api_url(url: Option<Url>) -> Result<(String, bool), SlackConfigError> {
    let Some(mut url) = url else { return Ok((API_URL.into(), true)) };
    let secure = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(SlackConfigError::ApiUrl(url)),
    };
    if url.path() == "/" {
        url.set_path("/api");
    }
    Ok((url.as_str().trim_end_matches('/').to_owned(), secure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> SlackOptions {
        SlackOptions {
            token: "xoxb-secret".into(),
            channel: "#alerts".into(),
            api_url: Some("http://127.0.0.1:1".parse().expect("a url")),
            page: None,
        }
    }

    #[test]
    fn the_api_path_is_added_where_it_is_missing() {
        let address = |url: &str| api_url(Some(url.parse().expect("a url"))).expect("an address");
        assert_eq!(address("http://127.0.0.1:80"), ("http://127.0.0.1/api".into(), false));
        assert_eq!(address("https://slack.com/api/"), ("https://slack.com/api".into(), true));
        assert_eq!(api_url(None).expect("an address"), (API_URL.into(), true));
    }

    #[test]
    fn options_that_cannot_work_are_refused_with_the_way_to_mend_them() {
        let refused = |options| SlackSink::new(options).expect_err("refused").to_string();
        for token in ["", "xoxb secret", "xoxb-secret\n"] {
            let text = refused(SlackOptions { token: token.into(), ..options() });
            assert!(text.contains("xoxb-…") && !text.contains("secret"), "{text}");
        }
        assert!(refused(SlackOptions { channel: " ".into(), ..options() }).contains("channel"));
        let url = Some("ftp://slack.com".parse().expect("a url"));
        assert!(refused(SlackOptions { api_url: url, ..options() }).contains("https"));
    }

    #[test]
    fn the_token_is_in_no_debug_text() {
        let sink = SlackSink::new(options()).expect("a sink");
        let text = format!("{:?} {sink:?}", options());
        assert!(text.contains("#alerts") && !text.contains("xoxb-secret"), "{text}");
    }
}
