//! CPU time of processes, as the kernel counts it.

use anyhow::{Context, Result};

/// The kernel's unit of CPU time for programs, `USER_HZ`: 100 on every Linux that Debian ships.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds that a process has used since its start, user and system: `utime` and `stime` of `/proc/PID/stat`.
pub(super) fn seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = ticks(&stat).with_context(|| format!("/proc/{pid}/stat is {stat:?}"))?;
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// The name of a program may hold blanks and brackets; utime and stime are the 12th and 13th field after it.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11).map(|field| field.parse::<u64>().ok());
    Some(fields.next()?? + fields.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 9";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (short) S 1 7"), None);
    }
}
