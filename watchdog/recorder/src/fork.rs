//! Telling a process from its forked children, which inherit the shared mapping but must not write to it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapMut, MmapOptions, MmapRaw};
use rustix::mm::{Advice, madvise};

/// A page of its own that the kernel replaces by zeros in a forked child. A child that frees what its parent
/// allocated would otherwise count that in its parent's table. Asking for the pid instead is a system call a sample.
pub(crate) struct OwnMark(MmapRaw);

impl OwnMark {
    pub(crate) fn new() -> io::Result<Self> {
        let page = MmapRaw::from(MmapOptions::new().len(4096).map_anon().and_then(marked)?);
        // SAFETY: madvise(2): the range is one private anonymous mapping that is ours alone. `MADV_WIPEONFORK`
        // changes nothing in this process; in a child the page becomes zeros, of which every value is valid.
        #[allow(unsafe_code)]
        unsafe {
            madvise(page.as_mut_ptr().cast(), page.len(), Advice::LinuxWipeOnFork)?;
        }
        Ok(Self(page))
    }

    /// Whether this is still the process that made the mark.
    pub(crate) fn is_own(&self) -> bool {
        // SAFETY: the mapping is a page, aligned to one, and lives as long as `self`; it is used as this atomic only.
        #[allow(unsafe_code)]
        let word = unsafe { AtomicU64::from_ptr(self.0.as_mut_ptr().cast::<u64>()) };
        word.load(Ordering::Relaxed) != 0
    }
}

fn marked(mut page: MmapMut) -> io::Result<MmapMut> {
    if let Some(first) = page.first_mut() {
        *first = 1;
    }
    Ok(page)
}
