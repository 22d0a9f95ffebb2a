//! Files made from other files: written by `cargo xtask tidy --write`, compared by every test run.

use std::path::Path;

use anyhow::{Context, Result};

use super::tree::Tree;

const RULES: (&str, &str) = ("alerts/", ".rules.yaml");
const MANIFESTS: (&str, &str) = ("k8s/monitoring/", ".prometheusrule.yaml");
const KUSTOMIZATION: &str = "k8s/monitoring/kustomization.yaml";

/// A rule file's manifest for the Prometheus Operator: where it is to lie and what is to be in it.
struct Manifest {
    rules: String,
    path: String,
    text: String,
}

/// Wraps plain Prometheus rules for the Prometheus Operator: the same text, one level deeper. What lies in a folder below
/// is an example, and not shipped.
fn manifest(path: &str, rules: &str) -> Option<Manifest> {
    let name = path.strip_prefix(RULES.0)?.strip_suffix(RULES.1)?;
    if name.contains('/') {
        return None;
    }
    let indented = rules.lines().filter(|line| !line.starts_with('#')).map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("  {line}\n"),
    });
    let text = format!(
        "# Generated from {path} by `cargo xtask tidy --write`; edit that file.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: {name}
  namespace: shop
  labels:
    app.kubernetes.io/name: oomen
    app.kubernetes.io/part-of: shop
spec:
{}",
        indented.collect::<String>()
    );
    let path_of = format!("{}{name}{}", MANIFESTS.0, MANIFESTS.1);
    Some(Manifest { rules: path.to_owned(), path: path_of, text })
}

fn manifests(tree: &Tree) -> Vec<Manifest> {
    tree.matching(RULES.0, RULES.1).filter_map(|(path, text)| manifest(path, text)).collect()
}

pub(super) fn find(tree: &Tree) -> Vec<String> {
    let wanted = manifests(tree);
    if wanted.is_empty() {
        return vec![format!("{}: there is no rule file", RULES.0)];
    }
    let mut found = Vec::new();
    let listed = tree.text(KUSTOMIZATION).unwrap_or_default();
    for Manifest { rules, path, text } in &wanted {
        if tree.text(path) != Some(text.as_str()) {
            found.push(format!("{path} is not what {rules} gives; run `cargo xtask tidy --write`"));
        }
        let entry = format!("- {}", &path[MANIFESTS.0.len()..]);
        if !listed.lines().any(|line| line == entry) {
            found.push(format!("{KUSTOMIZATION} does not list {path}"));
        }
    }
    let orphans = tree.matching(MANIFESTS.0, MANIFESTS.1);
    let orphans = orphans.filter(|(path, _)| wanted.iter().all(|manifest| manifest.path != *path));
    found.extend(orphans.map(|(path, _)| format!("{path}: no rule file gives it")));
    found
}

pub(super) fn write(root: &Path) -> Result<()> {
    for Manifest { path, text, .. } in manifests(&Tree::of(root)?) {
        std::fs::write(root.join(&path), text).with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "alerts/a.rules.yaml";
    const COPY: &str = "k8s/monitoring/a.prometheusrule.yaml";
    const PLAIN: &str = "# why\ngroups:\n- name: a\n\n  rules: []\n";
    const LIST: &str = "resources:\n- a.prometheusrule.yaml\n";

    fn wrapped() -> String {
        manifest(SOURCE, PLAIN).expect("a rule file").text
    }

    #[test]
    fn the_wrapping_keeps_the_rules_names_them_and_leaves_the_comment() {
        let text = wrapped();
        assert!(text.ends_with("spec:\n  groups:\n  - name: a\n\n    rules: []\n"), "{text}");
        assert!(text.contains("\n  name: a\n") && !text.contains("why"), "{text}");
    }

    #[test]
    fn a_copy_that_was_edited_is_missing_or_is_not_listed_is_found() {
        let check = |copy: &str, list: &str| {
            find(&Tree::with(&[(SOURCE, PLAIN), (COPY, copy), (KUSTOMIZATION, list)])).len()
        };
        let copy = wrapped();
        assert_eq!(check(&copy, LIST), 0);
        assert_eq!(check(&copy.replace("- name: a", "- name: b"), LIST), 1);
        assert_eq!(check(&copy, "resources: []\n"), 1);
        assert_eq!(find(&Tree::with(&[(SOURCE, PLAIN), (KUSTOMIZATION, LIST)])).len(), 1);
    }

    #[test]
    fn a_copy_whose_rules_are_gone_is_found() {
        let old = ("k8s/monitoring/b.prometheusrule.yaml", "kind: PrometheusRule\n");
        let copy = wrapped();
        let tree = [(SOURCE, PLAIN), (COPY, copy.as_str()), (KUSTOMIZATION, LIST), old];
        assert_eq!(find(&Tree::with(&tree)).len(), 1);
        assert_eq!(find(&Tree::with(&[])).len(), 1);
    }
}
