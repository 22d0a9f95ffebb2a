//! The records on the disk, so that a watchdog that is killed tells nothing twice and loses nothing: a directory per sink,
//! a file per record.
//!
//! A thread of its own writes, as a disk may hang. Of a record that changes faster than it is written only the newest state
//! is. A file is replaced by renaming: whoever reads finds the old state or the new one, and a damaged file costs itself.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::queue::Key;
use super::record::Record;

/// How long a delivery waits for the disk at most: telling people matters more than remembering that they were told.
const PATIENCE: Duration = Duration::from_millis(200);
/// A larger file is none of ours; a record has 64 incidents at most.
const MAX_FILE: u64 = 8 << 20;
/// A record that nobody took for this long is of no use to anybody, in seconds.
const MAX_AGE: f64 = 7.0 * 86_400.0;

/// What is still to be written of a file: its new content, or its removal.
type Writes = BTreeMap<Key, Option<Vec<u8>>>;

#[derive(Default)]
struct Waiting {
    writes: Writes,
    /// Counts the changes that were handed over.
    ticket: u64,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One sink's directory. Dropping it ends its thread after the last write.
pub(super) struct Outbox {
    shared: Arc<Shared>,
    written: watch::Receiver<u64>,
}

impl Outbox {
    /// Opens the directory `dir`, which is made if it is not there, and reads what an earlier watchdog left.
    ///
    /// # Errors
    /// When the directory cannot be made or read, or no thread can be started.
    pub(super) fn open(dir: PathBuf, now: f64) -> io::Result<(Self, Vec<(Key, Record)>)> {
        fs::create_dir_all(&dir)?;
        let left = load(&dir, now)?;
        let shared = Arc::new(Shared::default());
        let (done, written) = watch::channel(0);
        let thread = Arc::clone(&shared);
        let name = std::thread::Builder::new().name("outbox".into());
        name.spawn(move || write_all(&dir, &thread, &done))?;
        Ok((Self { shared, written }, left))
    }

    /// Has a record written, `None` removed. Never blocks on the disk.
    pub(super) fn save(&self, key: Key, record: Option<&Record>) {
        // A record that cannot be serialized has lost nothing but its memory.
        let content = record.and_then(|record| serde_json::to_vec(record).ok());
        if record.is_some() && content.is_none() {
            return;
        }
        let mut waiting = self.shared.lock();
        waiting.writes.insert(key, content);
        waiting.ticket += 1;
        drop(waiting);
        self.shared.wake.notify_one();
    }

    /// Waits until all that was handed over is on the disk, but not long. Returns whether it is.
    pub(super) async fn settled(&self) -> bool {
        let ticket = self.shared.lock().ticket;
        let mut written = self.written.clone();
        let settled = written.wait_for(|written| *written >= ticket);
        matches!(tokio::time::timeout(PATIENCE, settled).await, Ok(Ok(_)))
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

fn write_all(dir: &Path, shared: &Shared, done: &watch::Sender<u64>) {
    let mut complained = false;
    loop {
        let mut waiting = shared.lock();
        while waiting.writes.is_empty() && !waiting.closed {
            waiting = shared.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let (writes, upto) = (std::mem::take(&mut waiting.writes), waiting.ticket);
        let closed = waiting.closed;
        drop(waiting);
        let failed = writes
            .into_iter()
            .find_map(|(key, content)| write(&path(dir, key), content.as_deref()).err());
        match failed {
            Some(error) if !complained => {
                complained = true;
                let dir = dir.display();
                tracing::error!(%dir, %error, "reports are not remembered over a restart: the outbox cannot be written");
            }
            Some(_) => {}
            None => complained = false,
        }
        done.send_replace(upto);
        if closed && shared.lock().writes.is_empty() {
            return;
        }
    }
}

fn path(dir: &Path, key: Key) -> PathBuf {
    dir.join(format!("{key:010}.json"))
}

fn write(path: &Path, content: Option<&[u8]>) -> io::Result<()> {
    let Some(content) = content else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    let new = path.with_extension("new");
    let written = fs::write(&new, content).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // What a full disk holds of it is of no use.
        fs::remove_file(&new).ok();
    }
    written
}

/// The records of the directory, oldest first. What cannot be read, is too old or unfinished is removed.
fn load(dir: &Path, now: f64) -> io::Result<Vec<(Key, Record)>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match read(&path) {
            Ok((key, record)) if now - record.updated().0 < MAX_AGE => left.push((key, record)),
            Ok(_) => drop(fs::remove_file(&path)),
            Err(reason) => {
                let path_shown = path.display();
                tracing::warn!(path = %path_shown, reason, "a report in the outbox cannot be read and is dropped");
                fs::remove_file(&path).ok();
            }
        }
    }
    left.sort_by_key(|(key, _)| *key);
    Ok(left)
}

fn read(path: &Path) -> Result<(Key, Record), String> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let key = stem.and_then(|stem| stem.parse().ok());
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let key = key.filter(|_| is_json).ok_or("it is no finished record")?;
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_FILE {
        return Err(format!("it has {length} bytes"));
    }
    let content = fs::read(path).map_err(|error| error.to_string())?;
    let record: Record = serde_json::from_slice(&content).map_err(|error| error.to_string())?;
    if record.incidents().next().is_none() {
        return Err("it has no incident".into());
    }
    Ok((key, record))
}
