//! The dashboards: their files, their conventions, and that every query returns data from a real Prometheus during a
//! leak, or is known to return none there.

mod links;
mod lint;
mod queries;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::lab::{self, Lab};
use super::prometheus::Prometheus;
use super::tally::Tally;
use crate::{dashboards, http, root};
use queries::Query;

const FIRING: &str = r#"ALERTS{alertname="OomenMemoryLeak", alertstate="firing"}"#;
/// The leak is told after some fifteen seconds; everything else is there before.
const LEAK_IS_TOLD: Duration = Duration::from_secs(90);
const DATA: Duration = Duration::from_secs(20);
/// What a panel shows here: all of the lab's life.
const SHOWN: Duration = Duration::from_secs(300);

pub(super) fn test(tally: &mut Tally) -> Result<()> {
    tally.check("dashboards: every file has a source", dashboards::check_files());
    let mut rendered = Vec::new();
    let mut empty = BTreeMap::new();
    for source in dashboards::sources()? {
        let name = source.uid.clone();
        tally.check(&format!("dashboards: {name} is as generated"), dashboards::check(&source));
        let marked = source.expected_empty();
        empty.extend(marked.map(|(place, why)| (format!("{name}: {place}"), why.to_owned())));
        let dashboard = dashboards::render(&source)?;
        let conventions = conventions(&name, &dashboard);
        tally.check(&format!("dashboards: {name} keeps the conventions"), conventions);
        rendered.push((name, dashboard));
    }
    let lab = Lab::start()?;
    let prometheus = Prometheus::start(&lab.watchdogs)?;
    tally.check("prometheus: the rules load and evaluate", rules(&prometheus));
    let before = prometheus.series(FIRING)?;
    lab.leak()?;
    links_lead_somewhere(tally, &lab, &prometheus, &rendered)?;
    tally.check(
        "prometheus: OomenMemoryLeak fires on a real leak",
        leak_is_told(&prometheus, &before),
    );
    for (name, dashboard) in &rendered {
        for query in queries::of(name, dashboard) {
            match empty.get(&query.place) {
                None => tally.check(
                    &format!("dashboards: {} has data", query.place),
                    data(&prometheus, &query),
                ),
                Some(why) => tally.check(
                    &format!("dashboards: {} has none, as {why}", query.place),
                    none(&prometheus, &query),
                ),
            }
        }
    }
    Ok(())
}

/// At the leak's beginning: before it the heap is empty, and with little headroom left a watchdog spares the process.
fn links_lead_somewhere(
    tally: &mut Tally,
    lab: &Lab,
    prometheus: &Prometheus,
    rendered: &[(String, Value)],
) -> Result<()> {
    let paths: BTreeSet<_> =
        rendered.iter().flat_map(|(_, dashboard)| links::of(dashboard, lab::TARGET)).collect();
    ensure!(!paths.is_empty(), "no dashboard links to a watchdog");
    for path in &paths {
        for watchdog in lab.watchdogs {
            let leads = prometheus.wait(DATA, |_| leads(watchdog, path).map(|()| true));
            let check = format!("dashboards: the link to {path} leads somewhere");
            tally.check(&check, leads.map(drop));
        }
    }
    Ok(())
}

fn leads(watchdog: SocketAddr, path: &str) -> Result<()> {
    let (status, body) = http::get(watchdog, path)?;
    ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
    Ok(())
}

fn conventions(name: &str, dashboard: &Value) -> Result<()> {
    let found = lint::find(name, dashboard);
    if found.is_empty() {
        return Ok(());
    }
    bail!("{}", found.join("\n"))
}

fn rules(prometheus: &Prometheus) -> Result<()> {
    let mut written = 0;
    for file in fs::read_dir(root().join("alerts")).context("alerts")? {
        let path = file?.path();
        if path.to_string_lossy().ends_with(".rules.yaml") {
            let text = fs::read_to_string(path)?;
            written += text.matches("- alert: ").count() + text.matches("- record: ").count();
        }
    }
    let all = prometheus.wait(DATA, |prometheus| Ok(prometheus.healthy_rules()? == written))?;
    ensure!(all, "{written} rules are written, {} are evaluated", prometheus.healthy_rules()?);
    Ok(())
}

fn leak_is_told(prometheus: &Prometheus, before: &[Value]) -> Result<()> {
    ensure!(before.is_empty(), "it fires before anything leaks");
    let fires =
        prometheus.wait(LEAK_IS_TOLD, |prometheus| Ok(!prometheus.series(FIRING)?.is_empty()))?;
    ensure!(fires, "not within {} s", LEAK_IS_TOLD.as_secs());
    Ok(())
}

/// There is some, and its series have the labels that are shown of it and that links are made of.
fn data(prometheus: &Prometheus, query: &Query) -> Result<()> {
    let found = prometheus
        .wait(DATA, |prometheus| Ok(!series(prometheus, query)?.is_empty()))
        .with_context(|| query.expression.clone())?;
    ensure!(found, "no data for {}", query.expression);
    for series in series(prometheus, query)? {
        let missing = query.labels.iter().find(|label| series[label.as_str()].is_null());
        ensure!(missing.is_none(), "{series} has no {missing:?}: {}", query.expression);
    }
    Ok(())
}

/// It is a query all the same, and has to lose its mark once it returns something.
fn none(prometheus: &Prometheus, query: &Query) -> Result<()> {
    let found = series(prometheus, query).with_context(|| query.expression.clone())?.len();
    ensure!(found == 0, "{found} series for {}: take away `empty`", query.expression);
    Ok(())
}

fn series(prometheus: &Prometheus, query: &Query) -> Result<Vec<Value>> {
    if query.over_time {
        return prometheus.series_over(&query.expression, SHOWN);
    }
    prometheus.series(&query.expression)
}
