//! What the kernel says of processes, and on which processor one runs.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

/// The processor of what is measured, where there are two.
pub(crate) const MEASURED: usize = 0;
/// The processor of what asks or looks.
pub(crate) const ASKING: usize = 1;

/// A line of `/proc/PID/status` that ends in kB, in bytes.
pub(crate) fn status_bytes(pid: u32, item: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    in_bytes(&status, item).with_context(|| format!("{path} has no {item}"))
}

/// What `/proc/meminfo` says that could be had without swapping, in bytes.
pub(crate) fn available_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    in_bytes(&text, "MemAvailable:").context("/proc/meminfo has no MemAvailable:")
}

fn in_bytes(text: &str, item: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(item))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// Lets the kernel forget the greatest memory of a process so far: `VmHWM` begins anew (proc(5), `clear_refs`).
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("writing {path}"))
}

/// Processor time of all threads of a process that run now.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let tasks = format!("/proc/{pid}/task");
    let mut sum = 0;
    for task in fs::read_dir(&tasks).with_context(|| format!("reading {tasks}"))? {
        // A thread may end while we look.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let first = text.split_whitespace().next().context("an empty schedstat")?;
        sum += first.parse::<u64>().context("schedstat")?;
    }
    ensure!(sum > 0, "{tasks}/*/schedstat tells no time: the kernel has no CONFIG_SCHED_INFO");
    Ok(Duration::from_nanos(sum))
}

/// Processor time of the calling thread.
pub(crate) fn own_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Keeps the calling thread, and the threads and programs that it starts from now on, on one processor.
pub(crate) fn pin(processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).with_context(|| {
        format!("cannot stay on processor {processor}; this needs a machine with at least two")
    })
}

/// How many runnable threads there were in the last minute, on average.
pub(crate) fn load_average() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_used_time() {
        let own = std::process::id();
        assert!(status_bytes(own, "RssAnon:").unwrap() > 4096);
        assert!(cpu_time(own).unwrap() > Duration::ZERO && own_cpu_time() > Duration::ZERO);
        let error = status_bytes(own, "NoSuchItem:").unwrap_err().to_string();
        assert!(error.contains("NoSuchItem:"), "{error}");
    }

    #[test]
    fn only_lines_in_kb_are_bytes() {
        assert_eq!(in_bytes("VmHWM:\t   12 kB\n", "VmHWM:"), Some(12 << 10));
        assert_eq!(in_bytes("Threads:\t12\n", "Threads:"), None);
    }
}
