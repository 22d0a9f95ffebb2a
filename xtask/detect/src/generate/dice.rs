//! Chance that repeats: the same family, seed and part give the same draws for ever.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, Poisson, StandardNormal};

/// What the draws are for. Each part has a stream of its own, so that a draw more in one leaves the others as they are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// The service: its limit, its habits, what it shows.
    Service,
    /// What happens to it.
    Plan,
    /// The noise from sample to sample.
    Noise,
}

/// The source of chance of one part of one trace.
#[derive(Clone, Debug)]
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// Seeds by bytes: `seed_from_u64` may mean something else in another version of `rand`.
    pub(super) fn new(name: &str, seed: u64, part: Part) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&fnv1a(name).to_le_bytes());
        key[8..16].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(part as u64);
        Self(rng)
    }

    /// Evenly in [0, 1), from the upper 53 bits.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Evenly in [low, high).
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Evenly on the logarithmic scale in [low, high); both above zero.
    pub(super) fn scale(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A whole number, `low` and `high` included.
    pub(super) fn count(&mut self, low: usize, high: usize) -> usize {
        low + (self.unit() * (high - low + 1) as f64) as usize
    }

    /// One of `choices`, or `otherwise` when there are none.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T], otherwise: T) -> T {
        let index = self.count(0, choices.len().saturating_sub(1));
        choices.get(index).copied().unwrap_or(otherwise)
    }

    /// Standard normal.
    pub(super) fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// Exponential with mean one: the wait between events of a Poisson process.
    pub(super) fn wait(&mut self) -> f64 {
        Exp1.sample(&mut self.0)
    }

    /// How many events fall where `mean` are expected.
    pub(super) fn events(&mut self, mean: f64) -> f64 {
        Poisson::new(mean).map_or(0.0, |poisson| poisson.sample(&mut self.0))
    }
}

/// FNV-1a, 64 bits: names to numbers, the same everywhere.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_agrees_with_its_published_vectors() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn name_seed_and_part_each_change_the_draws() {
        let first = |name, seed, part| Dice::new(name, seed, part).unit();
        let one = first("a", 1, Part::Plan);
        assert_eq!(one, first("a", 1, Part::Plan));
        assert_ne!(one, first("b", 1, Part::Plan));
        assert_ne!(one, first("a", 2, Part::Plan));
        assert_ne!(one, first("a", 1, Part::Noise));
    }

    #[test]
    fn draws_stay_in_their_range_and_reach_both_ends() {
        let mut dice = Dice::new("range", 0, Part::Plan);
        let counts: Vec<_> = (0..1000).map(|_| dice.count(3, 5)).collect();
        assert!([3, 4, 5].iter().all(|n| counts.contains(n)));
        assert!(counts.iter().all(|n| (3..=5).contains(n)));
        for _ in 0..1000 {
            assert!((2.0..4.0).contains(&dice.between(2.0, 4.0)));
            assert!((0.999..1000.001).contains(&dice.scale(1.0, 1000.0)));
        }
        assert_eq!(dice.pick(&[], 7), 7);
    }
}
