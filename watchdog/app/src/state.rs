//! The detectors' state over restarts of the watchdog: written now and then and at the end, restored at the start.
//!
//! Losing it costs only time – a cold start needs as long to see a slow leak as the first one did – so nothing here
//! stops the watchdog: what cannot be written is said and tried again, and what cannot be read is refused, said and set
//! aside.

pub mod file;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, BufWriter};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use watchdog_core::detector::DetectorConfig;
use watchdog_core::units::{WallTime, span};
use watchdog_web::status::ReadCount;

use crate::clock::{Clock, Stamp};
use crate::context::{Context, Slot, lock};
use crate::workload::Workload;
use file::{FileError, State};

/// Where the state is kept below the data directory: apart from the heap dumps.
const DIRECTORY: &str = "state";
const NAME: &str = "detectors";
/// What was refused last; only one is kept.
const REFUSED: &str = "detectors.refused";
const UNFINISHED: &str = "detectors.tmp";
/// Seconds for which a workload is remembered that no process was seen of: as long as its records reach back.
pub const REMEMBERED: f64 = 14.0 * 86_400.0;

/// What an earlier watchdog left behind, or nothing.
#[derive(Debug, Default)]
pub struct Restored {
    /// The clock, going on where that one's ended.
    pub clock: Clock,
    /// Its workloads by name.
    pub workloads: Vec<(String, Workload)>,
}

impl Restored {
    /// Nothing: every workload is new, on this boot's clock.
    pub fn cold(proc_root: &Path) -> Self {
        Self { clock: Clock::new(proc_root), workloads: Vec::new() }
    }
}

/// Restores the state of at most `most` workloads below the data directory, each with the settings of `config`. A state
/// that cannot be used is refused, said and renamed; then everything starts cold.
pub fn restore(
    data_dir: &Path,
    most: usize,
    config: DetectorConfig,
    proc_root: &Path,
    now: WallTime,
) -> Restored {
    let dir = data_dir.join(DIRECTORY);
    match read(&dir.join(NAME), most) {
        Ok(Some(state)) => wake(state, config, proc_root, now),
        Ok(None) => Restored::cold(proc_root),
        Err(error) => {
            let kept = fs::rename(dir.join(NAME), dir.join(REFUSED)).is_ok().then_some(REFUSED);
            tracing::warn!(
                dir = %dir.display(), %error, kept,
                "the detectors' state is refused: every target starts cold"
            );
            Restored::cold(proc_root)
        }
    }
}

fn read(path: &Path, most: usize) -> Result<Option<State>, FileError> {
    // Opening a pipe would wait for its writer.
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => return Err(FileError::Foreign),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    file::read(BufReader::new(File::open(path)?), most).map(Some)
}

/// Makes of a stored state one that can go on now.
fn wake(state: State, config: DetectorConfig, proc_root: &Path, now: WallTime) -> Restored {
    let State { stamp, workloads } = state;
    let clock = Clock::new(proc_root);
    let same_boot = clock.is_boot_of(&stamp);
    let mut workloads: Vec<_> = workloads
        .into_iter()
        .filter(|(_, workload)| is_remembered(workload, now))
        .filter_map(|(name, workload)| configured(name, workload, config))
        .collect();
    if !same_boot {
        workloads.iter_mut().for_each(|(_, workload)| workload.lose_process());
    }
    let newest = workloads.iter().map(|(_, workload)| workload.seen().0).reduce(f64::max);
    tracing::info!(
        targets = workloads.len(),
        same_boot,
        last_sample = newest.map(|seen| format!("{} ago", span(now.0 - seen))),
        "the detectors go on where an earlier watchdog left them"
    );
    Restored { clock: clock.after(&stamp, now), workloads }
}

fn configured(
    name: String,
    workload: Workload,
    config: DetectorConfig,
) -> Option<(String, Workload)> {
    let workload = workload.restored(config);
    if workload.is_none() {
        tracing::warn!(
            target_name = name,
            "a detector's state is refused, as its windows are not those of this version: its target starts cold"
        );
    }
    Some((name, workload?))
}

fn seen(slot: &Slot) -> WallTime {
    lock(&slot.workload).seen()
}

fn is_remembered(workload: &Workload, now: WallTime) -> bool {
    now.0 - workload.seen().0 <= REMEMBERED
}

/// Writes the state below the data directory; the former one stays until the new one is whole on the disk.
///
/// # Errors
/// When the disk refuses; then the former one is still there.
pub fn save(
    data_dir: &Path,
    stamp: &Stamp,
    workloads: impl Iterator<Item = (String, Workload)>,
) -> Result<(), FileError> {
    let dir = data_dir.join(DIRECTORY);
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    let unfinished = dir.join(UNFINISHED);
    let written = write(&unfinished, stamp, workloads)
        .and_then(|()| Ok(fs::rename(&unfinished, dir.join(NAME))?));
    if written.is_err() {
        // A full disk must not stay full of it.
        fs::remove_file(&unfinished).ok();
    }
    written
}

fn write(
    path: &Path,
    stamp: &Stamp,
    workloads: impl Iterator<Item = (String, Workload)>,
) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file::write(BufWriter::new(&file), stamp, workloads)?;
    Ok(file.sync_all()?)
}

/// Writes the state of one watchdog now and then.
pub struct Keeper {
    context: Arc<Context>,
    data_dir: PathBuf,
    /// Workloads that are written at most.
    most: usize,
    /// Samples that the last state holds.
    saved: u64,
    failing: bool,
}

impl Keeper {
    /// A keeper that has written nothing, of at most so many workloads.
    pub fn new(context: Arc<Context>, data_dir: PathBuf, most: usize) -> Self {
        context.meter(|meters| meters.state_writes = Some(ReadCount::default()));
        Self { context, data_dir, most, saved: 0, failing: false }
    }

    /// Writes the state at this interval until `stop`, and comes back for the last time.
    pub async fn run(mut self, interval: Duration, stop: CancellationToken) -> Self {
        loop {
            tokio::select! {
                () = stop.cancelled() => return self,
                () = tokio::time::sleep(interval) => self.save().await,
            }
        }
    }

    /// Writes the state if anything was sampled since it was written last.
    pub async fn save(&mut self) {
        let samples = self.context.samples();
        if samples == self.saved {
            return;
        }
        let (context, data_dir, most) =
            (Arc::clone(&self.context), self.data_dir.clone(), self.most);
        let written = tokio::task::spawn_blocking(move || {
            let (_, now) = context.now();
            let mut slots = context.slots();
            slots.retain(|(_, slot)| is_remembered(&lock(&slot.workload), now));
            slots.sort_by(|(_, a), (_, b)| seen(b).0.total_cmp(&seen(a).0));
            slots.truncate(most);
            // One is copied at a time: under its lock, which a sample may wait for, and written without it.
            let workloads = slots.into_iter().map(|(name, slot)| {
                let workload = lock(&slot.workload).clone();
                (name, workload)
            });
            save(&data_dir, &context.stamp(), workloads)
        });
        let problem = match written.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        self.context.meter(|meters| {
            let writes = meters.state_writes.get_or_insert_default();
            writes.ok += u64::from(problem.is_none());
            writes.error += u64::from(problem.is_some());
        });
        match problem {
            None => (self.saved, self.failing) = (samples, false),
            Some(error) if !std::mem::replace(&mut self.failing, true) => tracing::warn!(
                data_dir = %self.data_dir.display(), error,
                "the detectors' state cannot be written: after a restart they would start cold"
            ),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
