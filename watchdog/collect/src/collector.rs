//! Joins the sources of one target into samples, and says at the end how the target died.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use watchdog_core::incident::Ending;
use watchdog_core::sample::{Cgroup, Sample};
use watchdog_core::units::{Bytes, Moment, WallTime};

use crate::CollectError;
use crate::cgroup::CgroupReader;
use crate::limit::{Limit, LimitSource, resolve};
use crate::process::ProcessReader;

mod ending;

use ending::{Counted, KillCounter, LastSeen};

/// What to watch.
#[derive(Clone, Debug)]
pub struct CollectorOptions {
    /// `/proc` outside of tests.
    pub proc_root: PathBuf,
    /// The process.
    pub pid: u32,
    /// The user's own word on the limit; it overrides everything else.
    pub limit_override: Option<Bytes>,
    /// The Downward API's word, used where the cgroup says nothing.
    pub downward_limit: Option<Bytes>,
}

/// Samples one process and its cgroup.
#[derive(Debug)]
pub struct Collector {
    process: ProcessReader,
    cgroup: Result<CgroupReader, CollectError>,
    limit_override: Option<Bytes>,
    downward_limit: Option<Bytes>,
    /// Kept over a gap: a limit is a setting, not a measurement.
    cgroup_limit: Option<Bytes>,
    cgroup_failures: u64,
    cgroup_failing: bool,
    cgroup_took: Option<Duration>,
    kills: KillCounter,
    last: LastSeen,
}

impl Collector {
    /// Opens the process. A cgroup that cannot be read is no failure: see [`Self::cgroup_problem`].
    pub fn attach(options: CollectorOptions) -> Result<Self, CollectError> {
        let CollectorOptions { proc_root, pid, limit_override, downward_limit } = options;
        let process = ProcessReader::attach(&proc_root, pid)?;
        let cgroup = CgroupReader::find(&proc_root, pid);
        let mut collector = Self {
            process,
            cgroup,
            limit_override,
            downward_limit,
            cgroup_limit: None,
            cgroup_failures: 0,
            cgroup_failing: false,
            cgroup_took: None,
            kills: KillCounter::default(),
            last: LastSeen::default(),
        };
        if let Some(cgroup) = collector.read_cgroup() {
            collector.kills.start(cgroup.oom_kills);
        }
        Ok(collector)
    }

    /// One row of the series. The cgroup is in it where it sets a limit. The allocator's part is left out: it is asked for over the network.
    pub fn sample(&mut self, at: Moment, wall: WallTime) -> Result<Sample, CollectError> {
        self.kills.settle(at);
        let memory = self.process.read()?;
        let age = self.process.age()?;
        let cgroup = self.read_cgroup();
        if let Some(cgroup) = cgroup {
            self.kills.observe(cgroup.oom_kills, at);
        }
        // A cgroup without a limit does not kill, so what its other processes hold counts for nothing.
        let cgroup = cgroup.filter(|_| self.cgroup_limit.is_some());
        let limit = self.limit().map(|limit| limit.bytes);
        let sample = Sample { at, wall, memory, limit, cgroup, allocator: None, load: None, age };
        self.last = LastSeen { used: Some(sample.used()), limit };
        Ok(sample)
    }

    /// How the process ended; to be asked after [`CollectError::Vanished`], and soon, as the cgroup often
    /// goes with its last process.
    pub fn ending(&mut self) -> Ending {
        let counted = self.cgroup.as_mut().ok().map(|reader| Counted {
            item: format!("{} oom_kill", reader.version().kills_file()),
            path: reader.path().display().to_string(),
            now: reader.oom_kills().ok(),
        });
        ending::judge(counted.as_ref(), self.kills, self.last)
    }

    fn read_cgroup(&mut self) -> Option<Cgroup> {
        let reader = self.cgroup.as_mut().ok()?;
        let began = Instant::now();
        let read = reader.read();
        self.cgroup_took = Some(began.elapsed());
        match read {
            Ok(reading) => {
                self.cgroup_failing = false;
                self.cgroup_limit = reading.limit;
                Some(reading.cgroup)
            }
            Err(error) => {
                self.cgroup_failures += 1;
                if !std::mem::replace(&mut self.cgroup_failing, true) {
                    let pid = self.process.pid();
                    tracing::warn!(pid, %error, "the cgroup cannot be read; its part of the series has a gap");
                }
                None
            }
        }
    }

    fn limit(&self) -> Option<Limit> {
        resolve(self.limit_override, self.cgroup_limit, self.downward_limit)
    }

    /// Seconds since the process started.
    ///
    /// # Errors
    /// When it is gone or cannot be read.
    pub fn age(&mut self) -> Result<f64, CollectError> {
        self.process.age()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Start time in clock ticks since boot.
    pub fn start_ticks(&self) -> u64 {
        self.process.start_ticks()
    }

    /// The command's name as it is now.
    pub fn comm(&mut self) -> Result<String, CollectError> {
        self.process.comm()
    }

    /// The binary it runs now.
    pub fn exe(&self) -> Result<PathBuf, CollectError> {
        self.process.exe()
    }

    /// Who gave the limit.
    pub fn limit_source(&self) -> Option<LimitSource> {
        self.limit().map(|limit| limit.source)
    }

    /// How often the cgroup could not be read since the start.
    pub fn cgroup_failures(&self) -> u64 {
        self.cgroup_failures
    }

    /// How long the last read of the cgroup took, whether it worked or not; a part of what [`Self::sample`] takes.
    pub fn cgroup_took(&self) -> Option<Duration> {
        self.cgroup_took
    }

    /// Why the cgroup was not found, if it was not.
    pub fn cgroup_problem(&self) -> Option<&CollectError> {
        self.cgroup.as_ref().err()
    }
}
