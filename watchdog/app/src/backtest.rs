//! `oomen backtest`: recorded series through the detector that watches live ones.
//!
//! Each worker takes the next series in the order of the paths and reads it row by row, so that memory does not grow
//! with the size or the number of files. Results are written in that same order.

mod outcome;
mod progress;
mod teller;
mod text;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use watchdog_collect::recording::{self, Recording, RecordingError, Series};
use watchdog_core::detector::DetectorConfig;
use watchdog_core::replay::Replayer;

use crate::cli::BacktestArgs;
use crate::context::lock;
use outcome::{Outcome, Told};
use progress::Progress;
use teller::Teller;

/// Exit status when a series could not be read, or when nobody reads the results any more.
const NOT_ALL: u8 = 1;

/// A series, or a path that turned out to hold none.
type Job = Result<Series, RecordingError>;

/// Replays the series of all paths and writes what the detector said of each.
///
/// # Errors
/// When the results cannot be written. A series that cannot be read is a result.
pub fn run(args: &BacktestArgs) -> anyhow::Result<ExitCode> {
    let jobs = jobs(args);
    let config = detector(args);
    let progress = Progress::start(jobs.len());
    let teller = Mutex::new(Teller::new(io::stdout(), args.format, progress));
    let next = AtomicUsize::new(0);
    rayon::broadcast(|_| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(index) else { return };
            let outcome = replay(job, config);
            if !lock(&teller).take(index, outcome) {
                return;
            }
        }
    });
    let teller = teller.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    match teller.finish() {
        Ok(summary) if summary.unreadable == 0 => Ok(ExitCode::SUCCESS),
        Ok(_) => Ok(ExitCode::from(NOT_ALL)),
        // `| head` has read what it wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::from(NOT_ALL)),
        Err(error) => Err(error).context("cannot write the results"),
    }
}

fn detector(args: &BacktestArgs) -> DetectorConfig {
    let default = DetectorConfig::default();
    let warm_up = args.warm_up.map_or(default.warm_up, |warm_up| warm_up.as_secs_f64());
    DetectorConfig { warm_up, ..default }
}

/// The series of all paths, in their order; those without a limit get the one of the command line.
fn jobs(args: &BacktestArgs) -> Vec<Job> {
    let mut jobs = Vec::new();
    for path in &args.paths {
        match recording::list(path) {
            Ok(listing) => {
                note(path, "index.csv names files that are not there", &listing.absent);
                note(path, "no series, but tables without t_seconds", &listing.others);
                let limit = args.limit.map(|limit| limit.as_f64());
                jobs.extend(
                    listing
                        .series
                        .into_iter()
                        .map(|series| Ok(Series { limit: series.limit.or(limit), ..series })),
                );
            }
            Err(error) => jobs.push(Err(error)),
        }
    }
    jobs
}

fn note(directory: &Path, what: &str, files: &[String]) {
    if let Some(first) = files.first() {
        let (directory, count) = (directory.display(), files.len());
        eprintln!("oomen: {directory}: note: {what}: {count}, such as {first}");
    }
}

fn replay(job: &Job, config: DetectorConfig) -> Outcome {
    match job {
        Ok(series) => Outcome {
            file: series.path.display().to_string(),
            result: replay_series(series, config).map_err(|error| error.to_string()),
        },
        Err(error) => {
            Outcome { file: error.path.display().to_string(), result: Err(error.to_string()) }
        }
    }
}

fn replay_series(series: &Series, config: DetectorConfig) -> Result<Told, RecordingError> {
    let mut recording = Recording::open(&series.path, series.limit)?;
    let mut replayer = Replayer::new(config);
    let mut first = None;
    for sample in recording.by_ref() {
        let sample = sample?;
        first.get_or_insert(sample.at);
        replayer.observe(&sample);
    }
    Ok(Told {
        first: first.unwrap_or_default(),
        replay: replayer.finish(),
        notes: recording.notes().clone(),
    })
}
