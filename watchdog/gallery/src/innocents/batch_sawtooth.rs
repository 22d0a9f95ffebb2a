//! Requests are gathered into a batch that is written out and freed when it is full: up, down, and up again.

use super::innocent;
use crate::catalogue::Entry;
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = innocent(
    "batch-sawtooth",
    "A batch grows until it is written out and freed, again and again.",
    || Ok(Box::new(Batch::default())),
);

/// Bytes of a full batch.
const FULL: usize = 24 << 20;

#[derive(Default)]
struct Batch {
    records: Vec<Vec<u8>>,
    gathered: usize,
    written: u64,
}

impl Batch {
    fn write_out(&mut self) {
        let records = std::mem::take(&mut self.records);
        self.written += records.iter().map(|record| record.len() as u64).sum::<u64>();
        self.gathered = 0;
    }
}

impl Program for Batch {
    fn handle(&mut self, request: &Request) -> usize {
        self.records.push(request.body.clone());
        self.gathered += request.body.len();
        if self.gathered > FULL {
            self.write_out();
        }
        request.body.len()
    }
}
