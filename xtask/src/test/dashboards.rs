//! The dashboards: their conventions, and that every query returns data from a real Prometheus during a leak.

mod lint;
mod queries;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::lab::Lab;
use super::prometheus::Prometheus;
use super::tally::Tally;
use crate::root;
use queries::Query;

const FOLDER: &str = "dashboards";
/// The leak is told after some fifteen seconds; everything else is there before.
const LEAK_IS_TOLD: Duration = Duration::from_secs(90);
const DATA: Duration = Duration::from_secs(20);

pub(super) fn test(tally: &mut Tally) -> Result<()> {
    let dashboards = dashboards()?;
    for (name, dashboard) in &dashboards {
        let found = lint::find(name, dashboard);
        let outcome =
            if found.is_empty() { Ok(()) } else { Err(anyhow::anyhow!(found.join("\n"))) };
        tally.check(&format!("dashboards: {name} keeps the conventions"), outcome);
    }
    let lab = Lab::start()?;
    let prometheus = Prometheus::start(lab.watchdog)?;
    tally.check("prometheus: the rules load and evaluate", rules(&prometheus));
    lab.leak()?;
    tally.check("prometheus: OomenMemoryLeak fires on a real leak", leak_is_told(&prometheus));
    for (name, dashboard) in &dashboards {
        for query in queries::of(name, dashboard) {
            tally
                .check(&format!("dashboards: {} has data", query.place), data(&prometheus, &query));
        }
    }
    Ok(())
}

fn dashboards() -> Result<Vec<(String, Value)>> {
    let mut dashboards = Vec::new();
    for entry in fs::read_dir(root().join(FOLDER)).context(FOLDER)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read(&path).with_context(|| path.display().to_string())?;
            let json = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
            dashboards.push((name, json));
        }
    }
    ensure!(!dashboards.is_empty(), "{FOLDER}/ has no dashboard");
    dashboards.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(dashboards)
}

fn rules(prometheus: &Prometheus) -> Result<()> {
    let text = fs::read_to_string(root().join(super::alerts::RULES))?;
    let written = text.matches("- alert: ").count();
    let all = prometheus.wait(DATA, |prometheus| Ok(prometheus.healthy_rules()? == written))?;
    ensure!(all, "{written} alerts are written, {} are evaluated", prometheus.healthy_rules()?);
    Ok(())
}

fn leak_is_told(prometheus: &Prometheus) -> Result<()> {
    let firing = r#"ALERTS{alertname="OomenMemoryLeak", alertstate="firing"}"#;
    ensure!(prometheus.series(firing)? == 0, "it fires before anything leaks");
    let fires = prometheus.wait(LEAK_IS_TOLD, |prometheus| Ok(prometheus.series(firing)? > 0))?;
    ensure!(fires, "not within {} s", LEAK_IS_TOLD.as_secs());
    Ok(())
}

fn data(prometheus: &Prometheus, query: &Query) -> Result<()> {
    let found = prometheus
        .wait(DATA, |prometheus| Ok(prometheus.series(&query.expression)? > 0))
        .with_context(|| query.expression.clone())?;
    ensure!(found, "no data for {}", query.expression);
    Ok(())
}
