//! How jemalloc is configured at start, and how it can be told whether that took effect.

use std::hint::black_box;

use tikv_jemalloc_ctl::{profiling, raw, thread};

use crate::error::ProbeError;

/// The configuration compiled in; the environment variable `_RJEM_MALLOC_CONF` overrides it pair by pair.
///
/// - `lg_prof_sample:19`: one sample per 512 KiB allocated, 2 to 5 % of a service's CPU. 17 costs 8 to 13 %; at 21
///   a leak must grow four times as far before its function can be named.
/// - `background_thread:true`: freed pages go back to the kernel also when the service is idle, so that garbage does
///   not look like growth.
/// - Not `prof_sys_thread_name`: a system call for each sample and a name for each thread in each dump, while the
///   accusation is a function, not a thread.
pub const CONFIGURATION: &str = {
    let (text, _nul) = TEXT.split_at(TEXT.len() - 1);
    text
};

const TEXT: &str = "prof:true,prof_active:true,lg_prof_sample:19,background_thread:true\0";

// SAFETY: jemalloc's manual, section TUNING, reads "the string pointed to by the global variable malloc_conf" before
// main, under this name in a build with the `_rjem_` prefix. A thin reference to a static is laid out as the
// `const char *` it expects, the text ends in NUL (checked below), and nothing else defines the symbol: jemalloc's
// own definition is weak. The static lives here and not in `install!` so that no unsafe attribute is expanded in the
// user's crate; `#[used]`, and `router` reading it, keep the linker from dropping it.
#[allow(unsafe_code)]
#[used]
#[unsafe(export_name = "_rjem_malloc_conf")]
static MALLOC_CONF: &[u8; TEXT.len()] = match TEXT.as_bytes().first_chunk() {
    Some(text) => text,
    None => &[0; TEXT.len()],
};

const _: () = assert!(TEXT.as_bytes()[TEXT.len() - 1] == 0);

/// Whether the allocator can tell anything: `Ok` when jemalloc is the program's allocator.
pub(crate) fn check_installed() -> Result<(), ProbeError> {
    let before = allocated_by_this_thread()?;
    drop(black_box(Box::new([0_u8; 64])));
    // Reading the static here is what ties this crate's object to the program.
    let configured = black_box(MALLOC_CONF).len() == TEXT.len();
    if configured && allocated_by_this_thread()? > before {
        Ok(())
    } else {
        Err(ProbeError::NotInstalled)
    }
}

fn allocated_by_this_thread() -> Result<u64, ProbeError> {
    let counter = thread::allocatedp::read()
        .map_err(|source| ProbeError::Read { key: "thread.allocatedp", source })?;
    Ok(counter.get())
}

/// `Ok` when allocations are being sampled now.
pub(crate) fn check_profiling() -> Result<(), ProbeError> {
    let configured =
        profiling::prof::read().map_err(|source| ProbeError::Read { key: "opt.prof", source })?;
    if !configured {
        return Err(ProbeError::ProfilingOff);
    }
    // SAFETY: jemalloc's manual gives `prof.active` the type `bool`, so the value read is a valid `bool`.
    #[allow(unsafe_code)]
    let active = unsafe { raw::read::<bool>(b"prof.active\0") }
        .map_err(|source| ProbeError::Read { key: "prof.active", source })?;
    if active { Ok(()) } else { Err(ProbeError::ProfilingPaused) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linked_program_starts_with_the_compiled_in_configuration() {
        assert!(profiling::prof::read().unwrap());
        assert_eq!(profiling::lg_prof_sample::read().unwrap(), 19);
        assert!(tikv_jemalloc_ctl::opt::background_thread::read().unwrap());
        check_profiling().unwrap();
    }

    #[test]
    fn an_allocator_that_is_installed_is_recognised() {
        check_installed().unwrap();
    }

    #[test]
    fn the_published_configuration_is_the_exported_one_without_its_nul() {
        assert_eq!(CONFIGURATION.as_bytes(), &MALLOC_CONF[..MALLOC_CONF.len() - 1]);
        assert!(!CONFIGURATION.contains('\0'));
    }
}
