//! Leaks: memory that grows from an onset until the limit is reached.
//!
//! A leak is a shape of growth, in one place of the memory, perhaps under a cover that hides it.

use watchdog_core::verdict::Kind;

use super::clock::{self, Clock};
use super::dice::Dice;
use super::plan::{Plan, uneven};
use super::service::Service;
use super::wave::{self, Chunk, DAY, HOUR, MINUTE};

/// Growth is sized to end this far above the limit, more than the base wanders, so that the kill comes in any case.
const BEYOND: f64 = 0.02;
/// Nobody watches a healthy service for weeks before it leaks; longer adds nothing but samples.
const LONGEST_HEALTH: f64 = 3.0 * DAY;

/// How the growth is spread over the run-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    /// The same rate throughout, give or take.
    Steady,
    /// In proportion to a load that comes in waves.
    WithLoad,
    /// Chunks at random moments.
    Bursts,
    /// A chunk from each run of a job; how many at least and at most.
    Steps(usize, usize),
    /// The rate becomes two to six times as high.
    Accelerating,
    /// The rate falls to a half or a third, as the load does.
    Decelerating,
}

/// What hides the growth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cover {
    None,
    Teeth,
    Days,
}

/// A family of leaks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leak {
    /// What it is.
    pub(super) kind: Kind,
    /// One of these.
    pub(super) shapes: &'static [Shape],
    /// Its cover.
    pub(super) cover: Cover,
    /// Seconds of the run-up, shortest and longest.
    pub(super) run_up: (f64, f64),
    /// One of these cadences in seconds; any that fits if there are none.
    pub(super) cadences: &'static [f64],
}

impl Leak {
    /// A heap leak without a cover.
    pub(super) const fn heap(shapes: &'static [Shape], run_up: (f64, f64)) -> Self {
        Self { kind: Kind::HeapLeak, shapes, cover: Cover::None, run_up, cadences: &[] }
    }

    /// The same elsewhere.
    pub(super) const fn of(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// The same under a cover.
    pub(super) const fn under(self, cover: Cover) -> Self {
        Self { cover, ..self }
    }

    /// The same at these cadences.
    pub(super) const fn every(self, cadences: &'static [f64]) -> Self {
        Self { cadences, ..self }
    }

    /// What happens to the service, and the seconds at which the growth begins.
    pub(super) fn plan(&self, service: &Service, dice: &mut Dice) -> (Plan, f64) {
        let shape = dice.pick(self.shapes, Shape::Steady);
        let run_up = dice.scale(self.run_up.0, self.run_up.1);
        let onset = if dice.chance(0.75) {
            (run_up * dice.scale(0.3, 3.0)).min(LONGEST_HEALTH)
        } else {
            run_up * dice.between(0.005, 0.05)
        };
        let end = onset + run_up;
        // Under a cover the limit is reached where the cover is high, which may be a tooth or a day later.
        let more = match self.cover {
            Cover::None => 0.0,
            Cover::Teeth => 0.15 * run_up,
            Cover::Days => 1.1 * DAY,
        };
        let span = end + more;
        let cadence = match self.cadences {
            [] => clock::cadence(dice, span, run_up),
            cadences => dice.pick(cadences, 60.0),
        };
        // One tick more than the span, or the growth might end before the limit.
        let clock = Clock::draw(dice, span + cadence, cadence);
        let mut plan = Plan::quiet(service, clock, dice);
        plan.warm_up = onset / 4.0;
        let cover = self.cover.lay(&mut plan, run_up, dice);
        let growth = Growth { shape, onset, run_up, reach: 1.0 + BEYOND - plan.base - cover };
        let grown = growth.over(&mut plan, dice);
        let layer = match self.kind {
            Kind::Fragmentation => &mut plan.fragments,
            Kind::OffHeap => &mut plan.outside,
            Kind::Tmpfs => &mut plan.shmem,
            _ => &mut plan.heap,
        };
        layer.iter_mut().zip(grown).for_each(|(layer, grown)| *layer += grown);
        (plan, onset)
    }
}

impl Cover {
    /// Adds itself to the heap; returns the height that it comes to again and again.
    fn lay(self, plan: &mut Plan, run_up: f64, dice: &mut Dice) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Teeth => {
                let height = dice.between(0.05, 0.3);
                let period = run_up / dice.scale(20.0, 200.0);
                // A runtime that collects also gives pages back, or there would be no teeth to see.
                plan.decay = plan.decay.min(0.2 * period);
                let teeth = wave::teeth(&plan.clock.times, period, dice);
                plan.heap = teeth.iter().map(|tooth| height * tooth).collect();
                0.85 * height
            }
            Self::Days => {
                let height = dice.between(0.05, 0.25);
                let factors = wave::alike(dice);
                let days = wave::days(&plan.clock.times, DAY, &factors, dice);
                let load: Vec<_> = days.iter().map(|day| 0.3 + 1.4 * day).collect();
                plan.load = uneven(&plan.clock.times, &load, dice);
                let share = |load: &f64| ((load - 0.3) / 1.4).clamp(0.0, 1.1);
                plan.heap = plan.load.iter().map(|load| height * share(load)).collect();
                0.9 * height
            }
        }
    }
}

