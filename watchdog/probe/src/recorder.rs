//! The flight recorder's side in the watched process: jemalloc's sampling hooks count into shared memory.
//!
//! jemalloc 5.3.1 calls the hooks of `experimental.hooks` outside of its locks and behind its guard against
//! re-entrance (`prof_malloc_sample_object` and `prof_free_sampled_object` in `prof.c`). They are written once and
//! left: what was sampled before is not known, so they are written before `main` where a spare recorder is there.

use std::ffi::{OsString, c_uint, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Once, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use oomen_recorder::{AllocatorStatistics, Writer, claim};
use tikv_jemalloc_ctl::raw;

use crate::configuration;
use crate::error::ProbeError;
use crate::statistics::Statistics;

/// The environment variable that names the directory where the watchdog keeps recorders.
const DIRECTORY: &str = "OOMEN_RECORDER_DIR";

static WRITER: OnceLock<Writer> = OnceLock::new();

// Run by the dynamic loader (or the C library's start-up, in a static program) before `main`, when there is no other
// thread of the program's own and almost nothing has been allocated.
//
// SAFETY: gABI, "Initialization and Termination Functions": the section holds pointers to functions that are called
// once, in order, after relocation. glibc passes arguments, which the C calling convention lets the callee ignore.
// `before_main` uses of the standard library only the environment, files and memory, none of which needs `main` to
// have begun, and does not unwind. `#[used]`, and `record` reading it, keep the linker from dropping it.
#[allow(unsafe_code)]
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

extern "C" fn before_main() {
    // Whatever is wrong is said by `record`, when there is somebody to say it to. A panic here would end the program.
    let _ = std::panic::catch_unwind(|| {
        #[cfg(feature = "frame-pointers")]
        let _ = crate::frame_pointers::install();
        directory().map(|directory| begin(Path::new(&directory)))
    });
}

fn directory() -> Option<OsString> {
    std::env::var_os(DIRECTORY).filter(|directory| !directory.is_empty())
}

/// Records this process's heap profile for the watchdog, if the environment variable `OOMEN_RECORDER_DIR` names the
/// directory where it keeps recorders; otherwise does nothing. [`crate::router`] calls this; a program without it
/// calls this once, early in `main`. Starts one thread, which sleeps until the watchdog asks for statistics.
pub fn record() {
    static STARTED: Once = Once::new();
    // Reading it ties this module's object to the program.
    std::hint::black_box(&BEFORE_MAIN);
    let Some(directory) = directory() else { return };
    STARTED.call_once(|| {
        let started = thread::Builder::new()
            .name("oomen-recorder".to_owned())
            .stack_size(STACK)
            .spawn(move || serve(Path::new(&directory)));
        if let Err(error) = started {
            tracing::warn!(%error, "the flight recorder's thread could not be started");
        }
    });
}

/// Enough for reading the allocator's statistics and for writing a log line. Only pages that are used cost memory.
const STACK: usize = 256 << 10;

fn serve(directory: &Path) {
    let writer = writer(directory);
    let mut seen = 0;
    loop {
        seen = writer.wait_for_request(seen);
        match Statistics::read() {
            Ok(statistics) => writer.set_statistics(recorded(statistics, seen)),
            Err(error) => tracing::warn!(%error, "the watchdog asked for statistics in vain"),
        }
    }
}

/// Waits for as long as it takes until there is a recorder for this process.
fn writer(directory: &Path) -> &'static Writer {
    let started = Instant::now();
    let mut told = false;
    loop {
        if let Some(writer) = WRITER.get() {
            tracing::info!(directory = %directory.display(), "the heap profile is being recorded");
            return writer;
        }
        match begin(directory) {
            Ok(()) => {}
            Err(error) if !told => {
                tracing::warn!(%error, "the heap profile is not recorded; trying again now and then");
                told = true;
            }
            Err(_) => {}
        }
        if WRITER.get().is_none() {
            thread::sleep(pause(started.elapsed()));
        }
    }
}

/// Between two looks for a spare recorder: the watchdog may start after this process, and every second counts while
/// the program builds up what it will hold. Later, looking is not worth a wake-up a second.
fn pause(waited: Duration) -> Duration {
    Duration::from_secs(if waited < Duration::from_secs(60) { 1 } else { 10 })
}

