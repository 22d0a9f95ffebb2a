//! The alert rules: accepted by promtool, tested by its unit tests, and each one's test seen to fail without it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::tally::Tally;
use crate::{root, sh};

/// The rules that are shipped.
pub(super) const RULES: &str = "alerts/oomen.rules.yaml";
const TESTS: &str = "alerts/tests/oomen.test.yaml";
const DEADLINE: Duration = Duration::from_secs(60);

pub(super) fn test(tally: &mut Tally) -> Result<()> {
    let root = root();
    let rules = fs::read_to_string(root.join(RULES)).context(RULES)?;
    tally.check(
        "alerts: promtool accepts the rules",
        promtool(&["check", "rules"], &root.join(RULES)),
    );
    tally.check("alerts: unit tests", promtool(&["test", "rules"], &root.join(TESTS)));
    let muted = mutants(&rules);
    ensure!(!muted.is_empty(), "{RULES} has no alert");
    for (name, rules) in muted {
        tally.check(&format!("alerts: the tests notice when {name} is mute"), noticed(&rules));
    }
    Ok(())
}

fn promtool(subcommand: &[&str], file: &Path) -> Result<()> {
    sh::capture(Command::new("promtool").args(subcommand).arg(file), DEADLINE).map(|_| ())
}

/// The rules with one alert after the other made unable to fire.
fn mutants(rules: &str) -> Vec<(String, String)> {
    let parts: Vec<_> = rules.split("  - alert: ").collect();
    (1..parts.len())
        .map(|mute| {
            let name = parts[mute].lines().next().unwrap_or_default();
            let with_severity = match parts[mute].split_once("severity: ") {
                Some((_, rest)) => rest.lines().next().unwrap_or_default(),
                None => "",
            };
            let mut mutant = parts.clone();
            let silent = format!("{name}\n    expr: vector(1) > 1\n");
            mutant[mute] = &silent;
            (format!("{name} ({with_severity})"), mutant.join("  - alert: "))
        })
        .collect()
}

fn noticed(mutant: &str) -> Result<()> {
    let folder = folder()?;
    fs::write(folder.join("oomen.rules.yaml"), mutant)?;
    let tests = folder.join("tests/oomen.test.yaml");
    fs::copy(root().join(TESTS), &tests)?;
    promtool(&["check", "rules"], &folder.join("oomen.rules.yaml"))?;
    ensure!(promtool(&["test", "rules"], &tests).is_err(), "the unit tests pass without it");
    Ok(())
}

fn folder() -> Result<PathBuf> {
    let folder = root().join("target/xtask/alerts");
    fs::create_dir_all(folder.join("tests"))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mutant_mutes_one_alert_and_keeps_the_others() {
        let rules = "groups:\n- rules:\n  - alert: A\n    expr: a\n    labels:\n      severity: warning\n  \
            - alert: B\n    expr: b\n";
        let mutants = mutants(rules);
        assert_eq!(mutants.len(), 2);
        assert_eq!(mutants[0].0, "A (warning)");
        assert!(
            mutants[0].1.contains("- alert: A\n    expr: vector(1) > 1\n  - alert: B\n    expr: b")
        );
        assert!(mutants[1].1.contains("expr: a") && !mutants[1].1.contains("expr: b"));
    }
}
