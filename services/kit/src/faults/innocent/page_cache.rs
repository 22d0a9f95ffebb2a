//! `page-cache`: a file that is written and grows in the kernel's cache, which gives it back when it must.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::super::Fault;
use super::super::pieces::written;

/// The file's size at most, in bytes; then it is written from the start again.
const FILE_BYTES: u64 = 256 << 20;

/// Bytes of one write at most.
const WRITE: usize = 1 << 20;

/// Orders to the writer that wait at most; beyond them the disk is slower than the rate, and nothing more is taken.
const WAITING: usize = 4;

/// Writes a file without a name at the rate. The writing is done by a thread of its own: a disk may make it wait.
pub struct PageCache {
    directory: PathBuf,
    writer: Option<SyncSender<u64>>,
}

impl PageCache {
    /// The file is made in that directory when it is first written to.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, writer: None }
    }

    fn start(&self) -> io::Result<SyncSender<u64>> {
        let file = nameless(&self.directory)?;
        let (orders, waiting) = sync_channel(WAITING);
        std::thread::Builder::new().name("page-cache".into()).spawn(move || {
            if let Err(error) = write(file, &waiting) {
                tracing::error!(%error, "the file of the fault page-cache cannot be written");
            }
        })?;
        Ok(orders)
    }
}

impl Fault for PageCache {
    fn take(&mut self, budget: u64) -> u64 {
        let Some(writer) = &self.writer else {
            match self.start() {
                Ok(writer) => self.writer = Some(writer),
                Err(error) => {
                    tracing::error!(%error, "the file of the fault page-cache cannot be made");
                    // As if taken: the next tick must not try and say so again.
                    return budget;
                }
            }
            return 0;
        };
        if writer.try_send(budget).is_ok() { budget } else { 0 }
    }
}

/// A file that is gone when it is closed, however the process ends.
fn nameless(directory: &Path) -> io::Result<File> {
    let path = directory.join(format!("page-cache-{}", uuid::Uuid::now_v7()));
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

fn write(mut file: File, orders: &Receiver<u64>) -> io::Result<()> {
    let source = written(WRITE);
    for order in orders {
        let mut left = order;
        while left > 0 {
            let at = file.stream_position()?;
            if at >= FILE_BYTES {
                file.rewind()?;
                continue;
            }
            let size = left.min(FILE_BYTES - at).min(WRITE as u64);
            // No more than the source has.
            file.write_all(&source[..usize::try_from(size).unwrap_or(WRITE)])?;
            left -= size;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_grows_by_what_was_ordered_and_no_further_than_its_cap() {
        let directory = tempfile::tempdir().unwrap();
        let file = nameless(directory.path()).unwrap();
        let (orders, waiting) = sync_channel(3);
        for order in [FILE_BYTES - 5, 10, 3] {
            orders.send(order).unwrap();
        }
        drop(orders);
        write(file.try_clone().unwrap(), &waiting).unwrap();
        assert_eq!(file.metadata().unwrap().len(), FILE_BYTES);
        assert_eq!((&file).stream_position().unwrap(), 8, "from the start again");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "and without a name");
    }

    #[test]
    fn what_the_disk_is_too_slow_for_is_not_taken() {
        let (orders, _waiting) = sync_channel(1);
        let mut fault = PageCache { directory: PathBuf::new(), writer: Some(orders) };
        assert_eq!(fault.take(100), 100);
        assert_eq!(fault.take(100), 0, "the first still waits");
    }
}
