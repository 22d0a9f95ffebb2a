//! The flight recorders of one directory: spares are kept for processes that start, and what processes claimed is opened
//! at once, so that it can be read whatever becomes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use oomen_recorder::{Claimed, Geometry, Identity, Keeper, Reader, RecorderError, Snapshot};
use tokio_util::sync::CancellationToken;
use watchdog_core::incident::TargetIdentity;
use watchdog_core::sample::Allocator;
use watchdog_core::units::Bytes;

use crate::context::lock;

/// Pause between two glances at the directory: whether it has changed. Of a process that is killed before its recorder was
/// found nothing is known, and one that leaks from its start may live for half a second.
const GLANCE: Duration = Duration::from_millis(100);
/// Every so many glances all is looked at, which costs ten times as much: half a second.
const GLANCES: u32 = 5;
/// Looks for which the recorder of a dead process is kept for a watcher that has not read it yet: half a minute, less where
/// processes start all the time.
const KEPT_LOOKS: u32 = 60;

/// A recorder that a process writes, open for reading.
pub struct Table {
    reader: Reader,
    claimed: Claimed,
    /// The number of the last answer that was handed on.
    answered: AtomicU32,
    /// Looks since its process was found dead.
    dead: AtomicU32,
}

impl Table {
    /// What is recorded now.
    ///
    /// # Errors
    /// Why it cannot be read, for people.
    pub fn snapshot(&self) -> Result<Snapshot, String> {
        self.reader.snapshot().map_err(|error| error.to_string())
    }

    /// How full its fullest part is in this snapshot, 0 to 1: the stacks, their frames, or the objects that are alive.
    pub fn fill(&self, snapshot: &Snapshot) -> f64 {
        let geometry = self.reader.geometry();
        let frames = snapshot.stacks.iter().map(|stack| snapshot.frames(stack).len()).sum();
        let objects: u64 = snapshot.stacks.iter().map(|stack| stack.inuse_samples).sum();
        let share = |used: usize, room: usize| used as f64 / room.max(1) as f64;
        share(snapshot.stacks.len(), geometry.stack_slots)
            .max(share(frames, geometry.arena_words))
            .max(objects as f64 / geometry.live_slots.max(1) as f64)
            // While the process counts on, two figures may be of two moments.
            .min(1.0)
    }

    /// Asks the process for the allocator's statistics; a process that hangs does not answer, and is not waited for.
    ///
    /// # Errors
    /// Why it cannot be asked, for people.
    pub fn ask(&self) -> Result<(), String> {
        self.reader.request_statistics().map(|_| ()).map_err(|error| error.to_string())
    }

    /// The answer, when there is one that was not handed on yet.
    ///
    /// # Errors
    /// Why it cannot be read, for people.
    pub fn answer(&self) -> Result<Option<Allocator>, String> {
        let told = self.reader.statistics().map_err(|error| error.to_string())?;
        let Some((told, _)) = told else { return Ok(None) };
        if self.answered.swap(told.answers, Ordering::Relaxed) == told.answers {
            return Ok(None);
        }
        Ok(Some(Allocator {
            allocated: Bytes(told.allocated),
            active: Bytes(told.active),
            resident: Bytes(told.resident),
            retained: Bytes(told.retained),
            mapped: Bytes(told.mapped),
            metadata: Bytes(told.metadata),
            profiling: told.profiling,
        }))
    }
}

/// All recorders of one directory, or none where no directory is named.
#[derive(Default)]
pub struct Recorders {
    directory: PathBuf,
    keeper: Option<Mutex<Keeper>>,
    tables: Mutex<BTreeMap<(u32, u64), Arc<Table>>>,
}

impl Recorders {
    /// Takes over the directory, and opens what processes have claimed in it.
    ///
    /// # Errors
    /// When it cannot be used, or another watchdog tends it.
    pub fn open(directory: &Path) -> Result<Self, RecorderError> {
        let keeper = Keeper::open(directory, Geometry::default(), Keeper::SPARES)?;
        let (directory, keeper) = (directory.to_owned(), Some(Mutex::new(keeper)));
        let recorders = Self { directory, keeper, tables: Mutex::default() };
        recorders.look()?;
        Ok(recorders)
    }

    /// The recorder of a process, if it claimed one.
    pub fn table(&self, process: &TargetIdentity) -> Option<Arc<Table>> {
        lock(&self.tables).get(&(process.pid, process.start_ticks)).cloned()
    }

    /// Forgets the recorder of a process that has become another program: what it claims now has the same name.
    pub fn forget(&self, process: &TargetIdentity) {
        lock(&self.tables).remove(&(process.pid, process.start_ticks));
    }

