//! The shop's speed: browsing through the gateway beside a bare handler, orders on Postgres beside pgbench, and what heap
//! profiling costs either.
//!
//! Two shops stand open on one Postgres, each with a RabbitMQ of its own: one with its heap profile recorded, as it
//! ships, and one with profiling off. They, the bare handler and pgbench take turns, so that every ratio is of two
//! figures of the same minute.

mod browse;
mod orders;
mod spread;
mod stage;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::bench::table::markdown;
use crate::{packages, release};
use spread::Spread;
use stage::Stage;

/// How long, with how many.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShopArgs {
    /// Turns of each.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(3..=100))]
    rounds: u16,
    /// Seconds of browsing in a turn.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=600))]
    browse_seconds: u16,
    /// Seconds of ordering in a turn, until the last order is accepted.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=600))]
    order_seconds: u16,
    /// Connections that browse.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=500))]
    visitors: u16,
    /// Customers that order at the same time, and clients of pgbench.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100))]
    customers: u16,
    /// How the profiled shop samples: one sample per 2 to the power of so many bytes [default: as it ships, 19].
    #[arg(long, value_parser = clap::value_parser!(u8).range(16..=24))]
    lg_prof_sample: Option<u8>,
}

impl Default for ShopArgs {
    fn default() -> Self {
        Self {
            rounds: 12,
            browse_seconds: 2,
            order_seconds: 4,
            visitors: 16,
            customers: 8,
            lg_prof_sample: None,
        }
    }
}

/// Of a bare handler's requests, the gateway's.
const LEAST_BROWSING: f64 = 0.5;
/// Of pgbench's transactions, the shop's orders.
const LEAST_ORDERS: f64 = 1.0 / 3.0;
/// Of the figures without profiling. CPU time of the services, in which one run differs from the next by a percent where
/// requests per second differ by ten; and none of it is the database's, the broker's or the load's.
const MOST_COST: f64 = 0.03;

pub(super) fn run(args: &ShopArgs) -> Result<(bool, Value)> {
    packages::ensure(&packages::BUILD)?;
    packages::ensure(&packages::ENGINES)?;
    packages::ensure(&packages::LOAD)?;
    release::build()?;
    let mut stage = Stage::set(args)?;
    let browsed = browse::measure(&stage, args)?;
    let ordered = orders::measure(&mut stage, args)?;
    ensure!(browsed.len() == usize::from(args.rounds), "a turn is missing");
    Ok(report(args, &browsed, &ordered))
}

fn report(args: &ShopArgs, browsed: &[browse::Turn], ordered: &[orders::Turn]) -> (bool, Value) {
    let claims = [
        Claim::least(
            "browsing, requests/s: gateway of bare handler",
            browsed.iter().map(|turn| (turn.on.reached, turn.bare)),
            LEAST_BROWSING,
        ),
        Claim::least(
            "orders/s until notified: shop of pgbench",
            ordered.iter().map(|turn| (turn.on.notified, turn.pgbench)),
            LEAST_ORDERS,
        ),
        Claim::figure(
            "orders/s until accepted: shop of pgbench",
            ordered.iter().map(|turn| (turn.on.accepted, turn.pgbench)),
        ),
        Claim::least(
            "browsing, requests per CPU s of the services: profiled of not profiled",
            browsed.iter().map(|turn| (turn.on.per_cpu, turn.off.per_cpu)),
            1.0 - MOST_COST,
        ),
        Claim::least(
            "orders per CPU s of the services: profiled of not profiled",
            ordered.iter().map(|turn| (turn.on.per_cpu, turn.off.per_cpu)),
            1.0 - MOST_COST,
        ),
    ];
    let rows: Vec<_> = claims.iter().map(Claim::row).collect();
    let head = ["medians of the turns", "shop", "beside", "ratio", "interval", "bound", "holds"];
    println!("{}", markdown(&head, &rows));
    let results: Vec<_> = claims.iter().map(Claim::json).collect();
    let result = json!({
        "rounds": args.rounds, "visitors": args.visitors, "customers": args.customers,
        "lg_prof_sample": args.lg_prof_sample,
        "claims": results, "browsing": browsed, "orders": ordered,
    });
    (claims.iter().all(Claim::holds), result)
}

/// Two figures of each turn, and what their ratio must be.
struct Claim {
    what: &'static str,
    shop: Spread,
    beside: Spread,
    ratio: Spread,
    least: Option<f64>,
}

impl Claim {
    fn figure(what: &'static str, pairs: impl Iterator<Item = (f64, f64)>) -> Self {
        let pairs: Vec<_> = pairs.collect();
        let of = |figure: fn(&(f64, f64)) -> f64| Spread::of(pairs.iter().map(figure));
        let (shop, beside) = (of(|pair| pair.0), of(|pair| pair.1));
        Self { what, shop, beside, ratio: of(|pair| pair.0 / pair.1), least: None }
    }

    fn least(what: &'static str, pairs: impl Iterator<Item = (f64, f64)>, least: f64) -> Self {
        Self { least: Some(least), ..Self::figure(what, pairs) }
    }

    fn holds(&self) -> bool {
        self.least.is_none_or(|least| self.ratio.median >= least)
    }

    fn row(&self) -> Vec<String> {
        let ratio = &self.ratio;
        vec![
            self.what.to_owned(),
            format!("{:.0}", self.shop.median),
            format!("{:.0}", self.beside.median),
            format!("{:.3}", ratio.median),
            format!("{:.3} to {:.3} ({:.0} %)", ratio.low, ratio.high, ratio.coverage * 100.0),
            self.least.map_or_else(String::new, |least| format!("≥ {least:.2}")),
            match (self.least, self.holds()) {
                (None, _) => "–",
                (_, true) => "yes",
                (_, false) => "no",
            }
            .to_owned(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what, "shop": self.shop.median, "beside": self.beside.median,
            "ratio": self.ratio, "least": self.least, "holds": self.holds(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_by_the_median_of_the_turns_ratios() {
        // The machine was slower for both in the second turn: that is no fault of the shop.
        let pairs = [(60.0, 100.0), (30.0, 50.0), (40.0, 100.0)];
        let claim = Claim::least("x", pairs.into_iter(), 0.5);
        assert_eq!(claim.ratio.median, 0.6);
        assert!(claim.holds());
        assert!(!Claim::least("x", pairs.into_iter(), 0.61).holds());
        assert!(Claim::figure("x", pairs.into_iter()).holds(), "it has no bound");
    }

    #[test]
    fn no_figure_holds_that_was_not_measured() {
        assert!(!Claim::least("x", [(0.0, 0.0)].into_iter(), 0.5).holds());
    }
}
