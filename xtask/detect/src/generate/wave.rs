//! Shapes over time: days, teeth, wandering, chunks that come one by one.

use super::dice::Dice;

/// Seconds.
pub(super) const MINUTE: f64 = 60.0;
/// Seconds.
pub(super) const HOUR: f64 = 3600.0;
/// Seconds.
pub(super) const DAY: f64 = 86_400.0;

/// A walk that reverts to zero, with standard deviation one; `memory` is its time constant in seconds
/// (an Ornstein-Uhlenbeck process, stepped exactly).
pub(super) fn wander(times: &[f64], memory: f64, dice: &mut Dice) -> Vec<f64> {
    let mut value = dice.normal();
    let mut before = times.first().copied().unwrap_or_default();
    let mut step = |&t: &f64| {
        let keep = (-(t - before) / memory).exp();
        before = t;
        value = keep * value + (1.0 - keep * keep).sqrt() * dice.normal();
        value
    };
    times.iter().map(&mut step).collect()
}

/// A wave from 0 to 1 and back each `period`, at its own time of day and with its own breadth; each day's peak is
/// scaled by its factor. Days change at the trough, so nothing jumps.
pub(super) fn days(times: &[f64], period: f64, factors: &[f64], dice: &mut Dice) -> Vec<f64> {
    let phase = dice.between(0.0, 1.0);
    let breadth = dice.between(0.7, 1.6);
    let wave = |&t: &f64| {
        let turn = t / period + phase;
        let height = (0.5 - 0.5 * (std::f64::consts::TAU * turn).cos()).powf(breadth);
        height * factors.get(turn as usize % factors.len().max(1)).unwrap_or(&1.0)
    };
    times.iter().map(wave).collect()
}

/// Factors for days that are almost alike.
pub(super) fn alike(dice: &mut Dice) -> Vec<f64> {
    (0..31).map(|_| dice.between(0.9, 1.0)).collect()
}

/// Teeth of a collector from 0 to 1: memory fills at a pace that varies and is freed at once at about the same height.
pub(super) fn teeth(times: &[f64], period: f64, dice: &mut Dice) -> Vec<f64> {
    let (mut start, mut length, mut height) = (0.0, 0.0, 1.0);
    let mut tooth = |&t: &f64| {
        while t >= start + length {
            start += length;
            length = period * dice.between(0.7, 1.3);
            height = dice.between(0.85, 1.0);
        }
        height * (t - start) / length
    };
    times.iter().map(&mut tooth).collect()
}

/// Something that arrives: from `at` on over `width` seconds, evenly, `size` in all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub(super) at: f64,
    pub(super) width: f64,
    pub(super) size: f64,
}

impl Chunk {
    fn share(&self, t: f64) -> f64 {
        ((t - self.at) / self.width).clamp(0.0, 1.0)
    }
}

/// The sum of all chunks that have arrived, also in part.
pub(super) fn arrived(times: &[f64], chunks: &[Chunk]) -> Vec<f64> {
    let mut total = vec![0.0; times.len()];
    for chunk in chunks {
        let mut before = 0.0;
        let from = times.partition_point(|t| *t <= chunk.at);
        for (t, sum) in times.iter().zip(&mut total).skip(from) {
            let share = chunk.share(*t);
            *sum += chunk.size * (share - before);
            before = share;
            if share >= 1.0 {
                break;
            }
        }
    }
    running_sum(&mut total);
    total
}

/// The integral over time of `rate`, which is zero before `onset`.
pub(super) fn accumulated(times: &[f64], onset: f64, rate: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut before = onset;
    let mut added: Vec<_> = times
        .iter()
        .enumerate()
        .map(|(index, &t)| {
            let added = rate(index) * (t - before).max(0.0);
            before = t.max(onset);
            added
        })
        .collect();
    running_sum(&mut added);
    added
}

fn running_sum(values: &mut [f64]) {
    let mut sum = 0.0;
    for value in values {
        sum += *value;
        *value = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::super::dice::Part;
    use super::*;

    fn dice() -> Dice {
        Dice::new("wave", 0, Part::Plan)
    }

    fn every(step: f64, count: usize) -> Vec<f64> {
        (0..count).map(|i| i as f64 * step).collect()
    }

    #[test]
    fn a_walk_that_reverts_has_mean_zero_and_spread_one() {
        let walk = wander(&every(1.0, 20_000), 5.0, &mut dice());
        let mean = walk.iter().sum::<f64>() / walk.len() as f64;
        let spread = walk.iter().map(|x| x * x).sum::<f64>() / walk.len() as f64;
        assert!(mean.abs() < 0.1 && (0.9..1.1).contains(&spread), "{mean} {spread}");
    }

    #[test]
    fn days_repeat_and_never_jump() {
        let wave = days(&every(60.0, 3 * 1440), DAY, &[1.0, 0.5], &mut dice());
        assert!(wave.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.02));
        let peak =
            |day: usize| wave[day * 1440..(day + 1) * 1440].iter().copied().fold(0.0, f64::max);
        assert!(peak(1) > 0.49 && peak(1) <= 1.0);
        assert!(wave.iter().all(|w| (0.0..=1.0).contains(w)));
    }

    #[test]
    fn teeth_rise_and_fall_between_zero_and_one() {
        let wave = teeth(&every(1.0, 10_000), 100.0, &mut dice());
        let falls = wave.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert!((80..125).contains(&falls), "{falls}");
        assert!(wave.iter().all(|w| (0.0..=1.0).contains(w)));
    }

    #[test]
    fn chunks_add_up_however_narrow_they_are() {
        let chunks =
            [Chunk { at: 2.5, width: 0.1, size: 1.0 }, Chunk { at: 4.0, width: 4.0, size: 2.0 }];
        let sum = arrived(&every(1.0, 10), &chunks);
        assert_eq!(sum[..6], [0.0, 0.0, 0.0, 1.0, 1.0, 1.5]);
        assert!((sum[9] - 3.0).abs() < 1e-12);
    }

    #[test]
    fn accumulation_begins_at_its_onset_between_two_samples() {
        let sum = accumulated(&every(1.0, 4), 1.5, |_| 2.0);
        assert_eq!(sum, [0.0, 0.0, 1.0, 3.0]);
    }
}
