//! The Alertmanager sink against a real Alertmanager, with the configuration that its documentation recommends.

mod server;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use watchdog_core::incident::{Incident, State};
use watchdog_core::units::WallTime;
use watchdog_fixtures::hostile::{HostileServer, Mode};
use watchdog_report::alertmanager::{AlertmanagerOptions, AlertmanagerSink};
use watchdog_report::http::{Clock, HttpOptions};
use watchdog_report::sink::{Delivery, DeliveryError, ErrorKind, Sink};

use crate::sample::confirmed;
use server::{Alertmanager, SOON, Told};

const LEAK: &str = "OomenMemoryLeak";
const KILLED: &str = "OomenTargetKilled";
/// How long an alert lives without being sent again.
const LEASE: f64 = 300.0;

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// A sink whose clock is `behind` the real one, which is Alertmanager's, by so many seconds.
fn sink(urls: &[&str], behind: f64) -> AlertmanagerSink {
    let clock = Clock::new(move || WallTime(now() - behind));
    let options = AlertmanagerOptions {
        urls: urls.iter().map(|url| url.parse().expect("a URL")).collect(),
        labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
        page: Some("https://oomen.example/".parse().expect("a URL")),
        runbook: None,
        http: HttpOptions { clock, ..HttpOptions::default() },
    };
    AlertmanagerSink::new(options).expect("a sink")
}

/// A leak of now in this state.
fn leak(target: &str, state: State) -> Incident {
    let now = now();
    let mut incident = Incident { state, told: Some(WallTime(now - 10.0)), ..confirmed() };
    incident.target.name = target.into();
    (incident.opened, incident.updated) = (WallTime(now - 60.0), WallTime(now));
    incident.closed = state.is_closed().then_some(WallTime(now));
    incident
}

/// Delivers, with what is remembered from delivery to delivery.
struct Teller {
    sink: AlertmanagerSink,
    memory: Option<Value>,
}

impl Teller {
    fn new(sink: AlertmanagerSink) -> Self {
        Self { sink, memory: None }
    }

    async fn tell(&mut self, incident: &Incident) {
        self.try_to_tell(incident).await.expect("delivered");
    }

    async fn try_to_tell(&mut self, incident: &Incident) -> Result<(), DeliveryError> {
        let incidents = std::slice::from_ref(incident);
        let delivery = Delivery { incidents, memory: self.memory.as_ref(), unsure_since: None };
        let progress = self.sink.deliver(delivery).await?;
        assert!(!progress.more, "one push is all there is to tell");
        self.memory = progress.memory;
        Ok(())
    }
}

fn alerts(alerts: &[(&str, &str, &str)]) -> Vec<[String; 3]> {
    alerts
        .iter()
        .map(|(name, severity, status)| [name, severity, status].map(|s| (*s).to_string()))
        .collect()
}

fn statuses(told: &[Told]) -> Vec<(&str, Vec<[String; 3]>)> {
    told.iter().map(|one| (one.status.as_str(), one.alerts.clone())).collect()
}

fn as_documented(config: String) -> String {
    config
}

#[tokio::test]
async fn an_alert_arrives_stays_while_it_is_sent_again_and_ends_with_the_incident() {
    let alertmanager = Alertmanager::start(as_documented).await;
    // Each push is good for two seconds.
    let mut teller = Teller::new(sink(&[&alertmanager.url], LEASE - 2.0));
    teller.tell(&leak("shop", State::Confirmed)).await;
    let told = alertmanager.told(|told| !told.is_empty()).await;
    assert_eq!(statuses(&told), [("firing", alerts(&[(LEAK, "warning", "firing")]))]);
    assert!(told[0].summaries[0].starts_with("shop leaks memory"), "{told:?}");
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        teller.tell(&leak("shop", State::Confirmed)).await;
    }
    assert_eq!(alertmanager.state("target", "shop").await, "active");
    assert_eq!(alertmanager.told_so_far().len(), 1, "moved figures are no news");
    teller.tell(&leak("shop", State::Recovered)).await;
    let told = alertmanager.told(|told| told.len() == 2).await;
    assert_eq!(told[1].status, "resolved");
    assert!(told[1].summaries[0].starts_with("shop recovered"), "{told:?}");
    assert_eq!(teller.memory, None);
}

