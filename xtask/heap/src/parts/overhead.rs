//! What sampling and the recorder cost a program that runs: in a loop that only allocates, and in a JSON service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use oomen_recorder::{Geometry, Keeper};

use super::Settings;
use crate::child::{Talking, ourselves};
use crate::figures::{median, quantile, ratios};
use crate::http;
use crate::machine;
use crate::report::Report;
use crate::work::{Served, Spun};

const LOOP_ROUNDS: usize = 11;
/// Allocations of a thread in a round: half a second.
const STEPS: u64 = 20_000_000;
const SERVICE_ROUNDS: usize = 9;
const CONNECTIONS: usize = 8;
const WARM_UP_MS: u64 = 300;
const LOAD_MS: u64 = 2500;
/// Recorder over plain sampling, in the loop.
const LOOP_BOUND: f64 = 1.025;
/// Sampling and recorder over neither, in the service.
const SERVICE_BOUND: f64 = 1.03;

/// How a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Profiling is off.
    Off,
    /// The same again, to see the noise.
    OffAgain,
    /// One sample each 512 KiB, as the probe comes.
    Sampling,
    /// The same again, to see the noise.
    SamplingAgain,
    /// That, into a flight recorder.
    Recorder,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Off => "no profiling (prof:false)",
            Self::OffAgain => "no profiling, again",
            Self::Sampling => "sampling, lg_prof_sample:19",
            Self::SamplingAgain => "sampling, again",
            Self::Recorder => "sampling with the recorder",
        }
    }
}

/// Recorders for processes that are started one after the other.
struct Recorders {
    keeper: Keeper,
    directory: PathBuf,
}

impl Recorders {
    fn open(directory: &Path) -> Result<Self> {
        let keeper = Keeper::open(directory, Geometry::default(), 1)?;
        Ok(Self { keeper, directory: directory.to_owned() })
    }

    fn dress(&self, command: &mut Command, way: Way) {
        command.env_remove("OOMEN_RECORDER_DIR").env_remove("_RJEM_MALLOC_CONF");
        match way {
            Way::Off | Way::OffAgain => command.env("_RJEM_MALLOC_CONF", "prof:false"),
            Way::Sampling | Way::SamplingAgain => command,
            Way::Recorder => command.env("OOMEN_RECORDER_DIR", &self.directory),
        };
    }

    /// Whether the process recorded, as it was to; and a spare one for the next.
    fn check(&mut self, way: Way) -> Result<()> {
        let claimed = self.keeper.claimed()?;
        let expected = usize::from(way == Way::Recorder);
        ensure!(claimed.len() == expected, "{way:?}: {} recorders were claimed", claimed.len());
        for one in &claimed {
            let samples: u64 = one.open()?.snapshot()?.stacks.iter().map(|s| s.alloc_samples).sum();
            ensure!(samples > 0, "the recorder of the process is empty");
            self.keeper.remove(one)?;
        }
        self.keeper.refill()?;
        Ok(())
    }
}

/// Adds the tables and bounds of this part.
pub(super) fn measure(settings: &Settings, report: &mut Report) -> Result<()> {
    let scratch = settings.scratch("overhead")?;
    let mut recorders = Recorders::open(&scratch.join("recorders"))?;
    spin(settings, &mut recorders, report)?;
    serve(settings, &mut recorders, report)
}

/// What each way cost, round by round: the ways take turns, and the first of a round is another each time.
fn in_turn<const N: usize>(
    ways: [Way; N],
    rounds: usize,
    mut one: impl FnMut(Way) -> Result<f64>,
) -> Result<[Vec<f64>; N]> {
    let mut costs = [const { Vec::new() }; N];
    for round in 0..rounds {
        for at in 0..N {
            let at = (at + round) % N;
            costs[at].push(one(ways[at])?);
        }
    }
    Ok(costs)
}

const LOOP: [Way; 4] = [Way::Off, Way::Sampling, Way::SamplingAgain, Way::Recorder];

