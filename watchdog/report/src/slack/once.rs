//! A warning that is said once.

use std::sync::atomic::{AtomicBool, Ordering};

/// Says its sentence the first time it is asked to.
pub(super) struct Once {
    said: AtomicBool,
    sentence: &'static str,
}

impl Once {
    pub(super) fn new(sentence: &'static str) -> Self {
        Self { said: AtomicBool::new(false), sentence }
    }

    /// Says it, with what was answered.
    pub(super) fn say(&self, answer: &str) {
        if !self.said.swap(true, Ordering::Relaxed) {
            tracing::warn!(answer, "{}", self.sentence);
        }
    }
}
