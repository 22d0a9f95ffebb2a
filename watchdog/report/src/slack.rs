//! The Slack sink: one message per incident, or per workload whose replicas leak at once, completed in place, with a
//! thread for its turns, a plot and heap profiles.
//!
//! `chat.postMessage` is not idempotent and Slack takes no key for it. So each message carries one of its own, the id of
//! its first block, and is looked for when an answer was lost. Where the app may not read the channel it is posted again:
//! a report twice is better than none.

mod api;
mod blocks;
mod connector;
mod failure;
mod files;
mod memory;
mod news;
mod once;
mod plan;
mod post;
mod suspects;
mod text;
pub mod webhook;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use slack_morphism::{SlackChannelId, SlackMessageContent};
use url::Url;
use watchdog_core::incident::Incident;

use crate::plot::Theme;
use crate::sink::{Attempt, Delivery, DeliveryError, Evidence, Habits, Pace, Progress, Sink};
use api::Api;
use blocks::Surroundings;
use memory::Memory;
use once::Once;
use plan::Step;

pub use connector::MAX_ANSWER;

/// Slack takes about one message a second in a channel, and a few at once now and then.
const PACE: Pace = Pace { burst: 4, every: Duration::from_secs(1) };

/// Slack's own address.
pub const API_URL: &str = "https://slack.com/api";

/// Steps of one delivery that may turn out to have nothing to send, such as a message that is found to be there already:
/// what is owed all the same goes out with the same delivery.
const MAX_SILENT: usize = 4;

/// Where and as whom to post, and what is put beside the words.
#[derive(Clone)]
pub struct SlackOptions {
    /// A bot token (`xoxb-…`) with the scope `chat:write`. With `files:write` there are plots and heap profiles, with
    /// `channels:history` (`groups:history` in private channels) no report is told twice when an answer is lost.
    pub token: SecretString,
    /// The channel's id (`C0…`), which is better, or its name, with or without `#`. Slack takes a name for posts alone. The
    /// answer to the first tells the id, which is remembered with the message; if that very answer is lost, nothing can
    /// be looked for, and the report is told twice.
    pub channel: String,
    /// Another address than [`API_URL`]; `/api` is added where it has no path.
    pub api_url: Option<Url>,
    /// Where people reach the watchdog's page; messages link to it.
    pub page: Option<Url>,
    /// What to do about a leak; messages link to it.
    pub runbook: Option<Url>,
    /// Where plots and heap profiles come from.
    pub evidence: Arc<dyn Evidence>,
    /// What plots look like.
    pub theme: Theme,
}

impl fmt::Debug for SlackOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlackOptions").field("channel", &self.channel).finish_non_exhaustive()
    }
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
    #[error("the Slack channel is empty: give its id, or its name")]
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
    api: Api,
    channel: SlackChannelId,
    /// The channel's id, once an answer told it: only posts take its name.
    learned: Mutex<Option<SlackChannelId>>,
    page: Option<Url>,
    runbook: Option<Url>,
    evidence: Arc<dyn Evidence>,
    theme: Theme,
    once: Said,
    /// Answers to look-ups in a row that could not be understood.
    garbled: AtomicU32,
}

/// What is said once, as it stays until somebody mends it.
struct Said {
    history: Once,
    files: Once,
    name: Once,
}

