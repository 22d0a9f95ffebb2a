//! Names of addresses, as every format and the culprit use them.

use std::collections::HashMap;

use watchdog_core::profile::Frame;

/// The frames of each address: one per function, calls that were inlined first. An address without an entry has no name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Symbols {
    by_address: HashMap<u64, Vec<Frame>>,
}

impl Symbols {
    /// Sets the frames of a return address as it stands in a stack, innermost first.
    pub fn insert(&mut self, address: u64, frames: Vec<Frame>) {
        self.by_address.insert(address, frames);
    }

    /// The frames of a return address, innermost first; empty when it has no name.
    pub fn frames(&self, address: u64) -> &[Frame] {
        self.by_address.get(&address).map_or(&[], Vec::as_slice)
    }

    /// How many addresses have names.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Whether no address has a name.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }
}
