//! Texts that are kept once, within a bound.

use std::collections::HashSet;
use std::sync::Arc;

/// Bytes of all names and paths of one file's answer. Five thousand addresses of a large Rust program have one.
const MAX_BYTES: usize = 8 << 20;

/// What stands for a text that had no room.
const LEFT_OUT: &str = "(too many names)";

/// Texts, each kept once.
pub(super) struct Strings {
    kept: HashSet<Arc<str>>,
    room: usize,
}

impl Default for Strings {
    fn default() -> Self {
        Self { kept: HashSet::new(), room: MAX_BYTES }
    }
}

impl Strings {
    /// The one copy of a text.
    pub(super) fn keep(&mut self, text: &str) -> Arc<str> {
        if let Some(kept) = self.kept.get(text) {
            return Arc::clone(kept);
        }
        let Some(room) = self.room.checked_sub(text.len()) else {
            return Arc::from(LEFT_OUT);
        };
        self.room = room;
        let text: Arc<str> = Arc::from(text);
        self.kept.insert(Arc::clone(&text));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_all_of_them_have_a_bound() {
        let mut strings = Strings::default();
        assert!(Arc::ptr_eq(&strings.keep("a"), &strings.keep("a")));
        let long = "x".repeat(MAX_BYTES);
        assert_eq!(&*strings.keep(&long), LEFT_OUT);
        assert_eq!(&*strings.keep("a"), "a");
    }
}
