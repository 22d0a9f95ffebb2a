//! Prometheus rules fitted to each target: its limit, what it was learned to live at, how much it moves by itself.
//!
//! They judge plain memory series, so that a kill is announced also while the watchdog itself or its way to people is
//! down. They are few and late compared with the detector's own word.

pub mod file;
mod group;
mod selector;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use watchdog_core::fit::Fit;
use watchdog_core::units::Bytes;

pub use group::group;
pub use selector::{Selector, SelectorError};

/// What one target's rules are made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetFit {
    /// Its name in metrics and messages.
    pub target: String,
    /// The name that all processes of the target share.
    pub workload: Option<String>,
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Kubernetes pod.
    pub pod: Option<String>,
    /// The limit whose crossing kills.
    pub limit: Option<Bytes>,
    /// What is learned.
    pub fit: Fit,
}

/// The rules of one target. Serialized it is a group of a Prometheus rule file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Unique among the groups of one watchdog.
    pub name: String,
    /// At least one.
    pub rules: Vec<Rule>,
}

/// An alerting rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub alert: String,
    /// What must hold, in PromQL.
    pub expr: String,
    /// For how long it must hold, as a span of Prometheus'.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// For how long it stays when it holds no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<String>,
    /// What the alert is told apart by.
    pub labels: BTreeMap<String, String>,
    /// What people read.
    pub annotations: Annotations,
}

/// What people read of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Annotations {
    /// A fixed sentence.
    pub summary: String,
    /// What it is about, as a template of Prometheus'.
    pub description: String,
    /// What to do.
    pub runbook_url: String,
}

/// A rule file.
#[derive(Serialize)]
struct File<'a> {
    groups: &'a [Group],
}

/// The groups as a rule file of Prometheus', in YAML.
///
/// # Errors
/// [`RenderError`] when they cannot be written as YAML.
pub fn plain(groups: &[Group]) -> Result<String, RenderError> {
    yaml(&File { groups })
}

/// Something in YAML, each text in one line unless it has several.
///
/// # Errors
/// [`RenderError`] when it cannot be written as YAML.
pub fn yaml(value: &impl Serialize) -> Result<String, RenderError> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    Ok(serde_saphyr::to_string_with_options(value, options)?)
}

/// Groups that cannot be written as YAML.
#[derive(Debug, thiserror::Error)]
#[error("the rules cannot be written as YAML: {0}")]
pub struct RenderError(#[from] serde_saphyr::ser::Error);

/// Where rules are kept.
#[async_trait]
pub trait RuleStore: Send + Sync + 'static {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Makes what is kept equal to `groups`, and removes it when there are none. May be called again with the same.
    /// Never touches what another owner wrote.
    ///
    /// # Errors
    /// [`StoreError`]; what was kept before is still there.
    async fn store(&self, groups: &[Group]) -> Result<(), StoreError>;
}

/// Rules that could not be kept. The text says why and how to mend it, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct StoreError {
    /// Whether trying again may help before somebody mends something.
    pub may_pass: bool,
    /// What failed.
    pub text: String,
}

impl StoreError {
    /// A failure that may pass.
    pub fn passing(text: impl Into<String>) -> Self {
        Self { may_pass: true, text: text.into() }
    }

    /// A failure that stays until somebody mends it.
    pub fn permanent(text: impl Into<String>) -> Self {
        Self { may_pass: false, text: text.into() }
    }
}
