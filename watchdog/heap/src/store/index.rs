//! The descriptions of all dumps of a store, in memory.

use super::DumpMeta;

/// In the order the dumps were stored; retention bounds their number.
#[derive(Debug)]
pub(super) struct Index(Vec<DumpMeta>);

impl Index {
    /// `dumps` in the order they were stored.
    pub(super) fn new(dumps: Vec<DumpMeta>) -> Self {
        let mut index = Self(Vec::with_capacity(dumps.len()));
        for dump in dumps {
            index.add(dump);
        }
        index
    }

    /// Adds the dump that was stored last.
    pub(super) fn add(&mut self, mut dump: DumpMeta) {
        if let Some(before) = self.0.iter().rev().find(|before| before.target == dump.target) {
            dump.share_modules(before);
        }
        self.0.push(dump);
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.0.retain(|dump| dump.id != id);
    }

    pub(super) fn find(&self, id: &str) -> Option<&DumpMeta> {
        self.0.iter().find(|dump| dump.id == id)
    }

    pub(super) fn dumps(&self) -> std::slice::Iter<'_, DumpMeta> {
        self.0.iter()
    }
}
