//! Where the heap profiles of one process come from.

use std::path::Path;
use std::sync::Arc;

use watchdog_core::profile::{Mapping, Profile};
use watchdog_core::units::WallTime;
use watchdog_heap::capture::{Captured, DumpFiles, Encoding, HeapClient, SourceKind};
use watchdog_heap::symbolize::Symbolizer;
use watchdog_heap::symbols::Symbols;
use watchdog_heap::{jemalloc, recorder};

use crate::recorders::Table;

/// A way to a profile.
#[derive(Clone)]
pub(super) enum Source {
    /// The flight recorder that the process writes.
    Recorder(Arc<Table>),
    /// Its probe, or what it serves itself.
    Http(Arc<HeapClient>, SourceKind),
    /// Files that its jemalloc writes: of this process id as the process knows it, and after this number.
    Files(Arc<DumpFiles>, u32, Option<u64>),
}

/// A profile that was taken.
pub(super) struct Taken {
    pub(super) source: SourceKind,
    pub(super) profile: Profile,
    /// Names that came with it.
    pub(super) symbols: Symbols,
    /// What an archive keeps; made of the profile where it did not come with it.
    raw: Option<(Vec<u8>, Encoding)>,
    /// The number of the file it was read from.
    pub(super) file: Option<u64>,
    /// How full the flight recorder is that it was read from.
    pub(super) fill: Option<f64>,
}

impl Source {
    pub(super) fn kind(&self) -> SourceKind {
        match self {
            Self::Recorder(_) => SourceKind::Recorder,
            Self::Http(_, kind) => *kind,
            Self::Files(..) => SourceKind::Files,
        }
    }

    /// Whether looking costs the process nothing, so that it may be done often.
    pub(super) fn is_free(&self) -> bool {
        matches!(self, Self::Recorder(_) | Self::Files(..))
    }

    /// Takes a profile; `None` when there is none that is newer than the last. `mappings` are those of the process when
    /// it was last looked at, for a process that can no longer be asked.
    pub(super) async fn take(
        self,
        taken: WallTime,
        symbolizer: Option<Arc<Symbolizer>>,
        mappings: Arc<Vec<Mapping>>,
    ) -> Result<Option<Taken>, String> {
        let kind = self.kind();
        let captured = match self {
            Self::Recorder(table) => {
                let read = move || {
                    let mappings = present_mappings(symbolizer.as_deref(), &mappings);
                    from_table(&table, taken, mappings).map(Some)
                };
                return blocking(read).await;
            }
            Self::Http(client, _) => {
                let captured = client.capture(taken).await.map_err(|error| error.to_string())?;
                Some((None, captured))
            }
            Self::Files(files, pid, after) => {
                let read = move || files.newest(pid, after).map_err(|error| error.to_string());
                blocking(read).await?.map(|(number, captured)| (Some(number), captured))
            }
        };
        let Some((file, captured)) = captured else { return Ok(None) };
        blocking(move || {
            let known = present_mappings(symbolizer.as_deref(), &mappings);
            Ok(Some(from_capture(kind, file, captured, &known)))
        })
        .await
    }
}

impl Taken {
    /// The bytes that an archive keeps, and the profile.
    pub(super) fn archived(self) -> (Profile, Vec<u8>, Encoding) {
        let (raw, encoding) = self.raw.unwrap_or_else(|| {
            let mut text = Vec::new();
            // Writing to memory cannot fail.
            jemalloc::write(&self.profile, &mut text).ok();
            (text, Encoding::JemallocText)
        });
        (self.profile, raw, encoding)
    }
}

/// The profile that a flight recorder holds now.
pub(super) fn from_table(
    table: &Table,
    taken: WallTime,
    mappings: Vec<Mapping>,
) -> Result<Taken, String> {
    let snapshot = table.snapshot()?;
    let profile = recorder::profile(&snapshot, mappings, taken);
    let (source, symbols) = (SourceKind::Recorder, Symbols::default());
    let fill = Some(table.fill(&snapshot));
    Ok(Taken { source, profile, symbols, raw: None, file: None, fill })
}

/// A dump names files, not builds: what is known of them is filled in.
fn from_capture(
    source: SourceKind,
    file: Option<u64>,
    captured: Captured,
    known: &[Mapping],
) -> Taken {
    let Captured { raw, encoding, mut profile, symbols } = captured;
    for mapping in profile.mappings.iter_mut().filter(|mapping| mapping.build_id.is_none()) {
        let same = known.iter().find(|known| known.path == mapping.path);
        mapping.build_id = same.and_then(|known| known.build_id.clone());
    }
    Taken { source, profile, symbols, raw: Some((raw, encoding)), file, fill: None }
}

/// The mappings of the process now, or as they were when it could last be asked.
fn present_mappings(symbolizer: Option<&Symbolizer>, last: &[Mapping]) -> Vec<Mapping> {
    let now = symbolizer.and_then(|symbolizer| symbolizer.mappings().ok());
    now.filter(|mappings| !mappings.is_empty()).unwrap_or_else(|| last.to_vec())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

/// The process's id as it knows it itself: the innermost of `NSpid` in its status (proc(5)).
pub(super) fn own_pid(proc_root: &Path, pid: u32) -> u32 {
    let status = std::fs::read_to_string(proc_root.join(format!("{pid}/status")));
    let line = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        line.split_whitespace().last()?.parse().ok()
    };
    status.ok().and_then(line).unwrap_or(pid)
}
