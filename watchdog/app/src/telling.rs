//! Where people are told, as the configuration says, and what their messages are illustrated with.

use std::future::Future;
use std::io::IsTerminal;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};

use secrecy::{ExposeSecret as _, SecretString};
use watchdog_core::history::Row;
use watchdog_report::alertmanager::{AlertmanagerOptions, AlertmanagerSink};
use watchdog_report::http::{Auth, HttpOptions};
use watchdog_report::kubernetes::events::EventSink;
use watchdog_report::loki::{LokiOptions, LokiSink};
use watchdog_report::plot::Theme;
use watchdog_report::sink::{Evidence, Sink};
use watchdog_report::slack::webhook::SlackWebhookSink;
use watchdog_report::slack::{SlackOptions, SlackSink};
use watchdog_report::terminal::{Format, TerminalSink};
use watchdog_report::webhook::{WebhookOptions, WebhookSink};
use watchdog_web::dumps::{Dumps as _, Format as DumpFormat};
use watchdog_web::status::Source as _;

use crate::config::{Config, SlackConfig};
use crate::context::Context;

/// What to do about a leak, where the configuration names nothing else.
const RUNBOOK: &str =
    "https://github.com/oomen-rs/oomen/blob/main/alerts/runbooks/oomenmemoryleak.md";

/// Plots and profiles out of the watchdog that is told of; nothing before it has started and after it has ended.
#[derive(Default)]
pub struct Exhibits(OnceLock<Weak<Context>>);

impl Exhibits {
    /// From now on they are of this watchdog.
    pub fn open(&self, context: &Arc<Context>) {
        // Set once, by who made both.
        self.0.set(Arc::downgrade(context)).ok();
    }

    fn context(&self) -> Option<Arc<Context>> {
        self.0.get()?.upgrade()
    }
}

impl Evidence for Exhibits {
    fn series(&self, target: &str) -> Vec<Row> {
        self.context().and_then(|context| context.series(target)).unwrap_or_default()
    }

    fn profile<'a>(
        &'a self,
        id: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>> {
        Box::pin(async move {
            let rendered = self.context()?.render(id.to_owned(), DumpFormat::Pprof, None).await;
            rendered.ok().map(|rendered| rendered.bytes)
        })
    }
}

/// Every place: always the terminal, and what the configuration names.
///
/// # Errors
/// When a place can never be told with these settings.
pub fn sinks(config: &Config, evidence: &Arc<dyn Evidence>) -> anyhow::Result<Vec<Box<dyn Sink>>> {
    let color = std::io::stdout().is_terminal();
    let format = if config.json { Format::Json } else { Format::Text { color } };
    let mut sinks: Vec<Box<dyn Sink>> =
        vec![Box::new(TerminalSink::new(std::io::stdout(), format)?)];
    sinks.extend(configured(config, evidence)?);
    Ok(sinks)
}

/// What the configuration names beside the terminal.
///
/// # Errors
/// When a place can never be told with these settings.
pub fn configured(
    config: &Config,
    evidence: &Arc<dyn Evidence>,
) -> anyhow::Result<Vec<Box<dyn Sink>>> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    let (telling, page) = (&config.telling, config.page_url.as_ref());
    let own = RUNBOOK.parse().ok();
    let runbook = telling.runbook.as_ref().or(own.as_ref());
    match &telling.slack {
        None => {}
        Some(SlackConfig::Bot { channel, token, api_url, dark }) => {
            sinks.push(Box::new(SlackSink::new(SlackOptions {
                token: token.clone(),
                channel: channel.clone(),
                api_url: api_url.clone(),
                page: page.cloned(),
                runbook: runbook.cloned(),
                evidence: Arc::clone(evidence),
                theme: if *dark { Theme::Dark } else { Theme::Light },
            })?));
        }
        Some(SlackConfig::Webhook(url)) => {
            let sink = SlackWebhookSink::new(url, page.cloned(), runbook.cloned())?;
            sinks.push(Box::new(sink));
        }
    }
    let bearer = |token: &Option<SecretString>| HttpOptions {
        auth: token.clone().map(Auth::Bearer),
        ..HttpOptions::default()
    };
    if let Some(alertmanager) = &telling.alertmanager {
        sinks.push(Box::new(AlertmanagerSink::new(AlertmanagerOptions {
            urls: alertmanager.urls.clone(),
            labels: alertmanager.labels.iter().cloned().collect(),
            page: page.cloned(),
            runbook: telling.runbook.clone(),
            http: bearer(&alertmanager.token),
        })?));
    }
    if let Some(loki) = &telling.loki {
        sinks.push(Box::new(LokiSink::new(LokiOptions {
            url: loki.url.clone(),
            tenant: loki.tenant.clone().map(SecretString::from),
            labels: loki.labels.iter().cloned().collect(),
            page: page.cloned(),
            http: bearer(&loki.token),
        })?));
    }
    if let Some(webhook) = &telling.webhook {
        sinks.push(Box::new(WebhookSink::new(WebhookOptions {
            url: webhook.url.expose_secret().parse()?,
            secret: webhook.secret.clone(),
            page: page.cloned(),
            http: HttpOptions::default(),
        })?));
    }
    if let Some(kubernetes) = config.kubernetes.as_ref().filter(|kubernetes| kubernetes.events) {
        sinks.push(Box::new(EventSink::new(kubernetes.api.clone())));
    }
    Ok(sinks)
}
