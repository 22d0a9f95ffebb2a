//! What of the configuration is about the Kubernetes API.

use std::path::PathBuf;

use watchdog_report::kubernetes::rules::PrometheusRules;
use watchdog_report::kubernetes::{self, Api, ClusterOptions, Pod};

use super::section::Section;
use super::telling::http;

/// Labels of the configuration; each is kept with the rules.
const MAX_LABELS: usize = 16;

/// What is written to the cluster.
#[derive(Debug)]
pub struct KubernetesConfig {
    /// The API server, as the pod's service account sees it.
    pub api: Api,
    /// Whether incidents are Events on the pod.
    pub events: bool,
    /// Labels of the rules, where rules are kept in the cluster.
    pub rules: Option<Vec<(String, String)>>,
}

impl KubernetesConfig {
    /// `[kubernetes]`; `None` where nothing is to be written. What the file does not say is looked up in the environment.
    pub(super) fn read(
        root: &mut Section,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        let mut section = root.section("kubernetes");
        let events = section.boolean("events").unwrap_or(false);
        let rules = section.boolean("rules").unwrap_or(false);
        let labels = section.pairs("rule_labels", MAX_LABELS);
        let server = section.string("server");
        let account_dir = section.string("account_dir").map(PathBuf::from);
        let server = server.map(|text| http(&mut section, "server", &text));
        let config = (events || rules).then(|| {
            let server = server.unwrap_or_else(|| {
                let found = kubernetes::server(&lookup);
                found.map_err(|error| section.mistake("server", &error.to_string())).ok()
            });
            let pod = Pod::read(&lookup);
            let pod = pod.map_err(|gaps| {
                let key = if events { "events" } else { "rules" };
                gaps.iter().for_each(|gap| section.mistake(key, &gap.to_string()));
            });
            let options = ClusterOptions::new(server?);
            let account_dir = account_dir.unwrap_or_else(|| options.account_dir.clone());
            let api = Api::new(ClusterOptions { account_dir, ..options }, pod.ok()?);
            if let Err(error) = PrometheusRules::new(api.clone(), labels.iter().cloned()) {
                section.mistake("rule_labels", &error.to_string());
            }
            Some(Self { api, events, rules: rules.then_some(labels) })
        });
        root.absorb(section);
        config.flatten()
    }

    /// Where rules are kept, if they are.
    pub fn rules(&self) -> Option<PrometheusRules> {
        let labels = self.rules.as_ref()?.iter().cloned();
        // The labels were checked when they were read.
        PrometheusRules::new(self.api.clone(), labels).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: [(&str, &str); 5] = [
        ("POD_NAMESPACE", "shop"),
        ("POD_NAME", "shop-7d9f"),
        ("POD_UID", "0a-1"),
        ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
        ("KUBERNETES_SERVICE_PORT", "443"),
    ];

    fn read(text: &str, pod: bool) -> (Option<KubernetesConfig>, Vec<String>) {
        let mut root = Section::root(text.parse().unwrap());
        let config = KubernetesConfig::read(&mut root, |name| {
            let known = POD.iter().find(|pair| pod && pair.0 == name)?;
            Some(known.1.to_owned())
        });
        (config, root.finish())
    }

    #[test]
    fn in_a_pod_switching_it_on_is_enough() {
        let (config, mistakes) = read("[kubernetes]\nevents = true\nrules = true", true);
        let config = config.expect("read");
        assert!(mistakes.is_empty() && config.events, "{mistakes:?}");
        assert_eq!(config.api.pod().name, "shop-7d9f");
        assert!(config.rules().is_some());
        let (config, _) = read("[kubernetes]\nevents = true", true);
        assert!(config.expect("read").rules().is_none());
    }

    #[test]
    fn elsewhere_everything_that_is_missing_is_said_and_off_needs_nothing() {
        let (config, mistakes) = read("[kubernetes]\nrules = true", false);
        assert!(config.is_none());
        for part in ["POD_NAMESPACE", "POD_NAME", "POD_UID", "KUBERNETES_SERVICE_HOST"] {
            assert!(mistakes.iter().any(|mistake| mistake.contains(part)), "{part}: {mistakes:?}");
        }
        for off in ["", "[kubernetes]", "[kubernetes]\nevents = false\nrules = false"] {
            let (config, mistakes) = read(off, false);
            assert!(config.is_none() && mistakes.is_empty(), "{off}: {mistakes:?}");
        }
    }

    #[test]
    fn a_label_that_the_server_would_refuse_is_a_mistake() {
        let text = "[kubernetes]\nrules = true\nrule_labels = { \"a b\" = \"x\" }";
        let (_, mistakes) = read(text, true);
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].contains("kubernetes.rule_labels"), "{mistakes:?}");
    }
}
