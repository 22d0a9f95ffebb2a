//! Every alert has a unit test that is quiet and firing, a runbook page, and an annotation that leads to it.

use std::collections::BTreeSet;

use super::tree::Tree;

const RUNBOOKS: &str = "alerts/runbooks/";
/// Describes the rules that the program writes itself, for whoever asks it to: their alerts have runbooks as well.
const WRITTEN_BY_PROGRAM: &str = "docs/rules.md";
const RUNBOOK_URL: &str = "https://github.com/oomen-rs/oomen/blob/main/alerts/runbooks/";
const HEADINGS: [&str; 4] = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"];
const ANNOTATIONS: [&str; 2] = ["summary: ", "description: "];

pub(super) fn find(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for (path, text) in tree.matching("alerts/", ".rules.yaml") {
        for (name, rule) in rules(text) {
            found.extend(annotations(path, name, rule));
            names.insert(name);
        }
    }
    if names.is_empty() {
        found.push("alerts/: no rule file has an alert".into());
    }
    for name in &names {
        found.extend(runbook(tree, name));
        found.extend(unit_test(tree, name));
    }
    found.extend(orphans(tree, &names));
    found
}

/// Each alert's name with the lines of its rule.
fn rules(text: &str) -> Vec<(&str, &str)> {
    let rules = text.split("- alert: ").skip(1);
    rules.filter_map(|rule| rule.split_once('\n')).map(|(name, rule)| (name.trim(), rule)).collect()
}

fn annotations(path: &str, name: &str, rule: &str) -> Vec<String> {
    let url = format!("runbook_url: {RUNBOOK_URL}{}.md", name.to_lowercase());
    let has = |wanted: &str| rule.lines().any(|line| line.trim().starts_with(wanted));
    let mut missing: Vec<_> = ANNOTATIONS.into_iter().filter(|wanted| !has(wanted)).collect();
    if !has("severity: ") {
        missing.push("severity: ");
    }
    if !rule.lines().any(|line| line.trim() == url) {
        missing.push(&url);
    }
    missing.iter().map(|what| format!("{path}: {name} has no `{}`", what.trim_end())).collect()
}

fn runbook(tree: &Tree, name: &str) -> Vec<String> {
    let path = format!("{RUNBOOKS}{}.md", name.to_lowercase());
    let Some(text) = tree.text(&path) else { return vec![format!("{path} is missing")] };
    let heading = format!("# {name}");
    std::iter::once(heading.as_str())
        .chain(HEADINGS)
        .filter(|heading| !text.lines().any(|line| line == *heading))
        .map(|heading| format!("{path}: the heading `{heading}` is missing"))
        .collect()
}

/// An expectation with an empty list and one with an alert in it, for the alert's name.
fn unit_test(tree: &Tree, name: &str) -> Vec<String> {
    let expected: Vec<bool> = tree
        .matching("alerts/tests/", ".test.yaml")
        .flat_map(|(_, text)| text.split("alertname: ").skip(1))
        .filter(|part| part.lines().next().map(str::trim) == Some(name))
        .map(|part| !part.lines().any(|line| line.trim() == "exp_alerts: []"))
        .collect();
    [(false, "quiet"), (true, "firing")]
        .into_iter()
        .filter(|(fires, _)| !expected.contains(fires))
        .map(|(_, word)| format!("alerts/tests: no test shows {name} {word}"))
        .collect()
}

fn orphans(tree: &Tree, names: &BTreeSet<&str>) -> Vec<String> {
    let mut pages: BTreeSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
    let described = tree.text(WRITTEN_BY_PROGRAM).unwrap_or_default();
    pages.extend(described.split('`').skip(1).step_by(2).map(str::to_lowercase));
    tree.matching(RUNBOOKS, ".md")
        .filter(|(path, _)| !pages.contains(&path[RUNBOOKS.len()..path.len() - ".md".len()]))
        .map(|(path, _)| format!("{path}: no alert has this runbook"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "groups:\n- rules:\n  - alert: OomenX\n    expr: up == 0\n    labels:\n\
        \x20     severity: warning\n    annotations:\n      summary: It is so.\n      description: It.\n\
        \x20     runbook_url: https://github.com/oomen-rs/oomen/blob/main/alerts/runbooks/oomenx.md\n";
    const TEST: &str = "- eval_time: 1m\n  alertname: OomenX\n  exp_alerts: []\n\
        - eval_time: 2m\n  alertname: OomenX\n  exp_alerts:\n  - exp_labels: {}\n";
    const RUNBOOK: &str = "# OomenX\n## Meaning\n## Impact\n## Diagnosis\n## Mitigation\n";

    fn check(rules: &str, test: &str, runbook: &str) -> Vec<String> {
        find(&Tree::with(&[
            ("alerts/a.rules.yaml", rules),
            ("alerts/tests/a.test.yaml", test),
            ("alerts/runbooks/oomenx.md", runbook),
        ]))
    }

    #[test]
    fn a_complete_alert_passes() {
        assert_eq!(check(RULES, TEST, RUNBOOK), Vec::<String>::new());
    }

    #[test]
    fn each_missing_annotation_is_found() {
        for line in
            ["summary: It is so.", "description: It.", "severity: warning", "runbooks/oomenx"]
        {
            assert_eq!(check(&RULES.replace(line, ""), TEST, RUNBOOK).len(), 1, "{line}");
        }
    }

    #[test]
    fn an_alert_tested_only_firing_or_only_quiet_is_found() {
        let quiet_only = TEST.replace("  exp_alerts:\n", "  exp_alerts: []\n");
        assert_eq!(
            check(RULES, &quiet_only, RUNBOOK),
            ["alerts/tests: no test shows OomenX firing"]
        );
        let firing_only = TEST.replace("exp_alerts: []", "exp_alerts: [{}]");
        assert_eq!(
            check(RULES, &firing_only, RUNBOOK),
            ["alerts/tests: no test shows OomenX quiet"]
        );
    }

    #[test]
    fn a_runbook_that_is_incomplete_missing_or_orphaned_is_found() {
        assert_eq!(check(RULES, TEST, &RUNBOOK.replace("## Impact", "")).len(), 1);
        let renamed = RULES.replace("OomenX", "OomenY").replace("oomenx", "oomeny");
        let found = check(&renamed, &TEST.replace("OomenX", "OomenY"), RUNBOOK);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn an_alert_that_the_program_writes_may_have_a_runbook() {
        let check = |document: &str| {
            find(&Tree::with(&[
                ("alerts/a.rules.yaml", RULES),
                ("alerts/tests/a.test.yaml", TEST),
                ("alerts/runbooks/oomenx.md", RUNBOOK),
                ("alerts/runbooks/oomenz.md", "# OomenZ\n"),
                ("docs/rules.md", document),
            ]))
        };
        assert_eq!(check("| `OomenZ` | it |"), Vec::<String>::new());
        assert_eq!(check("| OomenZ | it |").len(), 1);
    }

    #[test]
    fn no_alert_at_all_is_found() {
        assert_eq!(find(&Tree::with(&[])).len(), 1);
    }
}
