//! The Kubernetes API, as far as the watchdog uses it: Events on its own pod, and Prometheus rules that go with the pod.
//!
//! Every request has the pod's own service account. Its token and the cluster's certificates are read anew for each: the
//! kubelet replaces them while we run. What the account must be allowed is in `docs/kubernetes.md`.

mod access;
mod api;
pub mod events;
pub mod rules;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::http::{Clock, POST_DEADLINE};

pub use api::Api;

/// Where the kubelet puts the service account's token and the cluster's certificates.
pub const ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Who we are among those that write to the cluster.
pub const MANAGER: &str = "oomen";

/// The longest name of an object.
const MAX_NAME: usize = 253;
/// The longest name or value of a label.
const MAX_LABEL: usize = 63;
/// Labels that the watchdog sets itself.
const OWN_LABELS: [(&str, &str); 2] =
    [("app.kubernetes.io/managed-by", MANAGER), ("app.kubernetes.io/name", MANAGER)];

/// Settings that no request can be made with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubernetesError {
    /// The downward API does not say it, or something else does.
    #[error(
        "{0} is missing or no {1} of a pod: set it by the downward API from {2}, see docs/kubernetes.md"
    )]
    Pod(&'static str, &'static str, &'static str),
    /// No address of the API server.
    #[error(
        "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not say where the API server is: this is no pod; \
         name it with `server`"
    )]
    NoServer,
    /// A label that the API server would refuse.
    #[error(
        "`{0}` is no label of Kubernetes: name and value have up to {MAX_LABEL} letters, digits, dashes, dots and \
         underscores"
    )]
    Label(String),
    /// A label that is set by us.
    #[error("the label `{0}` is set by the watchdog itself: leave it out")]
    OwnLabel(String),
}

/// The pod that the watchdog runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What tells it from an earlier pod of this name.
    pub uid: String,
}

impl Pod {
    /// What the downward API says in `POD_NAMESPACE`, `POD_NAME` and `POD_UID`.
    ///
    /// # Errors
    /// One for each that is missing or cannot be one.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<KubernetesError>> {
        let variables = [
            ("POD_NAMESPACE", "namespace", "metadata.namespace"),
            ("POD_NAME", "name", "metadata.name"),
            ("POD_UID", "uid", "metadata.uid"),
        ];
        let [namespace, name, uid] = variables.map(|(variable, what, field)| {
            lookup(variable)
                .filter(|value| is_name(value))
                .ok_or(KubernetesError::Pod(variable, what, field))
        });
        match (namespace, name, uid) {
            (Ok(namespace), Ok(name), Ok(uid)) => Ok(Self { namespace, name, uid }),
            (namespace, name, uid) => {
                Err([namespace, name, uid].into_iter().filter_map(Result::err).collect())
            }
        }
    }
}

/// Names become parts of paths.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    (1..=MAX_NAME).contains(&text.len())
        && text.chars().all(fits)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.contains("..")
}

/// How to reach the API server.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Its address.
    pub server: Url,
    /// Where `token` and `ca.crt` are.
    pub account_dir: PathBuf,
    /// How long one request may take.
    pub deadline: Duration,
    /// What time it is.
    pub clock: Clock,
}

impl ClusterOptions {
    /// The server at this address, known by what the kubelet mounts.
    pub fn new(server: Url) -> Self {
        let (account_dir, deadline) = (PathBuf::from(ACCOUNT_DIR), POST_DEADLINE);
        Self { server, account_dir, deadline, clock: Clock::system() }
    }
}

/// The API server's address as every pod finds it in its environment.
///
/// # Errors
/// When the environment is not a pod's.
pub fn server(lookup: impl Fn(&str) -> Option<String>) -> Result<Url, KubernetesError> {
    let host = lookup("KUBERNETES_SERVICE_HOST").ok_or(KubernetesError::NoServer)?;
    let port = lookup("KUBERNETES_SERVICE_PORT").ok_or(KubernetesError::NoServer)?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    format!("https://{host}:{port}").parse().map_err(|_| KubernetesError::NoServer)
}

/// Labels of the configuration, with our own.
fn labels(given: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, KubernetesError> {
    if let Some((name, _)) = given.iter().find(|(name, value)| !is_label(name, value)) {
        return Err(KubernetesError::Label(name.chars().take(MAX_LABEL).collect()));
    }
    let mut all = given;
    for (name, value) in OWN_LABELS {
        if all.insert(name.into(), value.into()).is_some() {
            return Err(KubernetesError::OwnLabel(name.into()));
        }
    }
    Ok(all)
}

/// A name may have a domain in front; a value may be empty.
fn is_label(name: &str, value: &str) -> bool {
    let (domain, name) = name.split_once('/').map_or((None, name), |(d, name)| (Some(d), name));
    domain.is_none_or(is_name) && !name.is_empty() && is_word(name) && is_word(value)
}

fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= MAX_LABEL
        && text.chars().all(fits)
        && ends(text.chars().next())
        && ends(text.chars().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(pairs: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned())
    }

    #[test]
    fn the_pod_is_known_by_the_downward_api_and_every_gap_is_said() {
        let whole = [("POD_NAMESPACE", "shop"), ("POD_NAME", "shop-7d9f"), ("POD_UID", "0a-1")];
        let pod = Pod::read(environment(&whole)).expect("a pod");
        assert_eq!((pod.namespace.as_str(), pod.uid.as_str()), ("shop", "0a-1"));
        for wrong in ["", "a/b", "..", "a..b", "Shop", "-a", &"a".repeat(254)] {
            let mistakes = Pod::read(environment(&[("POD_NAME", wrong)])).expect_err("refused");
            assert_eq!(mistakes.len(), 3, "{wrong}");
            assert!(mistakes[1].to_string().contains("metadata.name"), "{mistakes:?}");
        }
    }

    #[test]
    fn the_server_is_where_every_pod_finds_it() {
        let at = |host| {
            let pairs = [("KUBERNETES_SERVICE_HOST", host), ("KUBERNETES_SERVICE_PORT", "6443")];
            server(environment(&pairs)).map(String::from)
        };
        assert_eq!(at("10.96.0.1").as_deref(), Ok("https://10.96.0.1:6443/"));
        assert_eq!(at("fd00::1").as_deref(), Ok("https://[fd00::1]:6443/"));
        assert_eq!(at("no host"), Err(KubernetesError::NoServer));
        assert_eq!(server(|_| None), Err(KubernetesError::NoServer));
    }

    #[test]
    fn a_label_that_the_server_would_refuse_is_refused_at_the_start() {
        let one = |name: &str, value: &str| labels([(name.into(), value.into())].into());
        let taken = one("example.org/release", "kube-prometheus.1").expect("taken");
        assert_eq!(taken.len(), 3);
        let own = "app.kubernetes.io/name";
        assert_eq!(one(own, "x"), Err(KubernetesError::OwnLabel(own.into())));
        for (name, value) in
            [("", "x"), ("a b", "x"), ("/a", "x"), ("a", "-"), ("a", "é"), ("a/b/c", "")]
        {
            assert_eq!(one(name, value), Err(KubernetesError::Label(name.into())), "{name}");
        }
        assert!(one("a", &"x".repeat(64)).is_err());
    }
}
