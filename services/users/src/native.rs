//! Memory outside the allocator, injected as a fault: what a library of another language does that maps buffers itself
//! and loses them. The allocator's statistics and heap profiles know nothing of it; only the kernel does.

use memmap2::MmapMut;
use services_kit::Fault;
use services_kit::faults::{pieces, written};

/// One mapping, in bytes: whole pages, so that each byte asked for is a byte taken. Neighbours become one area of the
/// kernel's, so its limit on their number is not met.
pub const MAPPING_BYTES: usize = 64 << 10;

/// Fault `native-mmap`: maps buffers, writes them and never unmaps one.
pub struct NativeMmap {
    mappings: Vec<MmapMut>,
    content: Box<[u8]>,
}

impl Default for NativeMmap {
    fn default() -> Self {
        Self { mappings: Vec::new(), content: written(MAPPING_BYTES) }
    }
}

impl Fault for NativeMmap {
    fn take(&mut self, budget: u64) -> u64 {
        let before = self.mappings.len();
        pieces(budget, MAPPING_BYTES, || map_and_forget(&mut self.mappings, &self.content));
        ((self.mappings.len() - before) * MAPPING_BYTES) as u64
    }
}

/// Maps anonymous memory, fills it and keeps it for ever: this is the leak. Not inlined, so that it is a frame of its
/// own in every build. Where the kernel gives no more, nothing is taken.
#[inline(never)]
pub fn map_and_forget(mappings: &mut Vec<MmapMut>, content: &[u8]) {
    if let Ok(mut mapping) = MmapMut::map_anon(content.len()) {
        mapping.copy_from_slice(content);
        mappings.push(mapping);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: u64 = MAPPING_BYTES as u64;

    #[test]
    fn what_is_taken_is_mapped_and_written() {
        let mut native = NativeMmap::default();
        assert_eq!(native.take(MAPPING - 1), 0);
        assert_eq!(native.take(10 * MAPPING + 1), 10 * MAPPING);
        assert_eq!(native.mappings.len(), 10);
        assert!(native.mappings.iter().all(|mapping| mapping.iter().all(|byte| *byte != 0)));
    }
}
