//! From the decision to the wire: when each receiver reads the first byte of an incident's first report.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::leakers::Leakers;
use super::receiver::Manner;
use super::watch::{SINKS, Watch, recorders};
use super::{Scratch, holds, milliseconds};
use crate::bench::table::{markdown, median};

/// Between the decision and the first byte, median.
const BOUND_S: f64 = 0.005;
/// At 20 MB/s under 256 MiB a leak is told of within a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// After an incident's end: its last messages to Slack take their turns at one a second, and what waits for a turn is
/// no measure of the way.
const SETTLE: Duration = Duration::from_secs(4);

pub(super) fn measure(incidents: usize) -> Result<(bool, Value)> {
    let scratch = Scratch::new("wire")?;
    eprintln!("starting {incidents} programs");
    let mut leakers = Leakers::start(incidents, &recorders(&scratch.0))?;
    let watch = Watch::start(&leakers, Manner::Answers, &scratch.0)?;
    let began = Instant::now();
    for target in 0..incidents {
        leakers.go(target)?;
        until_told(&watch, target)?;
        leakers.end(target)?;
        settle(&watch)?;
        let seconds = began.elapsed().as_secs();
        eprintln!("from decision to wire: incident {} of {incidents}, {seconds} s", target + 1);
    }
    let told = watch.told()?;
    let figures = SINKS.map(|sink| {
        let arrived = (0..incidents).map(|target| watch.arrivals.at(sink, target));
        let delays = told.iter().zip(arrived).filter_map(|(told, at)| Some(at? - (*told)?));
        Figures::of(sink, delays.collect())
    });
    drop((watch, leakers));
    scratch.remove()?;
    let rows: Vec<_> = figures.iter().map(|figures| figures.row(incidents)).collect();
    let head = [
        "decision to",
        "until",
        "arrived",
        "median",
        "p95",
        "worst",
        "bound of the median",
        "holds",
    ];
    println!("{}", markdown(&head, &rows));
    let ok = figures.iter().all(|figures| figures.hold(incidents));
    Ok((ok, figures.iter().map(Figures::json).collect()))
}

/// Waits until every sink has a report on a target; one that gets none is missing in the figures.
fn until_told(watch: &Watch, target: usize) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    let missing = || SINKS.iter().any(|sink| watch.arrivals.at(sink, target).is_none());
    while missing() && Instant::now() < end {
        watch.read_slack(Duration::from_millis(20))?;
    }
    Ok(())
}

fn settle(watch: &Watch) -> Result<()> {
    let end = Instant::now() + SETTLE;
    while Instant::now() < end {
        watch.read_slack(Duration::from_millis(100))?;
    }
    Ok(())
}

struct Figures {
    sink: &'static str,
    /// Seconds, ascending.
    delays: Vec<f64>,
}

impl Figures {
    fn of(sink: &'static str, mut delays: Vec<f64>) -> Self {
        delays.sort_by(f64::total_cmp);
        Self { sink, delays }
    }

    /// The delay that this share of the reports did not exceed.
    fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.delays.len() as f64).ceil() as usize;
        self.delays.get(rank.saturating_sub(1)).copied().unwrap_or(f64::INFINITY)
    }

    /// Every incident arrived, and half of them in time.
    fn hold(&self, incidents: usize) -> bool {
        self.delays.len() == incidents && median(&self.delays) <= BOUND_S
    }

    fn row(&self, incidents: usize) -> Vec<String> {
        vec![
            self.sink.to_owned(),
            if self.sink == "slack" { "read and checked" } else { "first byte" }.to_owned(),
            format!("{} of {incidents}", self.delays.len()),
            milliseconds(median(&self.delays)),
            milliseconds(self.quantile(0.95)),
            milliseconds(self.quantile(1.0)),
            format!("≤ {}", milliseconds(BOUND_S)),
            holds(self.hold(incidents)),
        ]
    }

    fn json(&self) -> Value {
        json!({ "sink": self.sink, "delays_s": self.delays })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_delays_that_were_seen() {
        let delays: Vec<f64> = (1..=40).rev().map(|ms| f64::from(ms) / 1e3).collect();
        let figures = Figures::of("slack", delays);
        assert_eq!((figures.quantile(0.95), figures.quantile(1.0)), (0.038, 0.04));
        assert_eq!(Figures::of("slack", Vec::new()).quantile(0.95), f64::INFINITY);
    }

    #[test]
    fn the_bound_holds_only_if_every_report_arrived() {
        assert!(Figures::of("loki", vec![0.001, 0.002, 1.0]).hold(3));
        assert!(!Figures::of("loki", vec![0.001, 0.002]).hold(3));
        assert!(!Figures::of("loki", vec![0.001, 0.006, 0.007]).hold(3));
        assert!(!Figures::of("loki", Vec::new()).hold(1));
    }
}