    /// Tends the directory until `stop`.
    pub async fn tend(self: Arc<Self>, stop: CancellationToken) {
        if self.keeper.is_none() {
            return;
        }
        let (mut complained, mut seen, mut glances) = (None, None, 0);
        while stop.run_until_cancelled(tokio::time::sleep(GLANCE)).await.is_some() {
            let changed = self.changed().await;
            glances += 1;
            if changed == seen && glances < GLANCES {
                continue;
            }
            (seen, glances) = (changed, 0);
            let recorders = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || recorders.look()).await;
            let problem = match looked {
                Ok(looked) => looked.err().map(|error| error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = problem.as_ref().filter(|_| problem != complained) {
                tracing::warn!(
                    error,
                    "the flight recorders' directory cannot be tended as it should"
                );
            }
            complained = problem;
        }
    }

    /// When a recorder was last made, claimed or removed; a claim renames a file, which changes its directory.
    async fn changed(&self) -> Option<SystemTime> {
        tokio::fs::metadata(&self.directory).await.ok()?.modified().ok()
    }

    /// Opens what was claimed since, lets go of what nobody will read any more, and makes spares.
    fn look(&self) -> Result<(), RecorderError> {
        let Some(keeper) = &self.keeper else { return Ok(()) };
        let mut keeper = lock(keeper);
        for claimed in keeper.claimed()? {
            self.look_at(&keeper, claimed)?;
        }
        keeper.refill().map(|_| ())
    }

    fn look_at(&self, keeper: &Keeper, claimed: Claimed) -> Result<(), RecorderError> {
        let Identity { pid, start_ticks } = claimed.identity;
        let key = (pid, start_ticks);
        let known = lock(&self.tables).get(&key).cloned();
        let Some(table) = known else {
            let reader = match claimed.open() {
                Ok(reader) => reader,
                Err(error) => {
                    tracing::warn!(pid, %error, "a flight recorder cannot be read and is removed");
                    return keeper.remove(&claimed);
                }
            };
            let (answered, dead) = (AtomicU32::new(0), AtomicU32::new(0));
            let table = Arc::new(Table { reader, claimed, answered, dead });
            lock(&self.tables).insert(key, table);
            return Ok(());
        };
        if is_alive(&table.claimed.identity) {
            return Ok(());
        }
        // A watcher that still holds it is reading it.
        let looks = table.dead.fetch_add(1, Ordering::Relaxed);
        if looks >= KEPT_LOOKS {
            lock(&self.tables).remove(&key);
            return keeper.remove(&table.claimed);
        }
        Ok(())
    }
}

/// Whether that process runs. A zombie does not: its memory is gone.
fn is_alive(identity: &Identity) -> bool {
    let found = watchdog_collect::process::ProcessReader::attach(
        Path::new(crate::context::PROC),
        identity.pid,
    );
    found.is_ok_and(|process| process.start_ticks() == identity.start_ticks)
}

#[cfg(test)]
mod tests {
    use oomen_recorder::{Writer, claim};

    use super::*;

    fn target(identity: Identity) -> TargetIdentity {
        TargetIdentity {
            pid: identity.pid,
            start_ticks: identity.start_ticks,
            ..TargetIdentity::default()
        }
    }

    #[test]
    fn a_process_finds_a_spare_and_its_recorder_is_found_by_who_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let recorders = Recorders::open(dir.path()).unwrap();
        let own = Identity::of_self().unwrap();
        assert!(recorders.table(&target(own)).is_none());
        let writer: Option<Writer> = claim(dir.path(), 19).unwrap();
        assert!(writer.is_some());
        recorders.look().unwrap();
        let table = recorders.table(&target(own)).unwrap();
        assert_eq!(table.snapshot().unwrap().writer, Some(own));
        assert!(table.answer().unwrap().is_none(), "nothing was told yet");
        let other = Identity { start_ticks: own.start_ticks + 1, ..own };
        assert!(recorders.table(&target(other)).is_none(), "a reused pid");
    }

    #[test]
    fn the_recorder_of_a_dead_process_is_kept_for_a_while_and_then_removed() {
        let dir = tempfile::tempdir().unwrap();
        let recorders = Recorders::open(dir.path()).unwrap();
        let spare = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("spare-"))
            .unwrap();
        let dead = Identity { pid: 1, start_ticks: u64::MAX };
        let claimed = dir.path().join(format!("claimed-1-{}.rec", u64::MAX));
        std::fs::rename(spare, &claimed).unwrap();
        for _ in 0..KEPT_LOOKS {
            recorders.look().unwrap();
            assert!(recorders.table(&target(dead)).is_some());
        }
        for _ in 0..2 {
            recorders.look().unwrap();
        }
        assert!(recorders.table(&target(dead)).is_none());
        assert!(!claimed.exists());
    }

    #[test]
    fn a_second_watchdog_does_not_tend_the_same_directory() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Recorders::open(dir.path()).unwrap();
        assert!(Recorders::open(dir.path()).is_err());
    }
}
