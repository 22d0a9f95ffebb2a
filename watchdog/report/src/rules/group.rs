//! The rules of one target.

use crate::rules::{Group, Selector, TargetFit};

/// The rules of one target; `None` while nothing is known that would fit it: no limit, or not watched for long enough.
pub fn group(fit: &TargetFit, selector: &Selector) -> Option<Group> {
    let _limit = fit.limit?;
    let _series = selector.series(fit);
    None
}