impl Said {
    fn new() -> Self {
        Self {
            history: Once::new(
                "cannot look whether slack took a report whose answer was lost, so it may be told twice: the Slack app \
                 needs the scope channels:history, or groups:history in a private channel, and must be in the channel",
            ),
            files: Once::new(
                "slack reports have no plots and no heap profiles: the Slack app needs the scope files:write",
            ),
            name: Once::new(
                "cannot look whether slack took a report whose answer was lost, so it may be told twice: give the \
                 channel's id instead of its name",
            ),
        }
    }
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
        Ok(Self {
            channel: channel.into(),
            learned: Mutex::new(is_id(channel).then(|| channel.into())),
            api: Api::new(connector::connector(secure)?, &api_url, options.token),
            page: options.page,
            runbook: options.runbook,
            evidence: options.evidence,
            theme: options.theme,
            once: Said::new(),
            garbled: AtomicU32::new(0),
        })
    }

    /// Asks Slack whom the token belongs to, and by that opens a connection. Needs a deadline from outside.
    ///
    /// # Errors
    /// When Slack cannot be reached or refuses the token.
    pub async fn auth_test(&self) -> Result<Account, DeliveryError> {
        let answer = self.api.session().auth_test().await;
        let answer = answer.map_err(|error| self.api.explain(&error))?;
        Ok(Account { team: answer.team, user: answer.user.unwrap_or_default() })
    }

    /// The channel's id, if it is known.
    fn channel_id(&self) -> Option<SlackChannelId> {
        let known = self.learned.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.is_none() {
            self.once.name.say("no answer has told the id yet");
        }
        known
    }

    fn learn(&self, channel: &SlackChannelId) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        *learned = Some(channel.clone());
    }

    /// The message as it should be now.
    fn content(&self, incidents: &[Incident], plot: Option<&str>) -> SlackMessageContent {
        let key = root_key(incidents);
        let (page, runbook) = (self.page.as_ref(), self.runbook.as_ref());
        blocks::content(incidents, Surroundings { page, runbook, plot, key: &key })
    }

    /// A checksum of its words.
    fn words(&self, incidents: &[Incident]) -> u32 {
        // What cannot be written is not sent either.
        let json = serde_json::to_vec(&self.content(incidents, None)).unwrap_or_default();
        crc32fast::hash(&json)
    }

    fn next(&self, memory: &Memory, incidents: &[Incident]) -> Option<Step> {
        let has_rows = |target: &str| !self.evidence.series(target).is_empty();
        plan::next(memory, incidents, self.words(incidents), has_rows)
    }

    async fn take(&self, delivery: Delivery<'_>) -> Result<Progress, DeliveryError> {
        let Delivery { incidents, memory, unsure_since } = delivery;
        if incidents.is_empty() {
            return Ok(Progress::done());
        }
        let mut memory = Memory::read(memory);
        if let Some(root) = &memory.root {
            self.learn(&root.channel);
        }
        memory.told.retain(|key, _| incidents.iter().any(|one| memory::key(one) == *key));
        for _ in 0..MAX_SILENT {
            let Some(step) = self.next(&memory, incidents) else { break };
            let told = match step {
                Step::Post => self.post(&mut memory, incidents, unsure_since).await?,
                Step::Update => self.update(&mut memory, incidents).await?,
                Step::Reply(news) => self.reply(&mut memory, news, unsure_since).await?,
                Step::Plot(place) => self.plot(&mut memory, incidents, place).await?,
                Step::Delete(file) => self.delete(&mut memory, &file).await?,
                Step::Profile { place, dump, ended } => {
                    self.profile(&mut memory, incidents.get(place), dump, ended).await?
                }
            };
            if told {
                break;
            }
        }
        let more = self.next(&memory, incidents).is_some();
        Ok(Progress { memory: memory.written(), more })
    }
}

impl Sink for SlackSink {
    fn name(&self) -> &'static str {
        "slack"
    }

    fn habits(&self) -> Habits {
        Habits { groups: true, refreshes: true, pace: Some(PACE), ..Habits::default() }
    }

    fn deliver<'a>(&'a self, delivery: Delivery<'a>) -> Attempt<'a> {
        Box::pin(self.take(delivery))
    }

    fn warm_up(&self) -> Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send + '_>> {
        Box::pin(async { self.auth_test().await.map(drop) })
    }
}

/// What a message is found by in its channel: the first incident's id, which the group keeps.
fn root_key(incidents: &[Incident]) -> String {
    let id = incidents.first().map(|incident| incident.id.as_str()).unwrap_or_default();
    let plain: String =
        id.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(128).collect();
    format!("oomen:{plain}:{:08x}", crc32fast::hash(id.as_bytes()))
}

/// Whether this is a channel's id: names have no upper case.
fn is_id(channel: &str) -> bool {
    channel.len() >= 9
        && channel.starts_with(['C', 'G', 'D'])
        && channel.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
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
            runbook: None,
            evidence: Arc::new(crate::sink::NoEvidence),
            theme: Theme::Light,
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
