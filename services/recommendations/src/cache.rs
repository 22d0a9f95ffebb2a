//! Two caches of rendered responses, injected as faults: one is the defect, the other its innocent look-alike.
//!
//! Both are what one writes under pressure: a response was costly to render, so keep it. One forgot to evict.

use std::collections::{HashMap, VecDeque};

use services_kit::Fault;

/// One rendered response. The largest of jemalloc's small size classes: two of them fill seven pages, so that what is
/// allocated is also what becomes resident. At 16 KiB, a large class, each would take a page of padding, and the
/// process would grow by a quarter more than it was told.
pub const RESPONSE_BYTES: usize = 14 << 10;

/// What the innocent cache holds at most.
pub const BOUNDED_CACHE_BYTES: usize = 32 << 20;

/// Fault `unbounded-cache`: keeps the response rendered for each visit, for ever.
#[derive(Default)]
pub struct UnboundedCache {
    responses: HashMap<u64, Box<[u8]>>,
    visits: u64,
    rendered: Rendered,
}

impl Fault for UnboundedCache {
    fn take(&mut self, budget: u64) -> u64 {
        pieces(budget, || {
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

/// Fault `bounded-cache`: fills up to [`BOUNDED_CACHE_BYTES`], then the oldest response gives way to each new one.
#[derive(Default)]
pub struct BoundedCache {
    responses: VecDeque<Box<[u8]>>,
    rendered: Rendered,
}

impl Fault for BoundedCache {
    fn take(&mut self, budget: u64) -> u64 {
        pieces(budget, || remember_lately(&mut self.responses, &self.rendered.0))
    }
}

#[inline(never)]
fn remember_lately(responses: &mut VecDeque<Box<[u8]>>, rendered: &[u8]) {
    if responses.len() >= BOUNDED_CACHE_BYTES / RESPONSE_BYTES {
        responses.pop_front();
    }
    responses.push_back(Box::from(rendered));
}

/// A response as the API would render it, repeated to its full size. Text, not zeros: pages that are never written
/// to would be allocated without becoming resident.
struct Rendered(Box<[u8]>);

impl Default for Rendered {
    fn default() -> Self {
        let entry = br#"{"item":"sku-0001","score":1,"reason":"popular"},"#;
        Self(entry.iter().copied().cycle().take(RESPONSE_BYTES).collect())
    }
}

/// Runs `keep` as often as whole responses fit into the budget and returns what they took.
fn pieces(budget: u64, mut keep: impl FnMut()) -> u64 {
    let size = RESPONSE_BYTES as u64;
    let pieces = budget / size;
    (0..pieces).for_each(|_| keep());
    pieces * size
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: u64 = RESPONSE_BYTES as u64;

    fn bytes<'a>(responses: impl Iterator<Item = &'a Box<[u8]>>) -> usize {
        responses.map(|response| response.len()).sum()
    }

    #[test]
    fn the_unbounded_cache_keeps_all_it_was_given_in_pages_that_were_written_to() {
        let mut cache = UnboundedCache::default();
        assert_eq!(cache.take(500 * RESPONSE + 1), 500 * RESPONSE);
        assert_eq!(cache.take(500 * RESPONSE), 500 * RESPONSE);
        assert_eq!(bytes(cache.responses.values()), 1_000 * RESPONSE_BYTES);
        assert!(cache.responses.values().all(|response| response.iter().all(|byte| *byte != 0)));
    }

    #[test]
    fn a_budget_below_one_response_takes_nothing() {
        let mut cache = UnboundedCache::default();
        assert_eq!(cache.take(RESPONSE - 1), 0);
        assert!(cache.responses.is_empty());
    }

    #[test]
    fn the_bounded_cache_takes_every_budget_and_holds_no_more_than_its_cap() {
        let mut cache = BoundedCache::default();
        for _ in 0..100 {
            assert_eq!(cache.take(100 * RESPONSE), 100 * RESPONSE);
            assert!(bytes(cache.responses.iter()) <= BOUNDED_CACHE_BYTES);
        }
        assert_eq!(cache.responses.len(), BOUNDED_CACHE_BYTES / RESPONSE_BYTES);
    }
}
