//! Made-up series to draw, the same on every machine.

use watchdog_core::history::Row;
use watchdog_core::sample::Allocator;
use watchdog_core::units::{Bytes, Moment, WallTime};

/// Mebibytes, also parts of one.
pub(crate) fn mib(amount: f64) -> Bytes {
    Bytes((amount * 1_048_576.0) as u64)
}

/// A row every `step` seconds from `from` seconds before `now` to it, `used` MiB at each; every tenth with the allocator's
/// figures.
pub(crate) fn rows(now: WallTime, from: f64, step: f64, used: impl Fn(f64) -> f64) -> Vec<Row> {
    let count = (from / step) as u32;
    let row = |index: u32| {
        let t = f64::from(index) * step - from;
        let used = used(t) + jitter(index);
        Row {
            at: Moment(t + from + 77.0),
            wall: now.plus(t),
            unreclaimable: mib(used),
            rss: mib(used + 9.0),
            shmem: Bytes(0),
            file: mib(9.0),
            limit: None,
            allocator: index.is_multiple_of(10).then(|| Allocator {
                allocated: mib(used * 0.86),
                resident: mib(used * 0.95),
                ..Allocator::default()
            }),
            load: None,
        }
    };
    (0..=count).map(row).collect()
}

/// A level, then growth of `pace` MiB a second over the last `over` seconds, up to `end`.
pub(crate) fn leak(end: f64, over: f64, pace: f64) -> impl Fn(f64) -> f64 {
    move |t| end + t.max(-over) * pace
}

/// Less than a mebibyte either way.
fn jitter(index: u32) -> f64 {
    let mixed = index.wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(40_503);
    f64::from(mixed % 2000) / 1000.0 - 1.0
}
