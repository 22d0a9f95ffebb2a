//! A cache of rendered responses, injected as a fault. It is what one writes under pressure: a response was costly to
//! render, so keep it. It forgot to evict; its innocent look-alike, `bounded-cache`, is every service's.

use std::collections::HashMap;

use services_kit::Fault;
use services_kit::faults::{PIECE_BYTES, pieces, written};

/// One rendered response.
pub const RESPONSE_BYTES: usize = PIECE_BYTES;

/// Fault `unbounded-cache`: keeps the response rendered for each visit, for ever.
#[derive(Default)]
pub struct UnboundedCache {
    responses: HashMap<u64, Box<[u8]>>,
    visits: u64,
    rendered: Rendered,
}

impl Fault for UnboundedCache {
    fn take(&mut self, budget: u64) -> u64 {
        pieces(budget, RESPONSE_BYTES, || {
            self.visits += 1;
            remember(&mut self.responses, self.visits, &self.rendered.0);
        })
    }
}

/// Keeps a rendered response by visit. The key never comes again and nothing is ever removed: this is the leak, and
/// the function a report must name. Not inlined, so that it is a frame of its own in every build.
#[inline(never)]
pub fn remember(responses: &mut HashMap<u64, Box<[u8]>>, visit: u64, rendered: &[u8]) {
    responses.insert(visit, Box::from(rendered));
}

/// A response as the API would render it, repeated to its full size.
struct Rendered(Box<[u8]>);

impl Default for Rendered {
    fn default() -> Self {
        Self(written(RESPONSE_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: u64 = RESPONSE_BYTES as u64;

    #[test]
    fn the_unbounded_cache_keeps_all_it_was_given_in_pages_that_were_written_to() {
        let mut cache = UnboundedCache::default();
        assert_eq!(cache.take(500 * RESPONSE + 1), 500 * RESPONSE);
        assert_eq!(cache.take(500 * RESPONSE), 500 * RESPONSE);
        let kept: usize = cache.responses.values().map(|response| response.len()).sum();
        assert_eq!(kept, 1_000 * RESPONSE_BYTES);
        assert!(cache.responses.values().all(|response| response.iter().all(|byte| *byte != 0)));
    }

    #[test]
    fn a_budget_below_one_response_takes_nothing() {
        let mut cache = UnboundedCache::default();
        assert_eq!(cache.take(RESPONSE - 1), 0);
        assert!(cache.responses.is_empty());
    }
}
