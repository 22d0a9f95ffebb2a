//! Every sink that speaks HTTP, with secrets in every place that a person could put one.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use url::Url;
use watchdog_core::incident::Incident;
use watchdog_fixtures::hostile::Mode;
use watchdog_report::alertmanager::{AlertmanagerOptions, AlertmanagerSink};
use watchdog_report::http::{Auth, HttpOptions};
use watchdog_report::kubernetes::events::EventSink;
use watchdog_report::kubernetes::{Api, ClusterOptions, Pod};
use watchdog_report::loki::{LokiOptions, LokiSink};
use watchdog_report::sink::{Delivery, DeliveryError, Sink};
use watchdog_report::slack::webhook::SlackWebhookSink;
use watchdog_report::slack::{SlackOptions, SlackSink};
use watchdog_report::webhook::{WebhookOptions, WebhookSink};

/// What the pipeline allows an attempt.
pub(super) const ATTEMPT_DEADLINE: Duration = Duration::from_secs(10);
/// What the sinks allow a request here.
pub(super) const DEADLINE: Duration = Duration::from_millis(1500);

const TOKEN: &str = "t0ken-of-the-receiver";
const PASSWORD: &str = "pa55word-of-the-user";
const HEADER: &str = "k3y-in-a-header";
const TENANT: &str = "tenant-0f-loki";
const SIGNING: &str = "s1gning-secret-of-the-webhook";

const PATH: &str = "T0PSECRETPATH";
const QUERY: &str = "QUERYS3CRET";
/// `us3r:pa55word-of-the-user` in base64, as it is sent.
const BASIC: &str = "dXMzcjpwYTU1d29yZC1vZi10aGUtdXNlcg==";

/// A kind of sink.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// One for the server at this address.
    pub(super) sink: fn(&str) -> Made,
    /// What must not be told.
    pub(super) secrets: &'static [&'static str],
    /// What it delivers twice counts once, so that it is never unsure.
    pub(super) repeatable: bool,
    pub(super) speaks: Speaks,
}

/// What a sink goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// The status of one POST.
    Http,
    /// Slack's API, by way of a library: success is in the body, what has none of Slack's is unsure, and the deadline is
    /// the pipeline's.
    SlackApi,
}

/// A sink, and its debug text.
pub(super) struct Made {
    sink: Box<dyn Sink>,
    pub(super) debug: String,
}

impl Made {
    fn new(sink: impl Sink + std::fmt::Debug) -> Self {
        Self { debug: format!("{sink:?}"), sink: Box::new(sink) }
    }

    /// One step, nothing being remembered.
    pub(super) async fn once(&self, incident: &Incident) -> Result<(), DeliveryError> {
        let incidents = std::slice::from_ref(incident);
        let delivery = Delivery { incidents, memory: None, unsure_since: None };
        self.sink.deliver(delivery).await.map(drop)
    }
}

impl Case {
    /// Answers that mean that the report was taken.
    pub(super) fn successes(&self) -> Vec<Mode> {
        if self.speaks == Speaks::SlackApi {
            let posted = r#"{"ok":true,"channel":"C0ALERTS00","ts":"1795269600.000100",
                "message":{"ts":"1795269600.000100","text":"…"}}"#;
            return vec![Mode::json(posted)];
        }
        let mut modes: Vec<_> = [200, 201, 202, 204, 299].map(Mode::Status).into();
        modes.extend([100, 103].map(Mode::Interim));
        modes.extend([Mode::json("{}"), Mode::Endless, Mode::Slow, Mode::Half]);
        modes
    }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "alertmanager",
            sink: alertmanager,
            secrets: &[PASSWORD, BASIC, HEADER, PATH, QUERY],
            repeatable: true,
            speaks: Speaks::Http,
        },
        Case {
            name: "loki",
            sink: loki,
            secrets: &[TOKEN, HEADER, TENANT, PATH, QUERY],
            repeatable: true,
            speaks: Speaks::Http,
        },
        Case {
            name: "webhook",
            sink: webhook,
            secrets: &[TOKEN, HEADER, SIGNING, PATH, QUERY],
            repeatable: false,
            speaks: Speaks::Http,
        },
        Case {
            name: "webhook with a password",
            sink: webhook_with_password,
            secrets: &[PASSWORD, BASIC, HEADER, SIGNING, PATH, QUERY],
            repeatable: false,
            speaks: Speaks::Http,
        },
        Case {
            name: "kubernetes",
            sink: kubernetes,
            secrets: &[TOKEN],
            repeatable: true,
            speaks: Speaks::Http,
        },
        Case {
            name: "slack's webhook",
            sink: slack_webhook,
            secrets: &[PASSWORD, BASIC, PATH, QUERY],
            repeatable: false,
            speaks: Speaks::Http,
        },
        Case {
            name: "slack",
            sink: slack,
            secrets: &[TOKEN],
            repeatable: false,
            speaks: Speaks::SlackApi,
        },
    ]
}

