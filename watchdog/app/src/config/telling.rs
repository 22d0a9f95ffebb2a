//! What of the configuration is about telling people: Slack, Alertmanager, Loki, a webhook, OTLP.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::section::Section;
use super::{Config, Environment, read_secret};
use crate::cli::WatchArgs;
use crate::otlp::OtlpConfig;

/// Alertmanagers of one cluster; three are usual.
const MAX_ALERTMANAGERS: usize = 8;
/// Labels or headers of the configuration; each is sent with every report.
const MAX_PAIRS: usize = 16;

/// Where people are told beside the terminal.
#[derive(Debug, Default)]
pub struct TellingConfig {
    /// What reports name as the runbook; the project's own by default.
    pub runbook: Option<Url>,
    /// Slack.
    pub slack: Option<SlackConfig>,
    /// Alertmanager.
    pub alertmanager: Option<AlertmanagerConfig>,
    /// Loki.
    pub loki: Option<LokiConfig>,
    /// A program of the user's own.
    pub webhook: Option<WebhookConfig>,
    /// An OpenTelemetry collector, for the watchdog's own traces and logs.
    pub otlp: Option<OtlpConfig>,
}

/// How to reach Slack.
#[derive(Debug)]
pub enum SlackConfig {
    /// As a bot: one message that is updated, a thread, files.
    Bot {
        /// Channel name or id.
        channel: String,
        /// Bot token.
        token: SecretString,
        /// API address, where it is not Slack's own.
        api_url: Option<Url>,
        /// Whether plots are drawn for a dark background.
        dark: bool,
    },
    /// By an incoming webhook, whose address is the secret: messages that cannot be changed.
    Webhook(SecretString),
}

/// How to reach Alertmanager.
#[derive(Debug)]
pub struct AlertmanagerConfig {
    /// Every instance of the cluster.
    pub urls: Vec<Url>,
    /// Bearer token, where they want one.
    pub token: Option<SecretString>,
    /// Labels that every alert gets.
    pub labels: Vec<(String, String)>,
}

/// How to reach Loki.
#[derive(Debug)]
pub struct LokiConfig {
    /// Its address.
    pub url: Url,
    /// Bearer token, where it wants one.
    pub token: Option<SecretString>,
    /// `X-Scope-OrgID`, where it has several tenants.
    pub tenant: Option<String>,
    /// Labels that every line gets.
    pub labels: Vec<(String, String)>,
}

/// How to reach a program of the user's own.
#[derive(Debug)]
pub struct WebhookConfig {
    /// Its address, which may hold a secret.
    pub url: SecretString,
    /// What deliveries are signed with.
    pub secret: Option<SecretString>,
}

impl Config {
    pub(super) fn read_telling(
        &mut self,
        root: &mut Section,
        args: &WatchArgs,
        environment: Environment,
    ) {
        self.telling = TellingConfig {
            runbook: root.parsed("runbook_url"),
            slack: read_slack(root, args, environment),
            alertmanager: read_alertmanager(root),
            loki: read_loki(root),
            webhook: read_webhook(root),
            otlp: read_otlp(root),
        };
    }
}

fn read_slack(
    root: &mut Section,
    args: &WatchArgs,
    environment: Environment,
) -> Option<SlackConfig> {
    let present = root.has("slack") || args.slack_channel.is_some();
    let mut section = root.section("slack");
    let channel = args.slack_channel.clone().or(section.string("channel"));
    let file = args.slack_token_file.clone().or(section.string("token_file").map(PathBuf::from));
    let webhook = section.string("webhook_file").map(PathBuf::from);
    let api_url = args.slack_api_url.clone().or(section.parsed("api_url"));
    let dark = section.boolean("dark_plots").unwrap_or(false);
    let slack = match webhook {
        _ if !present => None,
        Some(webhook) => {
            if channel.is_some() || file.is_some() {
                section.mistake("webhook_file", "is instead of channel and token_file: say either");
            }
            read_secret(&mut section, "webhook_file", &webhook).map(SlackConfig::Webhook)
        }
        None => {
            let token = match file {
                Some(file) => read_secret(&mut section, "token_file", &file),
                None => environment.slack_token,
            };
            if token.is_none() {
                section.mistake(
                    "token_file",
                    "no Slack token: name a file that holds it, or set OOMEN_SLACK_TOKEN",
                );
            }
            if channel.is_none() {
                section.mistake("channel", "is missing: the channel to tell, as \"#oncall\"");
            }
            let both = channel.zip(token);
            both.map(|(channel, token)| SlackConfig::Bot { channel, token, api_url, dark })
        }
    };
    root.absorb(section);
    slack
}

