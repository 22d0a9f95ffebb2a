//! Names the functions that keep the memory: the winners are found on raw addresses and resolved in one batch.

use watchdog_core::culprit::growth::Digest;
use watchdog_core::culprit::{self, Culprit, NotYet};
use watchdog_core::profile::{Frame, Mapping, Profile};

use crate::symbols::Symbols;

/// Names the functions whose memory grew most from the first of the `earlier` profiles, which are in the order of their
/// time, to the `last`. `names` is asked once, for the addresses of the stacks that grew most; as it reads debug
/// information, this takes from milliseconds to a second.
///
/// # Errors
/// [`NotYet`] when the evidence does not bear an accusation.
pub fn name(
    earlier: &[&Digest],
    last: &Profile,
    names: impl FnOnce(&[Mapping], &[u64]) -> Symbols,
) -> Result<Vec<Culprit>, NotYet> {
    culprit::name_culprits(earlier, last, |stacks| resolve(stacks, &last.mappings, names))
}

/// Names the functions that held most in a single profile: what can be said of a process that ended early.
///
/// # Errors
/// [`NotYet`] when the evidence does not bear an accusation.
pub fn name_holders(
    last: &Profile,
    names: impl FnOnce(&[Mapping], &[u64]) -> Symbols,
) -> Result<Vec<Culprit>, NotYet> {
    culprit::name_holders(last, |stacks| resolve(stacks, &last.mappings, names))
}

fn resolve(
    stacks: &[&[u64]],
    mappings: &[Mapping],
    names: impl FnOnce(&[Mapping], &[u64]) -> Symbols,
) -> Vec<Vec<Frame>> {
    let mut addresses: Vec<u64> = stacks.iter().flat_map(|stack| stack.iter().copied()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    let symbols = names(mappings, &addresses);
    let frames = |stack: &&[u64]| {
        stack.iter().flat_map(|address| symbols.frames(*address)).cloned().collect()
    };
    stacks.iter().map(frames).collect()
}