#[tokio::test]
async fn the_alert_of_a_watchdog_that_is_gone_ends_by_itself() {
    let alertmanager = Alertmanager::start(as_documented).await;
    let mut teller = Teller::new(sink(&[&alertmanager.url], LEASE - 1.0));
    teller.tell(&leak("shop", State::Confirmed)).await;
    let told = alertmanager.told(|told| told.len() == 2).await;
    assert_eq!(told[1].status, "resolved");
}

#[tokio::test]
async fn an_end_is_told_although_the_clocks_differ_by_seconds() {
    let alertmanager = Alertmanager::start(as_documented).await;
    let mut teller = Teller::new(sink(&[&alertmanager.url], -5.0));
    let ahead = |state| {
        let mut incident = leak("shop", state);
        incident.told = incident.told.map(|told| told.plus(15.0));
        incident.closed = incident.closed.map(|closed| closed.plus(5.0));
        incident
    };
    teller.tell(&ahead(State::Confirmed)).await;
    alertmanager.told(|told| told.len() == 1).await;
    teller.tell(&ahead(State::Recovered)).await;
    let told = alertmanager.told(|told| told.len() == 2).await;
    assert_eq!(told[1].status, "resolved");
}

#[tokio::test]
async fn a_rise_is_told_as_a_rise_and_never_as_a_warning_that_is_over() {
    let alertmanager = Alertmanager::start(as_documented).await;
    let mut teller = Teller::new(sink(&[&alertmanager.url], 0.0));
    teller.tell(&leak("shop", State::Confirmed)).await;
    alertmanager.told(|told| told.len() == 1).await;
    teller.tell(&leak("shop", State::Imminent)).await;
    alertmanager.told(|told| told.len() == 2).await;
    teller.tell(&leak("shop", State::Recovered)).await;
    alertmanager.told(|told| told.len() == 3).await;
    // The next one is told again although it has the same labels.
    teller.tell(&leak("shop", State::Confirmed)).await;
    let told = alertmanager.told(|told| told.len() == 4).await;
    let warning = alerts(&[(LEAK, "warning", "firing")]);
    assert_eq!(
        statuses(&told),
        [
            ("firing", warning.clone()),
            ("firing", alerts(&[(LEAK, "critical", "firing")])),
            ("resolved", alerts(&[(LEAK, "critical", "resolved")])),
            ("firing", warning),
        ]
    );
}

#[tokio::test]
async fn without_inhibition_a_rise_is_one_message_that_says_so() {
    let without = |config: String| {
        let (before, rest) = config.split_once("inhibit_rules:").expect("rules");
        let (_, receivers) = rest.split_once("receivers:").expect("receivers");
        format!("{before}receivers:{receivers}")
    };
    let alertmanager = Alertmanager::start(without).await;
    let mut teller = Teller::new(sink(&[&alertmanager.url], 0.0));
    teller.tell(&leak("shop", State::Confirmed)).await;
    alertmanager.told(|told| told.len() == 1).await;
    teller.tell(&leak("shop", State::Imminent)).await;
    let told = alertmanager.told(|told| told.len() == 2).await;
    let both = alerts(&[(LEAK, "critical", "firing"), (LEAK, "warning", "resolved")]);
    assert_eq!(statuses(&told)[1], ("firing", both));
    assert!(told[1].summaries.iter().any(|one| one.starts_with("Now critical: ")), "{told:?}");
}

