//! What a target costs: bytes held and processor time, with ten thousand of them side by side.

use anyhow::Result;
use rustix::time::{ClockId, clock_gettime};
use tikv_jemalloc_ctl::{epoch, stats};
use watchdog_core::detector::{Detector, DetectorConfig};
use watchdog_core::sample::{Allocator, Memory, Sample};
use watchdog_core::units::{Bytes, Moment, WallTime};

/// Seconds between two samples of each target.
const CADENCE: f64 = 15.0;
/// A week at that cadence.
const WEEK: u32 = 40_320;
/// Rounds over all targets that are timed.
const ROUNDS: u32 = 20;

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Bytes that one target holds after a week, by the allocator's own count.
    pub bytes: usize,
    /// Share of one core that the targets use together.
    pub core_share: f64,
    /// Targets there were.
    pub targets: usize,
}

/// Seconds of processor time of this thread.
pub fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Measures with `targets` detectors, each with a week behind it.
///
/// # Errors
/// When the allocator does not tell its statistics.
pub fn measure(targets: usize) -> Result<Cost> {
    let mut detector = Detector::new(DetectorConfig::default());
    for i in 0..WEEK {
        detector.observe(&sample(i, 0));
    }
    epoch::advance()?;
    let before = stats::allocated::read()?;
    let mut detectors = vec![detector; targets];
    epoch::advance()?;
    let bytes = (stats::allocated::read()? - before) / targets.max(1);
    let began = thread_seconds();
    for round in 0..ROUNDS {
        for (target, detector) in detectors.iter_mut().enumerate() {
            detector.observe(&sample(WEEK + round, target));
        }
    }
    let seconds = thread_seconds() - began;
    Ok(Cost { bytes, core_share: seconds / (f64::from(ROUNDS) * CADENCE), targets })
}

/// A service that breathes with the day, its allocator read at every sample.
fn sample(i: u32, target: usize) -> Sample {
    let t = f64::from(i) * CADENCE;
    let noise = (f64::from(i) * 12.9898 + target as f64).sin().abs() * 5e6;
    let used = 4e8 + 1e8 * (t / 86_400.0 * std::f64::consts::TAU).sin() + noise;
    let bytes = |share: f64| Bytes((used * share) as u64);
    Sample {
        at: Moment(t),
        wall: WallTime(t),
        age: t,
        memory: Memory {
            anon: bytes(1.0),
            rss: bytes(1.05),
            file: bytes(0.05),
            ..Memory::default()
        },
        limit: Some(Bytes::from_mib(1024)),
        allocator: Some(Allocator {
            allocated: bytes(0.8),
            active: bytes(0.85),
            resident: bytes(0.9),
            ..Allocator::default()
        }),
        load: Some(used / 1e6),
        ..Sample::default()
    }
}
