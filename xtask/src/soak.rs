//! `cargo xtask soak`: the whole shop at rest and under an hour of steady load, with no fault on. The watchdog is the judge.

mod counts;
mod course;
mod judge;
mod stage;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::interrupt::Interrupt;
use crate::root;
use course::Course;
use judge::Judge;
use stage::Stage;

/// Between two looks at what the watchdog thinks: incidents stay in its list for longer.
const LOOK: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

/// How long, how fast and where.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Minutes of steady load.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// Minutes at rest before.
    #[arg(long, default_value_t = 5)]
    rest: u32,
    /// Requests per second through the gateway: `50` or `50/s`.
    #[arg(long, default_value = "50/s", value_parser = rate)]
    rate: u32,
    /// Where programs, stores and logs are kept; what an earlier soak left there is removed.
    #[arg(long, default_value = "target/soak")]
    data: PathBuf,
}

/// Opens the shop, loads it, and says what the watchdog said; whether nobody was told of a leak.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let interrupt = Interrupt::catch()?;
    // What runs is stopped as its owner is dropped.
    let mut stage = Stage::set(&root().join(&options.data))?;
    println!(
        "the shop is open at http://{} and watched at http://{}/; limit of each service: {}",
        stage.door(),
        stage.watchdog,
        stage::LIMIT,
    );
    let mut judge = Judge::default();
    let mut phase =
        |stage: &mut Stage, name, minutes| phase(stage, &mut judge, &interrupt, name, minutes);
    let rest = phase(&mut stage, "rest", options.rest)?;
    let before = stage.bytes()?;
    stage.load(options.rate, options.minutes)?;
    let load = phase(&mut stage, "load", options.minutes)?;
    let last = stage.look()?;
    judge.hear(&stage.incidents()?);
    let (served, tables) = stage.load_ended()?;
    println!("\n{rest}{load}{}", stage.bytes()?.since(before));
    println!("the load ended with {served}; {} has its tables", tables.display());
    judge.found(&last).iter().for_each(|line| println!("{line}"));
    let passed = judge.is_quiet(&last) && served.success();
    println!("soak: {}", if passed { "OK, nobody was told of a leak" } else { "NOT OK" });
    Ok(passed)
}

/// Some minutes of one kind: a look every ten seconds, a line every minute.
fn phase(
    stage: &mut Stage,
    judge: &mut Judge,
    interrupt: &Interrupt,
    name: &'static str,
    minutes: u32,
) -> Result<Course> {
    let (began, mut course) = (Instant::now(), Course::new(name));
    let mut requests = stage.requests()?;
    for minute in 1..=minutes {
        let until = began + MINUTE * minute;
        while Instant::now() < until {
            interrupt.sleep_until(until.min(Instant::now() + LOOK))?;
            stage.must_live()?;
            let targets = stage.look().context("asking the watchdog")?;
            judge.hear(&stage.incidents()?);
            course.add(&targets);
        }
        let now = stage.requests()?;
        let rate = now.since(requests, MINUTE);
        requests = now;
        println!("{name} {minute}/{minutes} min: {rate}; {}", course.latest());
    }
    Ok(course)
}

fn rate(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    match number.parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is no rate; write 50 or 50/s")),
        Ok(rate) => Ok(rate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_of_requests_in_a_second() {
        assert_eq!((rate("50"), rate("7/s")), (Ok(50), Ok(7)));
        for bad in ["", "0", "/s", "5/min", "-1", "1.5"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
