//! Errors that say whether the same transaction may succeed when it is done again at once.

use super::StoreError;
use crate::ApiError;

/// The code of an answer to a request whose transaction lost against others.
pub(super) const CODE: &str = "contended";

/// An error of a transaction. An own type carries a [`StoreError`] and asks it.
pub trait Contention: From<StoreError> {
    /// Whether others were in the way and nothing else was wrong.
    fn is_contention(&self) -> bool;
}

impl Contention for StoreError {
    fn is_contention(&self) -> bool {
        matches!(self, Self::Contended(_))
    }
}

impl Contention for ApiError {
    fn is_contention(&self) -> bool {
        self.has_code(CODE)
    }
}
