//! A workload: one detector over all the processes that follow each other under a target's name.

use serde::{Deserialize, Serialize};
use watchdog_collect::collector::Collector;
use watchdog_core::detector::{Assessment, Detector, DetectorConfig};
use watchdog_core::sample::Sample;
use watchdog_core::units::WallTime;

/// Who a process is, within one boot of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot, which tells a reused pid apart.
    pub start_ticks: u64,
    /// Path of its program; `None` where it may not be read.
    pub exe: Option<String>,
}

impl Process {
    /// The process that a collector has opened.
    pub fn of(collector: &Collector) -> Self {
        Self {
            pid: collector.pid(),
            start_ticks: collector.start_ticks(),
            exe: program_of(collector),
        }
    }

    /// Whether this is the same process and runs the same program, as far as both are known.
    pub fn is(&self, other: &Self) -> bool {
        let same_program = match (&self.exe, &other.exe) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        self.pid == other.pid && self.start_ticks == other.start_ticks && same_program
    }
}

/// The program that a process runs now. One link is read; its file system is not asked.
pub fn program_of(collector: &Collector) -> Option<String> {
    collector.exe().ok().map(|exe| exe.to_string_lossy().into_owned())
}

/// A detector, and whom it watches.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Workload {
    /// The process whose samples came last, until its end was seen.
    process: Option<Process>,
    /// When the last sample was taken.
    seen: WallTime,
    detector: Detector,
}

impl Workload {
    /// A workload of which nothing was seen, at this time.
    pub fn new(config: DetectorConfig, now: WallTime) -> Self {
        Self { process: None, seen: now, detector: Detector::new(config) }
    }

    /// A workload that was restored from a file, with its detector's settings; `None` when that detector is not one of
    /// this version.
    pub fn restored(self, config: DetectorConfig) -> Option<Self> {
        let detector = self.detector.restored(config)?;
        Some(Self { detector, ..self })
    }

    /// Its detector.
    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// When its last sample was taken.
    pub fn seen(&self) -> WallTime {
        self.seen
    }

    /// Whether this very process is the one whose samples came last.
    pub fn was(&self, process: &Process) -> bool {
        self.process.as_ref().is_some_and(|last| last.is(process))
    }

    /// The next samples are this process's. If they were another's, that one has ended unseen.
    pub fn take_over(&mut self, process: Process) {
        if !self.was(&process) {
            self.lose_process();
        }
        self.process = Some(process);
    }

    /// Whatever process there was is gone, and nobody saw how it ended.
    pub fn lose_process(&mut self) {
        if self.process.take().is_some() {
            self.detector.end_segment(None);
        }
    }

    /// The process has ended, by the kernel for its memory or otherwise.
    pub fn ended(&mut self, killed: bool) {
        self.process = None;
        self.detector.end_segment(Some(killed));
    }

    /// Takes note of the program that the process runs now; true if it was another one before, so that all memory is
    /// new.
    pub fn runs(&mut self, exe: String) -> bool {
        let Some(process) = &mut self.process else { return false };
        let before = process.exe.replace(exe);
        let executed = before.is_some() && before != process.exe;
        if executed {
            self.detector.end_segment(Some(false));
        }
        executed
    }

    /// Takes one sample and says what is known now.
    pub fn observe(&mut self, sample: &Sample) -> Assessment {
        self.seen = sample.wall;
        self.detector.observe(sample)
    }
}

#[cfg(test)]
mod tests {
    use watchdog_core::sample::Memory;
    use watchdog_core::units::{Bytes, Moment};

    use super::*;

    fn process(pid: u32, exe: Option<&str>) -> Process {
        Process { pid, start_ticks: 7, exe: exe.map(str::to_owned) }
    }

    fn watched(seconds: u32) -> Workload {
        let mut workload = Workload::new(DetectorConfig::default(), WallTime(0.0));
        workload.take_over(process(1, Some("/bin/a")));
        (0..seconds).for_each(|t| sample(&mut workload, t));
        workload
    }

    fn sample(workload: &mut Workload, t: u32) {
        sample_of(workload, t, 100);
    }

    fn sample_of(workload: &mut Workload, t: u32, mib: u64) {
        let memory = Memory { anon: Bytes::from_mib(mib), ..Memory::default() };
        let at = f64::from(t);
        let (age, limit) = (1000.0 + at, Some(Bytes::from_mib(1024)));
        workload.observe(&Sample {
            at: Moment(at),
            wall: WallTime(at),
            age,
            memory,
            limit,
            ..Sample::default()
        });
    }

    /// Seconds of the window that the next sample's assessment is made from.
    fn window(mut workload: Workload, t: u32) -> Option<f64> {
        sample(&mut workload, t);
        let memory = Memory { anon: Bytes::from_mib(100), ..Memory::default() };
        let sample = Sample {
            at: Moment(f64::from(t) + 1.0),
            age: 9999.0,
            memory,
            limit: Some(Bytes::from_mib(1024)),
            ..Sample::default()
        };
        workload.observe(&sample).trend.map(|trend| trend.window)
    }

    #[test]
    fn the_same_process_goes_on_and_another_begins_anew() {
        assert!(window(watched(400), 400).is_some());
        for (next, goes_on) in [
            (process(1, Some("/bin/a")), true),
            (process(1, None), true),
            (process(1, Some("/bin/b")), false),
            (process(2, Some("/bin/a")), false),
            (Process { start_ticks: 8, ..process(1, Some("/bin/a")) }, false),
        ] {
            let mut workload = watched(400);
            workload.take_over(next.clone());
            assert_eq!(window(workload, 400).is_some(), goes_on, "{next:?}");
        }
    }

    #[test]
    fn an_end_that_was_seen_ends_the_segment_once() {
        let mut workload = watched(400);
        workload.ended(true);
        assert!(!workload.was(&process(1, Some("/bin/a"))));
        workload.take_over(process(2, None));
        assert!(window(workload.clone(), 400).is_none());
        assert_eq!(
            workload.detector().history().rows().len(),
            watched(400).detector.history().rows().len()
        );
    }

    #[test]
    fn an_end_that_nobody_saw_is_a_kill_where_the_process_was_nearly_full() {
        for (mib, killed) in [(500, false), (1000, true)] {
            let mut workload = watched(400);
            (400..800).for_each(|t| sample_of(&mut workload, t, mib));
            let after = |end: &dyn Fn(&mut Workload)| {
                let mut workload = workload.clone();
                end(&mut workload);
                postcard::to_stdvec(&workload).expect("bytes")
            };
            let unseen = after(&Workload::lose_process);
            assert_eq!(unseen, after(&|workload| workload.ended(killed)), "{mib} MiB");
            assert_ne!(unseen, after(&|workload| workload.ended(!killed)), "{mib} MiB");
        }
    }

    #[test]
    fn another_program_in_the_same_process_begins_anew() {
        let mut workload = watched(400);
        assert!(!workload.runs("/bin/a".into()));
        assert!(window(workload.clone(), 400).is_some());
        assert!(workload.runs("/bin/b".into()));
        assert!(!workload.runs("/bin/b".into()));
        assert!(window(workload, 400).is_none());
    }

    #[test]
    fn a_program_that_could_not_be_read_before_is_no_other() {
        let mut workload = Workload::new(DetectorConfig::default(), WallTime(0.0));
        workload.take_over(process(1, None));
        assert!(!workload.runs("/bin/a".into()));
        assert!(workload.runs("/bin/b".into()));
    }
}
