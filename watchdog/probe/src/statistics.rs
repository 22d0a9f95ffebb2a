//! What the allocator says of itself.

use serde::Serialize;
use tikv_jemalloc_ctl::{epoch, stats};

use crate::configuration;
use crate::error::ProbeError;

/// jemalloc's `stats.*`, in bytes, all of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Bytes the program asked for and still holds.
    pub allocated: usize,
    /// Bytes in pages that hold at least one allocation.
    pub active: usize,
    /// Bytes the allocator keeps resident: active pages, dirty pages, metadata.
    pub resident: usize,
    /// Bytes of address space kept for reuse but not resident.
    pub retained: usize,
    /// Bytes in extents that the allocator has mapped.
    pub mapped: usize,
    /// Bytes the allocator uses for itself.
    pub metadata: usize,
    /// Whether allocations are being sampled, so that a heap dump has something to say.
    pub profiling: bool,
}

impl Statistics {
    /// Reads them now. Takes the allocator's locks for up to a millisecond: not for a thread that serves others.
    ///
    /// # Errors
    /// [`ProbeError::Read`] when jemalloc does not tell a value.
    pub fn read() -> Result<Self, ProbeError> {
        // The values are cached; this refreshes all of them together.
        epoch::advance().map_err(|source| ProbeError::Read { key: "epoch", source })?;
        Ok(Self {
            allocated: told("stats.allocated", stats::allocated::read())?,
            active: told("stats.active", stats::active::read())?,
            resident: told("stats.resident", stats::resident::read())?,
            retained: told("stats.retained", stats::retained::read())?,
            mapped: told("stats.mapped", stats::mapped::read())?,
            metadata: told("stats.metadata", stats::metadata::read())?,
            profiling: configuration::check_profiling().is_ok(),
        })
    }
}

fn told(key: &'static str, value: tikv_jemalloc_ctl::Result<usize>) -> Result<usize, ProbeError> {
    value.map_err(|source| ProbeError::Read { key, source })
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn what_the_program_allocates_shows_at_once_and_in_bytes() {
        let before = Statistics::read().unwrap();
        let held = black_box(vec![1_u8; 32 << 20]);
        let after = Statistics::read().unwrap();
        let grown = after.allocated - before.allocated;
        // Tests beside this one allocate and free a little meanwhile.
        assert!((31 << 20..34 << 20).contains(&grown), "grew by {grown}");
        assert!(after.allocated <= after.active && after.active <= after.resident, "{after:?}");
        assert!(after.metadata > 0 && after.mapped >= after.active, "{after:?}");
        drop(held);
    }
}
