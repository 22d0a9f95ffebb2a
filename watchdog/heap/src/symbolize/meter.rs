//! A bound on the work that one file may ask for, so that a damaged or hostile one ends instead of running for hours.

use std::sync::atomic::{AtomicU64, Ordering};

/// Steps a file may cost beside those by its size, and in all. Reading debug information takes at most one step – an
/// entry, a row of lines, a range – for every byte; only tables that refer to each other over and over take more.
const BASE: u64 = 1 << 20;
const PER_BYTE: u64 = 2;
const MOST: u64 = 1 << 29;

/// How many steps are taken from the common account at once.
const BATCH: u32 = 4096;

/// Why reading debug information ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("its debug information is damaged: {0}")]
    Damaged(#[from] gimli::Error),
    #[error("its debug information is damaged: reading it would not end")]
    Endless,
    #[error("its debug information has a part that is too large to be read: {0}")]
    TooLarge(&'static str),
}

/// What is left for one file, shared by the threads that read it.
pub(super) struct Account {
    left: AtomicU64,
}

impl Account {
    /// For a file of `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        let left = size.saturating_mul(PER_BYTE).saturating_add(BASE).min(MOST);
        Self { left: AtomicU64::new(left) }
    }

    /// One thread's hold on it.
    pub(super) fn meter(&self) -> Meter<'_> {
        Meter { at_hand: 0, account: self }
    }
}

/// Counts the steps of one thread.
pub(super) struct Meter<'a> {
    at_hand: u32,
    account: &'a Account,
}

impl Meter<'_> {
    /// Takes one step.
    ///
    /// # Errors
    /// [`Fault::Endless`] when the account is empty.
    #[inline]
    pub(super) fn step(&mut self) -> Result<(), Fault> {
        if self.at_hand == 0 {
            self.refill()?;
        }
        self.at_hand -= 1;
        Ok(())
    }

    fn refill(&mut self) -> Result<(), Fault> {
        let take = |left: u64| left.checked_sub(u64::from(BATCH));
        let taken = self.account.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map_err(|_| Fault::Endless)?;
        self.at_hand = BATCH;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_all_threads_end_together() {
        let account = Account::new(0);
        let (mut one, mut other) = (account.meter(), account.meter());
        let steps = (0..BASE * 2).take_while(|_| one.step().is_ok() && other.step().is_ok());
        assert_eq!(steps.count() as u64, BASE / 2);
        assert_eq!(one.step(), Err(Fault::Endless));
    }
}