/// Claims a recorder, if there is a spare one, and has jemalloc call the hooks from now on.
fn begin(directory: &Path) -> Result<(), ProbeError> {
    configuration::check_installed()?;
    configuration::check_profiling()?;
    if WRITER.get().is_some() {
        return Ok(());
    }
    // SAFETY: jemalloc's manual gives `prof.lg_sample` the type `size_t`.
    #[allow(unsafe_code)]
    let lg_period = unsafe { raw::read::<usize>(b"prof.lg_sample\0") }
        .map_err(|source| ProbeError::Read { key: "prof.lg_sample", source })?;
    let lg_period = u32::try_from(lg_period).unwrap_or(u32::MAX);
    let Some(writer) = claim(directory, lg_period).map_err(ProbeError::Recorder)? else {
        return Ok(());
    };
    UNRECORDED.store(Statistics::read()?.allocated as u64, Ordering::Relaxed);
    if WRITER.set(writer).is_ok() {
        install()?;
    }
    Ok(())
}

/// Bytes that were allocated when recording began.
static UNRECORDED: AtomicU64 = AtomicU64::new(0);

type SampleHook = extern "C" fn(*const c_void, usize, *const usize, c_uint, usize);
type FreeHook = extern "C" fn(*const c_void, usize);

fn install() -> Result<(), ProbeError> {
    let refused = |key| move |source| ProbeError::Hook { key, source };
    // The end of a sample before its beginning: so no recorded object ends unseen.
    //
    // SAFETY: jemalloc 5.3.1, `experimental_hooks_prof_sample_free_ctl` in `ctl.c`: the value written is a
    // `prof_sample_free_hook_t`, which `prof_hook.h` declares as `void (*)(const void *, size_t)`. The function lives
    // as long as the program and neither unwinds nor allocates.
    #[allow(unsafe_code)]
    unsafe { raw::write::<FreeHook>(b"experimental.hooks.prof_sample_free\0", on_free) }
        .map_err(refused("experimental.hooks.prof_sample_free"))?;
    // SAFETY: as above; `prof_sample_hook_t` is `void (*)(const void *ptr, size_t size, void **backtrace, unsigned
    // backtrace_length, size_t usize)`. Reading the `void *` as `usize` is reading the addresses.
    #[allow(unsafe_code)]
    unsafe { raw::write::<SampleHook>(b"experimental.hooks.prof_sample\0", on_sample) }
        .map_err(refused("experimental.hooks.prof_sample"))
}

extern "C" fn on_sample(
    object: *const c_void,
    _asked: usize,
    frames: *const usize,
    depth: c_uint,
    usable: usize,
) {
    let Some(writer) = WRITER.get() else { return };
    let frames = if frames.is_null() || depth == 0 {
        &[]
    } else {
        // SAFETY: `prof_malloc_sample_object` passes `bt->vec` and `bt->len` of the sample's `gctx`: that many
        // initialised pointers, which live and do not change while the sample that is being made refers to them.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(frames, depth as usize)
        }
    };
    writer.record(object.addr(), usable, frames);
}

extern "C" fn on_free(object: *const c_void, usable: usize) {
    if let Some(writer) = WRITER.get() {
        writer.free(object.addr(), usable);
    }
}

fn recorded(statistics: Statistics, answers: u32) -> AllocatorStatistics {
    AllocatorStatistics {
        allocated: statistics.allocated as u64,
        active: statistics.active as u64,
        resident: statistics.resident as u64,
        retained: statistics.retained as u64,
        mapped: statistics.mapped as u64,
        metadata: statistics.metadata as u64,
        profiling: statistics.profiling,
        answers,
        unrecorded: UNRECORDED.load(Ordering::Relaxed),
        ..AllocatorStatistics::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_is_looked_for_every_second_at_first_and_less_often_later() {
        assert_eq!(pause(Duration::ZERO), Duration::from_secs(1));
        assert_eq!(pause(Duration::from_secs(59)), Duration::from_secs(1));
        assert_eq!(pause(Duration::from_secs(60)), Duration::from_secs(10));
    }

    #[test]
    fn without_a_directory_nothing_is_recorded() {
        record();
        assert!(WRITER.get().is_none());
    }
}
