//! The watched process's side of a recorder.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use rustix::thread::futex;

use crate::error::RecorderError;
use crate::file::open_own;
use crate::fork::OwnMark;
use crate::geometry::Geometry;
use crate::identity::{Identity, since_boot};
use crate::layout::word;
use crate::map::Map;
use crate::reader::Reader;
use crate::statistics::{self, AllocatorStatistics};
use crate::table::Table;

/// Counts samples in a shared file. All methods may be called from any thread, and [`Writer::record`] and
/// [`Writer::free`] from within an allocator: they allocate nothing, take no lock and do not panic.
pub struct Writer {
    map: Map,
    geometry: Geometry,
    period: f64,
    own: OwnMark,
}

impl Writer {
    /// Takes over the recorder at `path` for this process. `lg_period` is jemalloc's `lg_prof_sample`: one sample per
    /// two to the power of it bytes.
    ///
    /// # Errors
    /// When the file is not this user's, not a recorder of this version, shorter than its header tells, or already
    /// another process's; the file is then left as it is.
    pub fn open(path: &Path, identity: Identity, lg_period: u32) -> Result<Self, RecorderError> {
        let file = open_own(path, true)?;
        let name = path.display().to_string();
        // The same checks as the reader's, over reads: a file too short would kill this process when mapped.
        let reader = Reader::over(file, name.clone())?;
        let geometry = *reader.geometry();
        let writer = Self {
            map: Map::of(reader.source(), geometry.bytes())
                .map_err(RecorderError::io("map", path))?,
            geometry,
            period: 2_f64.powi(lg_period.min(63).cast_signed()),
            own: OwnMark::new().map_err(RecorderError::io("mark a page beside", path))?,
        };
        match writer.header(word::CLAIMED).map(|claimed| claimed.load(Ordering::Acquire)) {
            Some(0) => {}
            value => {
                return Err(RecorderError::Header {
                    name,
                    what: "the claim",
                    value: value.unwrap_or(0),
                    expected: 0,
                });
            }
        }
        writer.introduce(identity, lg_period);
        Ok(writer)
    }

    fn introduce(&self, identity: Identity, lg_period: u32) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        for (index, value) in [
            (word::PID, u64::from(identity.pid)),
            (word::START_TICKS, identity.start_ticks),
            (word::CLAIMED_AT, milliseconds(now)),
            (word::LG_PERIOD, u64::from(lg_period)),
            (word::INSTALLED_AFTER, milliseconds(identity.age())),
        ] {
            if let Some(word) = self.header(index) {
                word.store(value, Ordering::Relaxed);
            }
        }
        if let Some(claimed) = self.header(word::CLAIMED) {
            claimed.store(1, Ordering::Release);
        }
    }

    fn header(&self, index: usize) -> Option<&AtomicU64> {
        self.map.words().get(index)
    }

    fn table(&self) -> Option<Table<'_>> {
        if self.own.is_own() { Table::of(self.map.words(), &self.geometry) } else { None }
    }

    /// Counts a sampled object: its address, its usable size in bytes, and where it was allocated, innermost frame
    /// first. In a forked child this does nothing: the table is its parent's.
    #[inline]
    pub fn record(&self, pointer: usize, usable: usize, frames: &[usize]) {
        if let Some(table) = self.table() {
            table.record(pointer as u64, usable as u64, frames, self.period);
        }
    }

    /// Counts the end of a sampled object. One that was never recorded changes nothing.
    #[inline]
    pub fn free(&self, pointer: usize, usable: usize) {
        if let Some(table) = self.table() {
            table.free(pointer as u64, usable as u64, self.period);
        }
    }

    /// Publishes the allocator's statistics, all of them together, with the time and with what is recorded now. One
    /// thread only.
    pub fn set_statistics(&self, statistics: AllocatorStatistics) {
        if let Some(table) = self.table() {
            let recorded = table.inuse_bytes();
            let statistics = AllocatorStatistics { read_at: since_boot(), recorded, ..statistics };
            statistics::write(self.map.words(), &statistics);
        }
    }

    /// Sleeps until the watchdog asks for statistics, and returns the number of that request: another one than `seen`.
    /// Costs nothing while nobody asks. The first number to have seen is 0.
    pub fn wait_for_request(&self, seen: u32) -> u32 {
        loop {
            let Some(wanted) = self.map.wanted() else {
                thread::park();
                continue;
            };
            let now = wanted.load(Ordering::Acquire);
            if now != seen {
                return now;
            }
            // Not private: the other side is another process.
            match futex::wait(wanted, futex::Flags::empty(), seen, None) {
                Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
                // A sandbox without futexes over shared memory; looking is the next best.
                Err(_) => thread::sleep(Duration::from_secs(1)),
            }
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
