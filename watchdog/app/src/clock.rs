//! The sampling clock: it goes on over restarts of the watchdog and of the machine.
//!
//! Within one boot it is the kernel's `CLOCK_BOOTTIME`, which every process reads alike and nobody can set. After
//! another boot that begins at zero again, so the clock is put forward: it goes on where the last stamp ended, moved by
//! the time that passed on the wall. What was remembered then lies in the past, as it must.

use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use watchdog_core::units::{Moment, WallTime};

/// A reboot counts for at most this long, in seconds: longer ago nothing is remembered, and a wall clock that jumped by
/// years must not carry the sampling clock along.
const LONGEST_BREAK: f64 = 14.0 * 86_400.0;
/// The kernel's boot id is 36 characters long.
const MAX_BOOT_ID: usize = 64;

/// The clock of one watchdog.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    boot: Option<String>,
    ahead: f64,
}

/// What the clock showed when something was written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamp {
    /// The kernel's id of the boot; `None` where it cannot be read.
    boot: Option<String>,
    at: Moment,
    wall: WallTime,
    /// Seconds by which the clock is ahead of the time since boot.
    ahead: f64,
}

impl Clock {
    /// The clock of this boot, whose id is read below `proc_root`.
    pub fn new(proc_root: &Path) -> Self {
        let boot = std::fs::read_to_string(proc_root.join("sys/kernel/random/boot_id"));
        let boot = boot.ok().map(|id| id.trim().to_owned());
        Self { boot: boot.filter(|id| !id.is_empty() && id.len() <= MAX_BOOT_ID), ahead: 0.0 }
    }

    /// Now.
    pub fn now(&self) -> Moment {
        Moment(since_boot() + self.ahead)
    }

    /// The same clock, going on from an earlier watchdog's stamp; `wall` is the time now.
    pub fn after(self, stamp: &Stamp, wall: WallTime) -> Self {
        let ahead = self.ahead_after(stamp, wall, since_boot());
        Self { ahead, ..self }
    }

    fn ahead_after(&self, stamp: &Stamp, wall: WallTime, since_boot: f64) -> f64 {
        // It must never go back, whatever a container's own time namespace says.
        let least = stamp.at.0 - since_boot;
        if self.is_boot_of(stamp) {
            stamp.ahead.max(least)
        } else {
            least + (wall.0 - stamp.wall.0).clamp(0.0, LONGEST_BREAK)
        }
    }

    /// Whether the machine was not booted since. Only then a process id and its start say who it is.
    pub fn is_boot_of(&self, stamp: &Stamp) -> bool {
        self.boot.is_some() && self.boot == stamp.boot
    }

    /// What it shows now.
    pub fn stamp(&self, wall: WallTime) -> Stamp {
        Stamp { boot: self.boot.clone(), at: self.now(), wall, ahead: self.ahead }
    }
}

impl Stamp {
    /// Whether it can have been made by a clock.
    pub fn is_sound(&self) -> bool {
        [self.at.0, self.wall.0, self.ahead].iter().all(|number| number.is_finite())
    }
}

/// Seconds since the machine was booted, suspended or not.
fn since_boot() -> f64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(boot: Option<&str>) -> Clock {
        Clock { boot: boot.map(str::to_owned), ahead: 0.0 }
    }

    fn stamp(boot: Option<&str>) -> Stamp {
        let boot = boot.map(str::to_owned);
        Stamp { boot, at: Moment(5000.0), wall: WallTime(1e9), ahead: 300.0 }
    }

    #[test]
    fn it_is_the_kernels_time_since_boot_and_never_goes_back() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let clock = Clock::new(Path::new("/proc"));
        let (first, second) = (clock.now(), clock.now());
        assert!((first.0 - uptime).abs() < 2.0, "{first:?} at {uptime}");
        assert!(first <= second);
        assert_eq!(clock.boot.map(|id| id.len()), Some(36));
    }

    #[test]
    fn in_the_same_boot_moments_are_the_same() {
        let clock = clock(Some("a"));
        assert!(clock.is_boot_of(&stamp(Some("a"))));
        let ahead = clock.ahead_after(&stamp(Some("a")), WallTime(1e9 + 60.0), 4760.0);
        assert_eq!(ahead, 300.0, "whatever the wall says");
        let ahead = clock.ahead_after(&stamp(Some("a")), WallTime(1e9), 100.0);
        assert_eq!(100.0 + ahead, 5000.0, "never back");
    }

    #[test]
    fn after_another_boot_it_goes_on_by_the_time_that_passed() {
        for boot in [Some("b"), None] {
            let clock = clock(boot);
            assert!(!clock.is_boot_of(&stamp(Some("a"))));
            let now = |wall| 20.0 + clock.ahead_after(&stamp(Some("a")), WallTime(wall), 20.0);
            assert_eq!(now(1e9 + 60.0), 5060.0);
            assert_eq!(now(1e9 - 9999.0), 5000.0, "a wall clock set back");
            assert_eq!(now(9e9), 5000.0 + LONGEST_BREAK, "a wall clock set forward");
        }
        assert!(!clock(None).is_boot_of(&stamp(None)), "an unknown boot is another");
    }
}
