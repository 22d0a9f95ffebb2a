//! Labels that are interned for every request, injected as a fault. Interning is sound while there are few different
//! labels; with the whole address of each request in them, there is a new one every time.

use std::collections::BTreeSet;

use services_kit::Fault;
use services_kit::faults::pieces;

/// One label: the path, its search and what identifies the request. A size of jemalloc's own, so that nothing is
/// padded.
pub const LABEL_BYTES: usize = 1024;

/// Fault `label-explosion`: interns a label for each request, for ever. In order, not hashed: a table that doubles would
/// hash all that it holds anew, and the rate be none while it does.
#[derive(Default)]
pub struct LabelExplosion {
    labels: BTreeSet<Box<str>>,
    requests: u64,
}

impl Fault for LabelExplosion {
    fn take(&mut self, budget: u64) -> u64 {
        pieces(budget, LABEL_BYTES, || {
            self.requests += 1;
            intern(&mut self.labels, self.requests);
        })
    }
}

/// Keeps the label of a request. No two are the same and none is ever removed: this is the leak, and the function a
/// report must name. Not inlined, so that it is a frame of its own in every build.
#[inline(never)]
pub fn intern(labels: &mut BTreeSet<Box<str>>, request: u64) {
    let mut label = String::with_capacity(LABEL_BYTES);
    label.push_str(&format!("/api/products?request={request}"));
    label.push_str(&"&".repeat(LABEL_BYTES.saturating_sub(label.len())));
    labels.insert(label.into_boxed_str());
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: u64 = LABEL_BYTES as u64;

    #[test]
    fn each_label_is_another_and_all_are_kept() {
        let mut explosion = LabelExplosion::default();
        assert_eq!(explosion.take(LABEL - 1), 0);
        assert_eq!(explosion.take(100 * LABEL + 1), 100 * LABEL);
        assert_eq!(explosion.labels.len(), 100);
        assert!(explosion.labels.iter().all(|label| label.len() == LABEL_BYTES));
    }
}
