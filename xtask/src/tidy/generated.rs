//! Files made from other files: written by `cargo xtask tidy --write`, compared by every test run.

use std::path::Path;

use anyhow::{Context, Result};

use super::tree::Tree;

const RULES: &str = "alerts/oomen.rules.yaml";
const PROMETHEUS_RULE: &str = "k8s/monitoring/prometheusrule.yaml";
const HEAD: &str = "\
# Generated from alerts/oomen.rules.yaml by `cargo xtask tidy --write`; edit that file.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: oomen
  namespace: shop
  labels:
    app.kubernetes.io/name: oomen
    app.kubernetes.io/part-of: shop
spec:
";

/// Wraps plain Prometheus rules for the Prometheus Operator: the same text, one level deeper.
fn prometheus_rule(rules: &str) -> String {
    let indented = rules.lines().filter(|line| !line.starts_with('#')).map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("  {line}\n"),
    });
    HEAD.chars().chain(indented.collect::<String>().chars()).collect()
}

pub(super) fn find(tree: &Tree) -> Vec<String> {
    let (Some(rules), Some(wrapped)) = (tree.text(RULES), tree.text(PROMETHEUS_RULE)) else {
        return vec![format!("{RULES} or {PROMETHEUS_RULE} is missing")];
    };
    if prometheus_rule(rules) == wrapped {
        return Vec::new();
    }
    vec![format!("{PROMETHEUS_RULE} is not what {RULES} gives; run `cargo xtask tidy --write`")]
}

pub(super) fn write(root: &Path) -> Result<()> {
    let rules =
        std::fs::read_to_string(root.join(RULES)).with_context(|| format!("reading {RULES}"))?;
    std::fs::write(root.join(PROMETHEUS_RULE), prometheus_rule(&rules))
        .with_context(|| format!("writing {PROMETHEUS_RULE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "# why\ngroups:\n- name: a\n\n  rules: []\n";

    #[test]
    fn the_wrapping_keeps_the_rules_and_leaves_the_comment() {
        let wrapped = prometheus_rule(PLAIN);
        assert!(wrapped.ends_with("spec:\n  groups:\n  - name: a\n\n    rules: []\n"), "{wrapped}");
    }

    #[test]
    fn a_copy_that_was_edited_or_is_missing_is_found() {
        let copy = prometheus_rule(PLAIN);
        let check =
            |copy: &str| find(&Tree::with(&[(RULES, PLAIN), (PROMETHEUS_RULE, copy)])).len();
        assert_eq!(check(&copy), 0);
        assert_eq!(check(&copy.replace("name: a", "name: b")), 1);
        assert_eq!(find(&Tree::with(&[(RULES, PLAIN)])).len(), 1);
    }
}