fn spin(settings: &Settings, recorders: &mut Recorders, report: &mut Report) -> Result<()> {
    let mut rows = Vec::new();
    for threads in [1_usize, 2] {
        eprintln!("overhead: the allocation-only loop on {threads} threads");
        let costs = in_turn(LOOP, settings.rounds(LOOP_ROUNDS), |way| {
            let mut command = ourselves("spin")?;
            command.args(["--threads", &threads.to_string(), "--steps", &STEPS.to_string()]);
            recorders.dress(&mut command, way);
            let spun: Spun = Talking::start(&mut command)?.hear()?;
            recorders.check(way)?;
            Ok(spun.nanoseconds)
        })?;
        let [off, sampling, again, recorder] = &costs;
        for (way, cost) in LOOP.iter().zip(&costs) {
            rows.push(vec![
                threads.to_string(),
                way.name().to_owned(),
                format!("{:.2} ns", median(cost)),
                spread(&ratios(cost, off)),
                spread(&ratios(cost, sampling)),
            ]);
        }
        let ratio = median(&ratios(recorder, sampling));
        let noise = median(&ratios(again, sampling));
        report.bound(
            &format!("allocation-only loop, {threads} thread(s): recorder over plain sampling"),
            &format!("{ratio:.3} (the same against itself {noise:.3})"),
            &format!("at most {LOOP_BOUND}"),
            ratio <= LOOP_BOUND,
        );
    }
    let head = [
        "threads",
        "configuration",
        "processor time per allocation",
        "÷ no profiling",
        "÷ sampling",
    ];
    report.table("A loop that only allocates", &head, rows);
    report.note(format!(
        "Overhead: medians of {} rounds in which the configurations take turns, each in a process of its own; ratios are of the same round, with their quartiles.",
        settings.rounds(LOOP_ROUNDS)
    ));
    Ok(())
}

const SERVICE: [Way; 4] = [Way::Off, Way::OffAgain, Way::Sampling, Way::Recorder];

fn serve(settings: &Settings, recorders: &mut Recorders, report: &mut Report) -> Result<()> {
    eprintln!("overhead: the JSON service");
    let costs = in_turn(SERVICE, settings.rounds(SERVICE_ROUNDS), |way| {
        let mut command = ourselves("cart")?;
        recorders.dress(&mut command, way);
        let cost = per_request(&mut command)?;
        recorders.check(way)?;
        Ok(cost)
    })?;
    let [off, again, _, recorder] = &costs;
    let row = |(way, cost): (&Way, &Vec<f64>)| {
        vec![way.name().to_owned(), format!("{:.2} µs", median(cost)), spread(&ratios(cost, off))]
    };
    let rows = SERVICE.iter().zip(&costs).map(row).collect();
    let head = ["configuration", "processor time per request", "÷ no profiling"];
    report.table("A JSON service (axum, a cart of 20 items) on one processor", &head, rows);
    let (ratio, noise) = (median(&ratios(recorder, off)), median(&ratios(again, off)));
    report.bound(
        "JSON service: sampling with the recorder over no profiling",
        &format!("{ratio:.3} (the same against itself {noise:.3})"),
        &format!("at most {SERVICE_BOUND}"),
        ratio <= SERVICE_BOUND,
    );
    Ok(())
}

/// Microseconds of the service's processor time for a request.
fn per_request(command: &mut Command) -> Result<f64> {
    let mut service = Talking::start(command)?;
    let served: Served = service.hear()?;
    let address = ([127, 0, 0, 1], served.port).into();
    load(address, WARM_UP_MS)?;
    let (cpu, requests) = (machine::cpu_time(service.pid())?, requests(address)?);
    load(address, LOAD_MS)?;
    let cpu = machine::cpu_time(service.pid())? - cpu;
    let requests = self::requests(address)? - requests;
    ensure!(requests > 1000, "only {requests} requests were served");
    Ok(cpu.as_secs_f64() * 1e6 / requests as f64)
}

fn load(address: SocketAddr, milliseconds: u64) -> Result<()> {
    let mut command = ourselves("load")?;
    command.env("_RJEM_MALLOC_CONF", "prof:false");
    command.args(["--address", &address.to_string(), "--path", "/cart"]);
    command.args(["--connections", &CONNECTIONS.to_string()]);
    command.args(["--milliseconds", &milliseconds.to_string()]);
    let answers: u64 = Talking::start(&mut command)?.hear()?;
    ensure!(answers > 0, "no request was answered");
    Ok(())
}

fn requests(address: SocketAddr) -> Result<u64> {
    let body = http::ask("GET", address, "/served", "")?;
    String::from_utf8_lossy(&body).parse().context("the number of requests served")
}

/// The median and the quartiles.
fn spread(values: &[f64]) -> String {
    let [low, middle, high] = [0.25, 0.5, 0.75].map(|share| quantile(values, share));
    format!("{middle:.3} ({low:.3}–{high:.3})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_the_first_of_a_round_in_turn() {
        let mut order = Vec::new();
        let costs = in_turn([Way::Off, Way::Recorder], 3, |way| {
            order.push(way);
            Ok(order.len() as f64)
        });
        assert_eq!(costs.unwrap(), [vec![1.0, 4.0, 5.0], vec![2.0, 3.0, 6.0]]);
        assert_eq!(order[..4], [Way::Off, Way::Recorder, Way::Recorder, Way::Off]);
    }
}
