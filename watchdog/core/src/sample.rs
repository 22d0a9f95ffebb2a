//! One look at the watched process: what the kernel and its allocator say about its memory.

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Moment, WallTime};

/// Memory of one process as `/proc/PID/status` gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// `VmRSS`: all resident pages.
    pub rss: Bytes,
    /// `RssAnon`: resident anonymous pages.
    pub anon: Bytes,
    /// `RssFile`: resident file pages; the kernel can drop them.
    pub file: Bytes,
    /// `RssShmem`: resident shared memory and tmpfs pages.
    pub shmem: Bytes,
    /// `VmSwap`: anonymous pages that were swapped out.
    pub swap: Bytes,
}

impl Memory {
    /// The leak signal: anonymous pages, swap and shared memory, which the kernel cannot drop to make room.
    pub fn unreclaimable(&self) -> Bytes {
        self.anon + self.swap + self.shmem
    }
}

/// The memory controller of the process's cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// `memory.current` (v2) or `memory.usage_in_bytes` (v1), page cache included.
    pub usage: Bytes,
    /// What of it cannot be reclaimed: anonymous, shared memory and swap, from `memory.stat`.
    pub unreclaimable: Bytes,
    /// `memory.events` `oom_kill` (v2) or `memory.oom_control` `oom_kill` (v1): kills so far.
    pub oom_kills: u64,
}

/// What the allocator says of itself (jemalloc's `stats.*`), in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocator {
    /// Bytes the program asked for and still holds.
    pub allocated: Bytes,
    /// Bytes in pages that hold at least one allocation.
    pub active: Bytes,
    /// Bytes the allocator keeps resident: active pages, dirty pages, metadata.
    pub resident: Bytes,
    /// Bytes of address space kept for reuse but not resident.
    pub retained: Bytes,
    /// Bytes in extents that the allocator has mapped.
    pub mapped: Bytes,
    /// Bytes the allocator uses for itself.
    pub metadata: Bytes,
    /// Whether heap profiling is on.
    pub profiling: bool,
}

/// One row of the series: what was seen of a target at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, on the clock that never goes back.
    pub at: Moment,
    /// When, for people.
    pub wall: WallTime,
    /// The process's memory.
    pub memory: Memory,
    /// The limit whose crossing kills, if one is known.
    pub limit: Option<Bytes>,
    /// The process's cgroup, where it can be read.
    pub cgroup: Option<Cgroup>,
    /// The allocator's own statistics, where the process offers them. `None` is a gap, not a zero.
    pub allocator: Option<Allocator>,
    /// Requests a second at that moment, where a request counter is known; only compared with itself.
    pub load: Option<f64>,
    /// Seconds since the process started.
    pub age: f64,
}

impl Sample {
    /// What counts against the limit: the cgroup's unreclaimable pages where they can be read, as other processes of
    /// the same cgroup count too, else the process's own. The process's shared memory is left out beside a cgroup,
    /// because it may be charged to another one: whoever touches a shared page first pays for it.
    pub fn used(&self) -> Bytes {
        match self.cgroup {
            Some(cgroup) => cgroup.unreclaimable.max(self.memory.anon + self.memory.swap),
            None => self.memory.unreclaimable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_memory_charged_to_another_cgroup_does_not_count() {
        let memory =
            Memory { anon: Bytes(10), shmem: Bytes(100), swap: Bytes(1), ..Memory::default() };
        let alone = Sample { memory, ..Sample::default() };
        assert_eq!(alone.used(), Bytes(111));
        let cgroup = Cgroup { unreclaimable: Bytes(15), ..Cgroup::default() };
        let confined = Sample { cgroup: Some(cgroup), ..alone };
        assert_eq!(confined.used(), Bytes(15));
    }
}
