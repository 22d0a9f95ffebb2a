//! The proof, end to end: a service leaks under a real limit, its watchdog is scraped by a real Prometheus with the
//! shipped rules, a real Alertmanager with the example configuration tells people, and every query of every dashboard
//! has data meanwhile, or is known to have none.

mod links;
mod queries;
mod questions;
mod story;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::alertmanager::Alertmanager;
use super::lab::{self, Lab};
use super::prometheus::Prometheus;
use super::receiver::Receiver;
use super::tally::Tally;
use crate::{dashboards, http, root};
use questions::Questions;
use story::Story;

/// Each replica holds four fifths of its limit when it begins to leak, and slowly, so that there is a leak to tell while
/// the kill is more than two minutes away. Once it is told, the limit is full after half a minute.
const FILLED: u64 = 207 << 20;
const LEAK: u64 = 200_000;
const FAST_LEAK: u64 = 1_500_000;
/// The kill is told long before, and the end of the leak's alerts ten seconds after it.
const END: Duration = Duration::from_secs(300);
const DATA: Duration = Duration::from_secs(20);
const RULES: &str = "alerts";
const PAUSE: Duration = Duration::from_millis(250);

pub(super) fn test(tally: &mut Tally) -> Result<()> {
    let receiver = Receiver::start()?;
    let alertmanager = Alertmanager::start(receiver.addr)?;
    let lab = Lab::start([FILLED; 2], Some(alertmanager.addr))?;
    let prometheus = Prometheus::start(&lab.scraped(), Some(alertmanager.addr))?;
    tally.check("proof: the rules load and evaluate", rules(&prometheus));
    tally.check("proof: nobody is told of anything before it leaks", quiet(&receiver));
    leak(&lab, LEAK)?;
    links_lead_somewhere(tally, &lab, &prometheus)?;
    let mut questions = Questions::read()?;
    let story = Story::of(lab.replicas.each_ref().map(|replica| replica.pod.clone()));
    let (mut is_fast, until) = (false, Instant::now() + END);
    while Instant::now() < until && !(story.is_over(&receiver.told()) && questions.are_answered()) {
        if !is_fast && story.leaks_are_told(&receiver.told()) {
            leak(&lab, FAST_LEAK)?;
            is_fast = true;
        }
        questions.ask(&prometheus);
        thread::sleep(PAUSE);
    }
    story.check(tally, &receiver.told());
    questions.check(tally, &prometheus);
    Ok(())
}

fn leak(lab: &Lab, bytes_per_second: u64) -> Result<()> {
    lab.replicas.iter().try_for_each(|replica| replica.leak(bytes_per_second))
}

/// At the leak's beginning: before it the heap is empty, and with little headroom left a watchdog spares the process.
fn links_lead_somewhere(tally: &mut Tally, lab: &Lab, prometheus: &Prometheus) -> Result<()> {
    let mut paths = BTreeSet::new();
    for source in dashboards::sources()? {
        paths.extend(links::of(&dashboards::render(&source)?, lab::TARGET));
    }
    ensure!(!paths.is_empty(), "no dashboard links to a watchdog");
    for path in &paths {
        for watchdog in lab.watchdogs() {
            let leads = prometheus.wait(DATA, |_| leads(watchdog, path).map(|()| true));
            tally.check(&format!("proof: the link to {path} leads somewhere"), leads.map(drop));
        }
    }
    Ok(())
}

fn leads(watchdog: SocketAddr, path: &str) -> Result<()> {
    let (status, body) = http::get(watchdog, path)?;
    ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
    Ok(())
}

fn rules(prometheus: &Prometheus) -> Result<()> {
    let written = written_rules()?;
    let all = prometheus.wait(DATA, |prometheus| Ok(prometheus.healthy_rules()? == written))?;
    ensure!(all, "{written} rules are written, {} are evaluated", prometheus.healthy_rules()?);
    Ok(())
}

fn written_rules() -> Result<usize> {
    let mut written = 0;
    for file in fs::read_dir(root().join(RULES)).context(RULES)? {
        let path = file?.path();
        if path.to_string_lossy().ends_with(".rules.yaml") {
            let text = fs::read_to_string(path)?;
            written += text.matches("- alert: ").count() + text.matches("- record: ").count();
        }
    }
    Ok(written)
}

fn quiet(receiver: &Receiver) -> Result<()> {
    let told = receiver.told();
    ensure!(told.is_empty(), "{}", told[0].body);
    Ok(())
}
