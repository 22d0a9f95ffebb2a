//! Who a process is, and the times the recorder tells.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::error::RecorderError;

/// A process, told apart from all others of this boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// As the process itself sees it, which is another number in another pid namespace.
    pub pid: u32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
}

impl Identity {
    /// This process.
    ///
    /// # Errors
    /// When `/proc/self/stat` cannot be read or understood.
    pub fn of_self() -> Result<Self, RecorderError> {
        let path = "/proc/self/stat";
        let text = std::fs::read_to_string(path).map_err(RecorderError::io("read", path))?;
        start_ticks(&text)
            .map(|start_ticks| Self { pid: std::process::id(), start_ticks })
            .ok_or(RecorderError::Identity { text })
    }

    /// How long this process has been running.
    pub(crate) fn age(&self) -> Duration {
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        let started =
            Duration::from_millis(self.start_ticks.saturating_mul(1000) / ticks_per_second);
        since_boot().saturating_sub(started)
    }
}

/// The program's name, field 2, may hold spaces and parentheses: what counts begins behind the last one.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// `CLOCK_BOOTTIME`: it goes on while the machine sleeps, and is the same in every process.
pub(crate) fn since_boot() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_named_to_confuse_is_understood() {
        let stat = "12 (a) 3 (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20";
        assert_eq!(start_ticks(stat), Some(777));
        assert_eq!(start_ticks("12 (a) S 1"), None);
        assert_eq!(start_ticks(""), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no /proc")]
    fn this_process_started_a_moment_ago() {
        let own = Identity::of_self().unwrap();
        assert_eq!(own.pid, std::process::id());
        assert!(own.age() < Duration::from_secs(3600), "{:?}", own.age());
    }
}