fn read_alertmanager(root: &mut Section) -> Option<AlertmanagerConfig> {
    let present = root.has("alertmanager");
    let mut section = root.section("alertmanager");
    if present && !section.has("urls") {
        section.mistake("urls", "is missing: every instance, as [\"http://127.0.0.1:9093\"]");
    }
    let texts = section.strings("urls", MAX_ALERTMANAGERS).unwrap_or_default();
    let urls: Vec<Url> = texts.iter().filter_map(|text| http(&mut section, "urls", text)).collect();
    let token = token(&mut section);
    let labels = section.pairs("labels", MAX_PAIRS);
    root.absorb(section);
    (!urls.is_empty()).then_some(AlertmanagerConfig { urls, token, labels })
}

fn read_loki(root: &mut Section) -> Option<LokiConfig> {
    let present = root.has("loki");
    let mut section = root.section("loki");
    let url = required(&mut section, "url", present, "the server, as \"http://127.0.0.1:3100\"");
    let token = token(&mut section);
    let tenant = section.string("tenant");
    let labels = section.pairs("labels", MAX_PAIRS);
    root.absorb(section);
    url.map(|url| LokiConfig { url, token, tenant, labels })
}

fn read_webhook(root: &mut Section) -> Option<WebhookConfig> {
    let present = root.has("webhook");
    let mut section = root.section("webhook");
    let file = section.string("url_file").map(PathBuf::from);
    let url = match file {
        // An address with a secret in it belongs into a file as other secrets do.
        Some(file) => read_secret(&mut section, "url_file", &file),
        None => required(&mut section, "url", present, "as \"https://example.org/oomen\"")
            .map(|url| SecretString::from(url.as_str())),
    };
    let secret = section.string("secret_file").map(PathBuf::from);
    let secret = secret.and_then(|file| read_secret(&mut section, "secret_file", &file));
    root.absorb(section);
    url.map(|url| WebhookConfig { url, secret })
}

fn read_otlp(root: &mut Section) -> Option<OtlpConfig> {
    let present = root.has("otlp");
    let mut section = root.section("otlp");
    let what = "the collector, as \"http://127.0.0.1:4318\"";
    let endpoint = required(&mut section, "endpoint", present, what);
    let name = section.string("header");
    let file = section.string("header_file").map(PathBuf::from);
    if name.is_some() != file.is_some() {
        section.mistake("header", "header and header_file belong together: its name and its value");
    }
    let value = file.and_then(|file| read_secret(&mut section, "header_file", &file));
    let service_name = section.string("service_name");
    let logs = section.boolean("logs").unwrap_or(true);
    let traces = section.boolean("traces").unwrap_or(true);
    root.absorb(section);
    let default = OtlpConfig::new(endpoint?).with_pod(|name| std::env::var(name).ok());
    let service_name = service_name.unwrap_or_else(|| default.service_name.clone());
    let headers = name.zip(value).into_iter().collect();
    Some(OtlpConfig { headers, service_name, logs, traces, ..default })
}

/// The address under `key`, which must be there if its section is.
fn required(section: &mut Section, key: &'static str, present: bool, what: &str) -> Option<Url> {
    if present && !section.has(key) {
        section.mistake(key, &format!("is missing: {what}"));
    }
    let text = section.string(key)?;
    http(section, key, &text)
}

/// An address of HTTP. The text is not repeated in a mistake: it may hold a secret.
pub(super) fn http(section: &mut Section, key: &str, text: &str) -> Option<Url> {
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    if url.is_none() {
        section.mistake(key, "must be an address that begins with http:// or https://");
    }
    url
}

fn token(section: &mut Section) -> Option<SecretString> {
    let file = section.string("token_file").map(PathBuf::from)?;
    read_secret(section, "token_file", &file)
}