/// The growth itself.
struct Growth {
    shape: Shape,
    /// Seconds.
    onset: f64,
    /// Seconds.
    run_up: f64,
    /// What it comes to at the end of the run-up, as a fraction of the limit.
    reach: f64,
}

impl Growth {
    /// What has grown at each tick. Sets the load where the shape is about load.
    fn over(&self, plan: &mut Plan, dice: &mut Dice) -> Vec<f64> {
        let grown = match self.shape {
            Shape::Steady => self.at_rate(plan, dice, |_| 1.0),
            Shape::Accelerating => {
                let factor = dice.between(2.0, 6.0);
                if dice.chance(0.5) {
                    self.at_rate(plan, dice, |x| 1.0 + (factor - 1.0) * x)
                } else {
                    self.at_rate(plan, dice, |x| factor.powf(x))
                }
            }
            Shape::Decelerating => {
                let factor = 1.0 / dice.between(2.0, 3.0);
                let falls: Vec<_> =
                    plan.clock.times.iter().map(|t| factor.powf(self.share(*t).max(0.0))).collect();
                plan.load = uneven(&plan.clock.times, &falls, dice);
                self.with(plan)
            }
            Shape::WithLoad => {
                let period = if self.run_up < DAY { HOUR } else { DAY };
                let swing = dice.between(0.5, 1.0);
                let factors = wave::alike(dice);
                let waves = wave::days(&plan.clock.times, period, &factors, dice);
                let load: Vec<_> = waves.iter().map(|w| 1.0 + swing * (2.0 * w - 1.0)).collect();
                plan.load = uneven(&plan.clock.times, &load, dice);
                self.with(plan)
            }
            Shape::Bursts => wave::arrived(&plan.clock.times, &self.bursts(plan, dice)),
            Shape::Steps(low, high) => {
                let steps = dice.count(low, high);
                wave::arrived(&plan.clock.times, &self.steps(steps, plan, dice))
            }
        };
        self.sized(grown, &plan.clock.times)
    }

    /// How much of the run-up has gone by: 0 at the onset, 1 at its end.
    fn share(&self, t: f64) -> f64 {
        (t - self.onset) / self.run_up
    }

    /// Growth whose rate depends on the share of the run-up, with some unevenness: no leak is drawn with a ruler.
    fn at_rate(&self, plan: &Plan, dice: &mut Dice, rate: impl Fn(f64) -> f64) -> Vec<f64> {
        let times = &plan.clock.times;
        let uneven = dice.between(0.0, 0.3);
        let walk = wave::wander(times, self.run_up / 50.0, dice);
        wave::accumulated(times, self.onset, |i| {
            rate(self.share(times[i])) * (1.0 + uneven * walk[i]).max(0.0)
        })
    }

    fn with(&self, plan: &Plan) -> Vec<f64> {
        wave::accumulated(&plan.clock.times, self.onset, |i| plan.load[i])
    }

    /// A Poisson process from its first event at the onset; sizes are exponential.
    fn bursts(&self, plan: &Plan, dice: &mut Dice) -> Vec<Chunk> {
        let mean = self.run_up / dice.scale(20.0, 200.0);
        let mut chunks = Vec::new();
        let mut at = self.onset;
        while at < plan.clock.span() {
            let width = (self.run_up * dice.between(0.001, 0.01)).max(1.0);
            chunks.push(Chunk { at, width, size: dice.wait() });
            at += mean * dice.wait();
        }
        chunks
    }

    /// A job that runs by the clock, first at the onset, and takes a while.
    fn steps(&self, steps: usize, plan: &Plan, dice: &mut Dice) -> Vec<Chunk> {
        let interval = self.run_up / steps as f64;
        let width = interval * dice.between(0.01, 0.08);
        let runs = ((plan.clock.span() - self.onset) / interval).ceil() as usize;
        let run = |n: usize| Chunk {
            at: self.onset
                + interval * (n as f64 + if n == 0 { 0.0 } else { dice.between(-0.03, 0.03) }),
            width,
            size: dice.between(0.8, 1.2),
        };
        (0..runs).map(run).collect()
    }

    /// Scaled so that it comes to its reach at the end of the run-up.
    fn sized(&self, mut grown: Vec<f64>, times: &[f64]) -> Vec<f64> {
        let end = times.partition_point(|t| *t <= self.onset + self.run_up).saturating_sub(1);
        let factor = self.reach / grown.get(end).copied().unwrap_or(1.0);
        grown.iter_mut().for_each(|value| *value *= factor);
        grown
    }
}

/// Run-ups in seconds, from a shortest to four days.
pub(super) const fn up_to_four_days(shortest: f64) -> (f64, f64) {
    (shortest, 4.0 * DAY)
}

/// The shortest run-up drawn: noise brings the kill forward by some minutes, and ten shall remain.
pub(super) const SHORTEST: f64 = 13.0 * MINUTE;
