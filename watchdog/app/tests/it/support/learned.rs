//! The state of a watchdog that has watched for long: nobody waits twelve hours in a test.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use oomen::clock::Clock;
use oomen::state;
use oomen::workload::Workload;
use watchdog_core::detector::DetectorConfig;
use watchdog_core::sample::{Memory, Sample};
use watchdog_core::units::{Bytes, Moment, WallTime};

const MIB: f64 = 1024.0 * 1024.0;
/// What the target has lived at, with a saw-tooth of five minutes above it.
const LEVEL: f64 = 80.0;
const SWING: f64 = 16.0;

/// Seconds since 1970.
pub(crate) fn wall() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs_f64()
}

/// Writes what a watchdog has learned of a target of this name in twelve hours up to now.
pub(crate) fn learned(data: &Path, target: &str) {
    fs::create_dir_all(data).expect("a directory");
    let clock = Clock::new(Path::new("/proc"));
    let (now, wall) = (clock.now().0, wall());
    let mut workload = Workload::new(DetectorConfig::default(), WallTime(wall));
    let hours = 12.0 * 3600.0;
    for i in 0..2880_u32 {
        let t = f64::from(i) * 15.0;
        let mib = LEVEL + (t % 300.0) / 300.0 * SWING;
        workload.observe(&Sample {
            at: Moment(now - hours + t),
            wall: WallTime(wall - hours + t),
            age: 100.0 + t,
            memory: Memory { anon: Bytes((mib * MIB) as u64), ..Memory::default() },
            limit: Some(Bytes::from_mib(256)),
            ..Sample::default()
        });
    }
    let workloads = [(target.to_owned(), workload)];
    state::save(data, &clock.stamp(WallTime(wall)), workloads.into_iter()).expect("a state");
}