#[tokio::test]
async fn a_kill_is_an_alert_of_its_own_and_ends_the_leak() {
    let alertmanager = Alertmanager::start(as_documented).await;
    // The kill is shown for two seconds from now.
    let mut teller = Teller::new(sink(&[&alertmanager.url], 0.0));
    teller.tell(&leak("shop", State::Imminent)).await;
    alertmanager.told(|told| told.len() == 1).await;
    teller.sink = sink(&[&alertmanager.url], 598.0);
    teller.tell(&leak("shop", State::Killed)).await;
    let told = alertmanager.told(|told| told.len() == 4).await;
    let mut after: Vec<_> = statuses(&told[1..3]);
    after.sort_unstable();
    assert_eq!(
        after,
        [
            ("firing", alerts(&[(KILLED, "warning", "firing")])),
            ("resolved", alerts(&[(LEAK, "critical", "resolved")])),
        ]
    );
    assert_eq!(statuses(&told)[3], ("resolved", alerts(&[(KILLED, "warning", "resolved")])));
}

#[tokio::test]
async fn a_silence_silences() {
    let alertmanager = Alertmanager::start(as_documented).await;
    alertmanager.silence("target", "quiet").await;
    let mut quiet = Teller::new(sink(&[&alertmanager.url], 0.0));
    quiet.tell(&leak("quiet", State::Confirmed)).await;
    // What comes after it is told.
    let mut loud = Teller::new(sink(&[&alertmanager.url], 0.0));
    loud.tell(&leak("loud", State::Confirmed)).await;
    let told = alertmanager.told(|told| !told.is_empty()).await;
    assert!(told.iter().all(|one| one.summaries[0].starts_with("loud")), "{told:?}");
    assert_eq!(alertmanager.state("target", "quiet").await, "suppressed");
    assert_eq!(alertmanager.state("target", "loud").await, "active");
}

#[tokio::test]
async fn what_was_pushed_is_not_told_again_by_the_rule_of_the_same_name() {
    let alertmanager = Alertmanager::start(as_documented).await;
    for (state, name, severity) in [
        (State::Confirmed, LEAK, "warning"),
        (State::Imminent, LEAK, "critical"),
        (State::Killed, KILLED, "warning"),
    ] {
        let target = state.as_str();
        let mut teller = Teller::new(sink(&[&alertmanager.url], 0.0));
        teller.tell(&leak(target, state)).await;
        let is_about = |one: &Told| one.summaries[0].starts_with(target);
        alertmanager.told(|told| told.iter().any(is_about)).await;
        alertmanager.rule_fires(name, severity, target).await;
        let rule = format!("rule-{target}");
        assert_eq!(alertmanager.state("instance", &rule).await, "suppressed", "{target}");
    }
    // What was not pushed is told by the rule.
    alertmanager.rule_fires(LEAK, "warning", "unpushed").await;
    assert_eq!(alertmanager.state("instance", "rule-unpushed").await, "active");
    let told = alertmanager.told(|told| told.len() == 4).await;
    let by_rule = told.iter().filter(|one| one.summaries.contains(&"the rule".into()));
    assert_eq!(by_rule.count(), 1, "{told:?}");
}

#[tokio::test]
async fn one_alertmanager_that_takes_it_is_enough_and_none_is_not() {
    let alertmanager = Alertmanager::start(as_documented).await;
    let busy = HostileServer::start(Mode::retry_after(503, "7")).await.expect("a server");
    let gone = HostileServer::start(Mode::Status(200)).await.expect("a server").url();
    let mut teller = Teller::new(sink(&[&gone, &busy.url(), &alertmanager.url], 0.0));
    teller.tell(&leak("shop", State::Confirmed)).await;
    alertmanager.told(|told| told.len() == 1).await;
    assert_eq!(busy.requests(), 1);
    let mut nobody = Teller::new(sink(&[&gone, &busy.url()], 0.0));
    let error = nobody.try_to_tell(&leak("shop", State::Confirmed)).await.expect_err("nobody");
    assert_eq!((error.kind, error.unsure), (ErrorKind::Retry { after: None }, false), "{error}");
    assert!(error.text.contains(&gone) && error.text.contains("503"), "{error}");
    let mut asked = Teller::new(sink(&[&busy.url()], 0.0));
    let error = asked.try_to_tell(&leak("shop", State::Confirmed)).await.expect_err("busy");
    assert_eq!(error.kind, ErrorKind::Retry { after: Some(Duration::from_secs(7)) });
    assert!(SOON > Duration::from_secs(7));
}
