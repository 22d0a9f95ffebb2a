//! Names the culprit between two profiles: the winners are found on raw addresses and resolved in one batch.

use std::collections::HashMap;

use watchdog_core::culprit::{self, Culprit, MAX_NAMED_STACKS, NotYet};
use watchdog_core::profile::Profile;

use crate::symbolize::Symbolizer;

/// Names the function whose memory grew most from `first` to `last`. Reads debug information, which takes from
/// milliseconds to a second: call it where blocking is allowed.
///
/// # Errors
/// [`NotYet`] when the evidence does not bear an accusation.
pub fn name(first: &Profile, last: &Profile, symbolizer: &Symbolizer) -> Result<Culprit, NotYet> {
    let grown = culprit::growth(first, last);
    let winners: Vec<&[u64]> =
        grown.iter().take(MAX_NAMED_STACKS).map(|growth| growth.stack.as_slice()).collect();
    // The later mappings also know libraries that were loaded in between.
    let frames = symbolizer.resolve_all(&last.mappings, &winners);
    let mut named: HashMap<&[u64], _> = winners.into_iter().zip(frames).collect();
    culprit::name_culprit(first, last, |stack| named.remove(stack).unwrap_or_default())
}