fn url(base: &str) -> Url {
    let mut url: Url = base.parse().expect("a URL");
    url.set_path(&format!("/{PATH}/"));
    url.set_query(Some(&format!("key={QUERY}")));
    url
}

fn with_password(base: &str) -> Url {
    let mut url = url(base);
    url.set_username("us3r").expect("a user");
    url.set_password(Some(PASSWORD)).expect("a password");
    url
}

fn http(auth: Option<Auth>) -> HttpOptions {
    let headers = vec![("X-Key".to_owned(), HEADER.into())];
    HttpOptions { auth, headers, deadline: DEADLINE, ..HttpOptions::default() }
}

fn alertmanager(base: &str) -> Made {
    let options = AlertmanagerOptions {
        urls: vec![with_password(base)],
        labels: BTreeMap::new(),
        page: None,
        runbook: None,
        http: http(None),
    };
    Made::new(AlertmanagerSink::new(options).expect("a sink"))
}

fn loki(base: &str) -> Made {
    let options = LokiOptions {
        url: url(base),
        tenant: Some(TENANT.into()),
        labels: BTreeMap::new(),
        page: None,
        http: http(Some(Auth::Bearer(TOKEN.into()))),
    };
    Made::new(LokiSink::new(options).expect("a sink"))
}

fn webhook(base: &str) -> Made {
    let http = http(Some(Auth::Bearer(TOKEN.into())));
    let options = WebhookOptions { url: url(base), secret: Some(SIGNING.into()), page: None, http };
    Made::new(WebhookSink::new(options).expect("a sink"))
}

fn webhook_with_password(base: &str) -> Made {
    let auth = Auth::Basic { user: "us3r".into(), password: PASSWORD.into() };
    let options = WebhookOptions {
        url: url(base),
        secret: Some(SIGNING.into()),
        page: None,
        http: http(Some(auth)),
    };
    Made::new(WebhookSink::new(options).expect("a sink"))
}

/// What the kubelet mounts: a token, and the authority that the test's environment trusts, or another.
static ACCOUNT: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory");
    let trusted = std::env::var_os("SSL_CERT_FILE");
    let trusted = trusted.map(|file| std::fs::read_to_string(file).expect("read"));
    let other =
        || rcgen::generate_simple_self_signed(["nobody".to_owned()]).expect("made").cert.pem();
    std::fs::write(dir.path().join("token"), TOKEN).expect("written");
    std::fs::write(dir.path().join("ca.crt"), trusted.unwrap_or_else(other)).expect("written");
    dir
});

fn kubernetes(base: &str) -> Made {
    let server = base.parse().expect("a URL");
    let account_dir = ACCOUNT.path().to_owned();
    let options = ClusterOptions { account_dir, deadline: DEADLINE, ..ClusterOptions::new(server) };
    let pod = Pod { namespace: "shop".into(), name: "shop-7d9f".into(), uid: "0a-1".into() };
    Made::new(EventSink::new(Api::new(options, pod)))
}

fn slack_webhook(base: &str) -> Made {
    let url = with_password(base).to_string();
    Made::new(SlackWebhookSink::new(&url.into(), None, None).expect("a sink"))
}

fn slack(base: &str) -> Made {
    let options = SlackOptions { token: TOKEN.into(), ..crate::slack::options(base) };
    Made::new(SlackSink::new(options).expect("a sink"))
}
