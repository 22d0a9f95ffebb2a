//! Rules fitted to the targets: learned of each again and again, and kept where Prometheus finds them.

pub mod print;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;
use watchdog_core::detector::Level;
use watchdog_core::fit::{Fit, Scale};
use watchdog_core::units::Bytes;
use watchdog_report::http::HttpOptions;
use watchdog_report::rules::file::FileStore;
use watchdog_report::rules::{Group, RuleStore, Selector, StoreError, TargetFit, group};
use watchdog_web::status::{RulesStatus, TargetStatus};

use crate::context::{Context, Slot, lock};

/// Between two looks at what is learned: a limit that changes is in the rules within a minute.
const LOOK: Duration = Duration::from_secs(15);
/// What is learned moves the rules when it has moved by this share of the limit.
const NOTICEABLE: f64 = 0.01;
/// How long a store may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// The first pause after a failure that may pass; it doubles. The longest is also that after one that stays.
const RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// Where rules are kept, and how they choose their series.
#[derive(Debug)]
pub struct RulesConfig {
    /// The rule file.
    pub file: Option<PathBuf>,
    /// What is asked by POST to read it again.
    pub reload: Option<Url>,
    /// The series that are judged.
    pub selector: Selector,
    /// Between two writes at least.
    pub interval: Duration,
    /// How long a target is gone before its rules go.
    pub gone_after: Duration,
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self {
            file: None,
            reload: None,
            selector: Selector::default(),
            interval: Duration::from_secs(60),
            gone_after: Duration::from_secs(300),
        }
    }
}

/// The stores that the configuration names.
///
/// # Errors
/// When the address to ask for a reload cannot be used.
pub fn stores(config: &RulesConfig) -> anyhow::Result<Vec<Box<dyn RuleStore>>> {
    let mut stores: Vec<Box<dyn RuleStore>> = Vec::new();
    if let Some(file) = &config.file {
        let mut store = FileStore::new(file.clone());
        if let Some(reload) = &config.reload {
            store = store.reloading(reload, &HttpOptions::default())?;
        }
        stores.push(Box::new(store));
    }
    Ok(stores)
}

/// Learns of every target, and keeps its rules in every store.
pub struct Writer {
    lanes: Vec<Lane>,
    selector: Selector,
    interval: Duration,
    gone_after: Duration,
    /// When each target was last there.
    seen: BTreeMap<String, Instant>,
    started: Instant,
}

impl Writer {
    /// A writer to these stores; without any it only learns.
    pub fn new(config: &RulesConfig, stores: Vec<Box<dyn RuleStore>>) -> Self {
        let started = Instant::now();
        Self {
            lanes: stores.into_iter().map(|store| Lane::new(store, started)).collect(),
            selector: config.selector.clone(),
            interval: config.interval,
            gone_after: config.gone_after,
            seen: BTreeMap::new(),
            started,
        }
    }

    /// Learns and writes until `stop`. What is kept then stays: the targets go on.
    pub async fn run(mut self, context: Arc<Context>, stop: CancellationToken) {
        let pause = self.interval.min(LOOK);
        while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            if stop.run_until_cancelled(self.look(&context)).await.is_none() {
                return;
            }
        }
    }

    async fn look(&mut self, context: &Context) {
        let slots = context.slots();
        slots.iter().for_each(|(_, slot)| learn(slot));
        let groups = self.groups(&slots);
        // Right after the start nothing is known of targets that are only just looked for.
        let early = self.started.elapsed() < self.gone_after;
        for lane in &mut self.lanes {
            if !(early && groups.is_empty() && lane.kept.is_none()) {
                lane.tend(&groups, self.interval).await;
            }
        }
        *lock(&context.rules) = self.lanes.iter().map(|lane| lane.status.clone()).collect();
    }

    /// The rules of every target that is there or was a moment ago.
    fn groups(&mut self, slots: &[(String, Arc<Slot>)]) -> Vec<Group> {
        let now = Instant::now();
        let mut groups = Vec::new();
        for (name, slot) in slots {
            let (up, fit) = {
                let status = lock(&slot.status);
                (status.up, fit_of(&status))
            };
            if up {
                self.seen.insert(name.clone(), now);
            }
            let seen = self.seen.get(name).is_some_and(|seen| now - *seen < self.gone_after);
            if let Some(fit) = fit.filter(|_| seen) {
                groups.extend(group(&fit, &self.selector));
            }
        }
        self.seen.retain(|_, seen| now - *seen < self.gone_after);
        groups
    }
}

