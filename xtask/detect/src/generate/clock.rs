//! When samples are taken, and which of them are lost.

use super::dice::Dice;

/// Samples a trace has at most.
pub(super) const MOST_SAMPLES: f64 = 20_000.0;
/// Samples that what happens is drawn for at least; noise can bring a kill forward, hence twice what is promised.
const FEWEST_SAMPLES: f64 = 80.0;
/// Seconds between samples that people configure.
const CADENCES: [f64; 5] = [1.0, 5.0, 15.0, 30.0, 60.0];
/// No scheduler wakes up on time: this share of the cadence early or late at most.
const JITTER: f64 = 0.02;

/// The times of the samples in seconds from the first, and which of them arrive.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// Seconds between samples.
    pub(super) cadence: f64,
    /// All times, in order.
    pub(super) times: Vec<f64>,
    /// Whether the sample arrives.
    pub(super) kept: Vec<bool>,
}

/// One of the usual cadences at which `span` seconds are not too many samples and `shortest` seconds not too few.
pub(super) fn cadence(dice: &mut Dice, span: f64, shortest: f64) -> f64 {
    let fits = |c: &f64| span / c <= MOST_SAMPLES && shortest / c >= FEWEST_SAMPLES;
    let fitting: Vec<_> = CADENCES.into_iter().filter(fits).collect();
    dice.pick(&fitting, 60.0)
}

impl Clock {
    /// Ticks over `span` seconds. Half of the clocks lose up to a sample in a hundred, one in seven misses some minutes.
    pub(super) fn draw(dice: &mut Dice, span: f64, cadence: f64) -> Self {
        let ticks = (span / cadence).min(MOST_SAMPLES) as usize;
        let lost = if dice.chance(0.5) { dice.between(0.0, 0.01) } else { 0.0 };
        let gap = if dice.chance(0.15) { dice.between(60.0, 900.0).min(0.04 * span) } else { 0.0 };
        let from = dice.between(0.0, span);
        let times: Vec<_> = (0..ticks)
            .map(|tick| {
                (tick as f64 + if tick == 0 { 0.0 } else { dice.between(-JITTER, JITTER) })
                    * cadence
            })
            .collect();
        let kept = times
            .iter()
            .map(|&t| !(dice.chance(lost) || (from..from + gap).contains(&t)))
            .collect();
        Self { cadence, times, kept }
    }

    /// The last time of the clock, in seconds.
    pub(super) fn span(&self) -> f64 {
        self.times.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::dice::Part;
    use super::*;

    #[test]
    fn a_cadence_fits_the_length() {
        let mut dice = Dice::new("cadence", 0, Part::Plan);
        for _ in 0..1000 {
            let shortest = dice.scale(600.0, 4.0 * 86_400.0);
            let span = shortest + (shortest * dice.between(0.1, 3.0)).min(3.0 * 86_400.0);
            let cadence = cadence(&mut dice, span, shortest);
            assert!(span / cadence <= MOST_SAMPLES && shortest / cadence >= FEWEST_SAMPLES);
        }
    }

    #[test]
    fn ticks_are_in_order_and_some_clocks_lose_samples() {
        let mut dice = Dice::new("ticks", 0, Part::Plan);
        let clocks: Vec<_> = (0..200).map(|_| Clock::draw(&mut dice, 36_000.0, 15.0)).collect();
        assert!(clocks.iter().all(|clock| clock.times.is_sorted_by(|a, b| a < b)));
        let lossy = clocks.iter().filter(|clock| clock.kept.contains(&false)).count();
        assert!((80..160).contains(&lossy), "{lossy} of 200");
        let most =
            clocks.iter().map(|clock| clock.kept.iter().filter(|kept| !**kept).count()).max();
        assert!(most < Some(120), "{most:?} of 2400 lost");
    }
}
