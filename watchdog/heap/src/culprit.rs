//! Names the functions that keep the memory: the winners are found on raw addresses and resolved in one batch.

use watchdog_core::culprit::{self, Culprit, NotYet};
use watchdog_core::profile::Profile;

use crate::symbolize::Symbolizer;

/// Names the functions whose memory grew most over `profiles`, which are in the order of their time. Reads debug
/// information, which takes from milliseconds to a second: call it where blocking is allowed.
///
/// # Errors
/// [`NotYet`] when the evidence does not bear an accusation.
pub fn name(profiles: &[&Profile], symbolizer: &Symbolizer) -> Result<Vec<Culprit>, NotYet> {
    // The last mappings also know libraries that were loaded in between.
    let mappings = profiles.last().map_or(&[][..], |last| &last.mappings);
    culprit::name_culprits(profiles, |stacks| symbolizer.resolve_all(mappings, stacks))
}
