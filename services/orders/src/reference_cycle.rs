//! An order and its tracker that hold each other, injected as a fault: the one is kept to look at the other, and when
//! nobody holds either any more, they still do.

use std::hint::black_box;
use std::sync::{Arc, OnceLock};

use services_kit::Fault;
use services_kit::faults::{PIECE_BYTES, pieces, written};

/// Fault `reference-cycle`: follows one order after the other, none of which is ever let go.
pub struct ReferenceCycle {
    receipt: Box<[u8]>,
}

impl Default for ReferenceCycle {
    fn default() -> Self {
        Self { receipt: written(PIECE_BYTES) }
    }
}

impl Fault for ReferenceCycle {
    fn take(&mut self, budget: u64) -> u64 {
        pieces(budget, PIECE_BYTES, || follow(&self.receipt))
    }
}

struct Followed {
    tracker: OnceLock<Tracker>,
    _receipt: Box<[u8]>,
}

/// Ought to hold a `Weak`.
struct Tracker {
    _order: Arc<Followed>,
}

/// Follows an order with this receipt. The cycle is made here and never broken: this is the leak, and the function a
/// report must name. Not inlined, so that it is a frame of its own in every build.
#[inline(never)]
pub fn follow(receipt: &[u8]) {
    let order = Arc::new(Followed { tracker: OnceLock::new(), _receipt: Box::from(receipt) });
    order.tracker.get_or_init(|| Tracker { _order: Arc::clone(&order) });
    // Without this a compiler might see that nobody can ever look at it.
    black_box(&order);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_receipts_are_taken() {
        let mut fault = ReferenceCycle::default();
        let piece = PIECE_BYTES as u64;
        assert_eq!(fault.take(piece - 1), 0);
        assert_eq!(fault.take(3 * piece + 1), 3 * piece);
    }
}
