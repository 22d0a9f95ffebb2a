//! Files are written and read: what the kernel keeps of them is charged to the service and given back when it is needed.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use super::innocent;
use crate::catalogue::Entry;
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry =
    innocent("page-cache", "Files are written and read, and the kernel keeps their pages.", || {
        Ok(Box::new(Archive::create()?))
    });

/// Bytes after which the file is written from its start again.
const ROUND: u64 = 128 << 20;

struct Archive {
    /// Without a name: the kernel frees it with the process.
    file: File,
    written: u64,
    failed: u64,
}

impl Archive {
    fn create() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, written: 0, failed: 0 })
    }

    fn write_and_read(&mut self, record: &[u8]) -> io::Result<usize> {
        let at = self.written % ROUND;
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(record)?;
        self.written += record.len() as u64;
        let mut back = vec![0; record.len()];
        self.file.seek(SeekFrom::Start(at / 2))?;
        self.file.read(&mut back)
    }
}

impl Program for Archive {
    fn handle(&mut self, request: &Request) -> usize {
        // A full disk is no reason to stop: it is tried again with the next request.
        self.failed += u64::from(self.write_and_read(&request.body).is_err());
        request.body.len()
    }
}
