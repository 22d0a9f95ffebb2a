//! The safety net: nearly full for two minutes is told whatever the trend says. It is the best cheap rule known.
//!
//! What it must not do is tell of the same level twice: a service that lives at 92 % of its limit, or comes there every
//! day, is told of once, and again only when it comes nearer.

use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Moment};

/// Share of the limit from which it speaks, and for how many seconds it must hold.
const SHARE: f64 = 0.90;
const SECONDS: f64 = 120.0;
/// Share of the limit by which a level must exceed the one told of.
const NEARER: f64 = 0.02;
/// Seconds after which a level that was told of and lived with is silent.
const LIVED: f64 = 600.0;

/// What the net remembers.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct SafetyNet {
    above_since: Option<Moment>,
    /// When it was told and at which share of the limit.
    told: Option<(Moment, f64)>,
}

impl SafetyNet {
    /// Takes what is in use; true while the kill must be feared.
    pub fn observe(&mut self, at: Moment, used: Bytes, limit: Option<Bytes>) -> bool {
        let Some(limit) = limit.filter(|limit| limit.0 > 0) else { return false };
        let share = used.fraction_of(limit);
        if share < SHARE {
            self.above_since = None;
            return false;
        }
        if at.since(*self.above_since.get_or_insert(at)) < SECONDS {
            return false;
        }
        match &mut self.told {
            Some((since, level)) if share <= *level + NEARER => at.since(*since) < LIVED,
            told => {
                *told = Some((at, share));
                true
            }
        }
    }

    /// A new process or another limit: nothing told of counts any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(shares: impl Fn(u32) -> f64) -> Vec<u32> {
        let mut net = SafetyNet::default();
        let on: Vec<bool> = (0..4000)
            .map(|t| {
                let used = Bytes((shares(t) * 1e6) as u64);
                net.observe(Moment(f64::from(t)), used, Some(Bytes(1_000_000)))
            })
            .collect();
        (1..4000).filter(|t| on[*t as usize] && !on[*t as usize - 1]).collect()
    }

    #[test]
    fn two_minutes_above_are_told_and_a_moment_is_not() {
        assert_eq!(run(|t| if t < 100 { 0.5 } else { 0.92 }), [220]);
        assert_eq!(run(|t| if t % 50 == 0 { 0.8 } else { 0.95 }), Vec::<u32>::new());
    }

    #[test]
    fn the_same_level_is_told_once_and_a_nearer_one_again() {
        let flapping = |t: u32| if t % 1000 < 100 { 0.88 } else { 0.92 };
        assert_eq!(run(flapping), [220]);
        assert_eq!(run(|t| if t < 2000 { 0.92 } else { 0.96 }), [120, 2000]);
    }
}
