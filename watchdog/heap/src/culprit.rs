//! Names the functions that keep the memory: the winners are found on raw addresses and resolved in one batch.

use watchdog_core::culprit::growth::Digest;
use watchdog_core::culprit::{self, Culprit, NotYet};
use watchdog_core::profile::Profile;

use crate::symbolize::Symbolizer;

/// Names the functions whose memory grew most from the first of the `earlier` profiles, which are in the order of their
/// time, to the `last`. Reads debug information, which takes from milliseconds to a second: call it where blocking is
/// allowed.
///
/// # Errors
/// [`NotYet`] when the evidence does not bear an accusation.
pub fn name(
    earlier: &[Digest],
    last: &Profile,
    symbolizer: &Symbolizer,
) -> Result<Vec<Culprit>, NotYet> {
    // The last mappings also know libraries that were loaded in between.
    culprit::name_culprits(earlier, last, |stacks| symbolizer.resolve_all(&last.mappings, stacks))
}
