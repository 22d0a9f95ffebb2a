//! The rules: accepted by promtool, tested by its unit tests, and each alert's test seen to fail without it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::lab::Folder;
use super::tally::Tally;
use crate::{root, sh};

const RULES: (&str, &str) = ("alerts", ".rules.yaml");
const TESTS: (&str, &str) = ("alerts/tests", ".test.yaml");
const ALERTMANAGER: &str = "alerts/alertmanager.example.yaml";
/// Alerts and who is told of them by the example.
const ROUTES: [(&str, &[&str]); 6] = [
    ("pager,chat", &["alertname=OomenMemoryLeak", "severity=critical", "target=orders"]),
    ("chat", &["alertname=OomenMemoryLeak", "severity=warning", "target=orders"]),
    ("chat", &["alertname=OomenWatchdogDown", "severity=warning"]),
    ("nobody", &["alertname=OomenMemorySuspected", "severity=info", "target=orders"]),
    ("pager,chat", &["alertname=ShopOutboxStuck", "severity=critical", "job=orders"]),
    ("chat", &["alertname=ShopErrorBudgetBurn", "severity=warning", "job=orders"]),
];
const DEADLINE: Duration = Duration::from_secs(60);

pub(super) fn test(tally: &mut Tally) -> Result<()> {
    tally.check("alerts: unit tests", promtool(&["test", "rules"], &files(TESTS)?));
    tally.check("alerts: amtool accepts the example", amtool(&["check-config", ALERTMANAGER]));
    for (receivers, alert) in ROUTES {
        let (file, told) =
            (format!("--config.file={ALERTMANAGER}"), format!("--verify.receivers={receivers}"));
        let routed = amtool(&[&["config", "routes", "test", &file, &told], alert].concat());
        tally.check(&format!("alerts: {} goes to {receivers}", alert.join(" ")), routed);
    }
    for path in files(RULES)? {
        test_rules(tally, &path)?;
    }
    Ok(())
}

fn test_rules(tally: &mut Tally, path: &Path) -> Result<()> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let accepted = promtool(&["check", "rules"], &[path.to_owned()]);
    tally.check(&format!("alerts: promtool accepts {file}"), accepted);
    let rules = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    for (name, mutant) in mutants(&rules) {
        let alert = name.split(' ').next().unwrap_or_default();
        let noticed = noticed(alert, &file, &mutant);
        tally.check(&format!("alerts: the tests notice when {name} is mute"), noticed);
    }
    Ok(())
}

fn promtool(subcommand: &[&str], files: &[PathBuf]) -> Result<()> {
    sh::capture(Command::new("promtool").args(subcommand).args(files), DEADLINE).map(|_| ())
}

fn amtool(arguments: &[&str]) -> Result<()> {
    let mut amtool = Command::new("amtool");
    sh::capture(amtool.args(arguments).current_dir(root()), DEADLINE).map(|_| ())
}

/// The files of a directory whose names end so, in order; there must be one.
fn files((directory, end): (&str, &str)) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root().join(directory)).context(directory.to_owned())?;
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.to_string_lossy().ends_with(end));
    paths.sort();
    ensure!(!paths.is_empty(), "{directory} has no file *{end}");
    Ok(paths)
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

fn noticed(alert: &str, file: &str, mutant: &str) -> Result<()> {
    // The tests name the rules by where they lie, so they are copied beside the mutant.
    let folder = Folder::new("alerts")?;
    for path in files(RULES)? {
        fs::copy(&path, folder.path().join(path.file_name().context("a file")?))?;
    }
    let rules = folder.path().join(file);
    fs::write(&rules, mutant)?;
    fs::create_dir(folder.path().join("tests"))?;
    let mut about = Vec::new();
    for test in files(TESTS)? {
        let text = fs::read_to_string(&test)?;
        if text.contains(&format!("alertname: {alert}\n")) {
            let copy = folder.path().join("tests").join(test.file_name().context("a file")?);
            fs::write(&copy, text)?;
            about.push(copy);
        }
    }
    ensure!(!about.is_empty(), "no unit test is about it");
    promtool(&["check", "rules"], &[rules])?;
    ensure!(promtool(&["test", "rules"], &about).is_err(), "the unit tests pass without it");
    Ok(())
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