/// What the rules of a target are made from; `None` while nothing is learned.
fn fit_of(status: &TargetStatus) -> Option<TargetFit> {
    let identity = &status.identity;
    Some(TargetFit {
        target: identity.name.clone(),
        workload: identity.workload.clone(),
        namespace: identity.namespace.clone(),
        pod: identity.pod.clone(),
        limit: status.sample.and_then(|sample| sample.limit),
        fit: status.fit.clone()?,
    })
}

/// Takes what the detector has learned, unless it suspects a leak: that would be learned as well.
fn learn(slot: &Slot) {
    let (before, limit) = {
        let status = lock(&slot.status);
        let calm = status.assessment.as_ref().is_some_and(|seen| seen.level == Level::Calm);
        if !status.up || !calm {
            return;
        }
        (status.fit.clone().unwrap_or_default(), status.sample.and_then(|sample| sample.limit))
    };
    let learned = lock(&slot.workload).detector().fit();
    lock(&slot.status).fit = Some(settled(&before, learned, limit));
}

/// What is learned now, with the figures of before where they have hardly moved: else the rules would never rest.
fn settled(before: &Fit, mut learned: Fit, limit: Option<Bytes>) -> Fit {
    for scale in &mut learned.scales {
        let whole = limit.unwrap_or(scale.record).as_f64();
        let same = |old: &&Scale| old.window == scale.window && is_near(old, scale, whole);
        if let Some(old) = before.scales.iter().find(same) {
            *scale = *old;
        }
    }
    learned
}

fn is_near(old: &Scale, new: &Scale, whole: f64) -> bool {
    let figures = |scale: &Scale| [scale.lowest, scale.record, scale.step, scale.swing];
    let pairs = figures(old).into_iter().zip(figures(new));
    pairs.into_iter().all(|(old, new)| (old.as_f64() - new.as_f64()).abs() < whole * NOTICEABLE)
}

/// One store and what it keeps.
struct Lane {
    store: Box<dyn RuleStore>,
    /// What was stored last; `None` before the first time.
    kept: Option<Vec<Group>>,
    /// When it may be written to again.
    next: Instant,
    failures: u32,
    /// What was said of the last failure.
    said: Option<String>,
    status: RulesStatus,
}

impl Lane {
    fn new(store: Box<dyn RuleStore>, now: Instant) -> Self {
        let status = RulesStatus { store: store.name().to_owned(), ..RulesStatus::default() };
        Self { store, kept: None, next: now, failures: 0, said: None, status }
    }

    /// Stores the groups if they are others than those that are kept and the time has come.
    async fn tend(&mut self, groups: &[Group], interval: Duration) {
        if self.kept.as_deref() == Some(groups) || Instant::now() < self.next {
            return;
        }
        let storing = tokio::time::timeout(DEADLINE, self.store.store(groups));
        let outcome = storing.await.unwrap_or_else(|_| {
            Err(StoreError::passing(format!("not done within {} s", DEADLINE.as_secs())))
        });
        match outcome {
            Ok(()) => {
                tracing::info!(store = self.store.name(), targets = groups.len(), "rules written");
                self.kept = Some(groups.to_vec());
                (self.failures, self.said) = (0, None);
                self.next = Instant::now() + interval;
                self.status.written += 1;
                self.status.groups = groups.len().try_into().unwrap_or(u64::MAX);
            }
            Err(error) => self.failed(&error),
        }
    }

    /// A problem is said when it begins, not each time.
    fn failed(&mut self, error: &StoreError) {
        self.status.failed += 1;
        let pause = RETRY.saturating_mul(2_u32.saturating_pow(self.failures)).min(LONGEST_RETRY);
        self.failures += 1;
        self.next = Instant::now() + if error.may_pass { pause } else { LONGEST_RETRY };
        if self.said.as_ref() != Some(&error.text) {
            tracing::warn!(
                store = self.store.name(), %error,
                "the rules cannot be written: those from before stay in force"
            );
            self.said = Some(error.text.clone());
        }
    }
}

#[cfg(test)]
mod tests;
