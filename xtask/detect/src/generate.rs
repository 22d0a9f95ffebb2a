//! Made-up series whose truth is known.
//!
//! A series is a service (its limit, its habits, what of it can be seen), a plan (what happens to it) and noise, each
//! with a stream of chance of its own. The model is of pods as they run in clusters: it knows nothing of what will be
//! asked of the series. The same family and seed give the same series for ever; a test holds them to it, and would tell
//! of a platform whose logarithms round another way.
//!
//! Left out: memory between two samples, which in truth could be killed for a peak that nobody saw; swap, which pods
//! have not; limits that change.

mod clock;
mod csv;
mod dice;
mod innocents;
mod leaks;
mod plan;
mod render;
mod service;
#[cfg(test)]
mod tests;
mod wave;

use watchdog_core::sample::Sample;
use watchdog_core::verdict::Kind;

pub use csv::to_csv;
use dice::{Dice, Part};
use leaks::{Cover, Leak, SHORTEST, Shape, up_to_four_days};
use plan::Plan;
use render::{Run, render};
use service::Service;
use wave::{DAY, HOUR, MINUTE};

/// What is true of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Truth {
    /// Memory grows until the kernel kills.
    Leak {
        /// Seconds at which the growth begins.
        onset: f64,
        /// Seconds of the kill: what counts against the limit reaches it. The series ends there.
        kill: f64,
        /// What kind of growth it is.
        kind: Kind,
    },
    /// Nothing leaks.
    Innocent,
}

/// A made-up series.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The family's name.
    pub family: &'static str,
    /// The seed within the family.
    pub seed: u64,
    /// What is true of it.
    pub truth: Truth,
    /// In the order of time.
    pub samples: Vec<Sample>,
}

/// Declares the families with their names, so that neither list can miss one.
macro_rules! families {
    ($($(#[$doc:meta])* $family:ident = $name:literal,)*) => {
        /// What happens in a series.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Family {
            $($(#[$doc])* $family,)*
        }

        impl Family {
            /// Every family: leaks, then innocents.
            pub const ALL: &'static [Self] = &[$(Self::$family),*];

            /// The name in tables and file names; it is part of the seed, so it never changes.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$family => $name,)*
                }
            }
        }
    };
}

families! {
    /// The same rate throughout; a run-up of minutes to four days.
    LeakSteady = "leak-steady",
    /// In proportion to a load with waves of an hour or a day.
    LeakWithLoad = "leak-with-load",
    /// 20 to 200 chunks at random moments.
    LeakBursts = "leak-bursts",
    /// 8 to 40 chunks, one from each run of a job.
    LeakSteps = "leak-steps",
    /// The rate becomes two to six times as high.
    LeakAccelerating = "leak-accelerating",
    /// The rate falls with the load to a half or a third.
    LeakDecelerating = "leak-decelerating",
    /// Under a collector's saw-tooth of 5 to 30 % of the limit.
    LeakUnderTeeth = "leak-under-teeth",
    /// Under a daily wave of 5 to 25 % of the limit, drawn for one and a half to four days.
    LeakUnderDays = "leak-under-days",
    /// Steady, drawn for three to seven days.
    LeakSlow = "leak-slow",
    /// Steady over ten to twenty minutes.
    LeakFast = "leak-fast",
    /// The allocator keeps pages in which little lives.
    LeakFragmentation = "leak-fragmentation",
    /// Anonymous memory the allocator knows nothing of.
    LeakOffHeap = "leak-off-heap",
    /// Files on a tmpfs that nobody deletes.
    LeakTmpfs = "leak-tmpfs",
    /// Threads that never end: their stacks come in 10 to 40 steps.
    LeakThreads = "leak-threads",
    /// Nothing happens.
    Flat = "flat",
    /// Nothing happens, at 70 to 88 % of the limit.
    FlatHigh = "flat-high",
    /// To a cap within minutes of the start.
    WarmUpMinutes = "warm-up-minutes",
    /// To a cap over hours, ever more slowly.
    WarmUpHours = "warm-up-hours",
    /// At an even pace to a cap.
    BoundedCache = "bounded-cache",
    /// Levels that change, up and down.
    Steps = "steps",
    /// Jobs by the hour or by night.
    Batch = "batch",
    /// With a load that climbs for hours and stays or falls.
    LoadRamp = "load-ramp",
    /// With the users through the day.
    DailyWave = "daily-wave",
    /// With the users through day and week, for two or three weeks.
    WeeklyWave = "weekly-wave",
    /// A collector's teeth.
    SawTooth = "saw-tooth",
    /// A collector's teeth on a slow rise that full collections end.
    FullCollections = "full-collections",
    /// File pages fill what is left of the limit.
    PageCache = "page-cache",
    /// Restarts into versions that need about the same.
    Deploys = "deploys",
    /// Restarts, from one of them on at a higher level.
    HeavierDeploy = "heavier-deploy",
    /// A walk within 15 % of the limit that comes back.
    RevertingWalk = "reverting-walk",
    /// Bursts of minutes from a neighbour's traffic.
    NeighbourBursts = "neighbour-bursts",
    /// Nights without a request, slowly given back.
    IdleNights = "idle-nights",
}

impl Family {
    /// Whether its series end in a kill.
    pub fn is_leak(self) -> bool {
        matches!(self.script(), Script::Leak(_))
    }

    fn script(self) -> Script {
        use Shape::{Accelerating, Bursts, Decelerating, Steady, Steps, WithLoad};
        let innocent = |plan| Script::Innocent(plan);
        Script::Leak(match self {
            Self::LeakSteady => Leak::heap(&[Steady], up_to_four_days(SHORTEST)),
            Self::LeakWithLoad => Leak::heap(&[WithLoad], up_to_four_days(3.0 * HOUR)),
            Self::LeakBursts => Leak::heap(&[Bursts], up_to_four_days(HOUR)),
            Self::LeakSteps => Leak::heap(&[Steps(8, 40)], up_to_four_days(2.0 * HOUR)),
            Self::LeakAccelerating => Leak::heap(&[Accelerating], up_to_four_days(20.0 * MINUTE)),
            Self::LeakDecelerating => Leak::heap(&[Decelerating], up_to_four_days(30.0 * MINUTE)),
            Self::LeakUnderTeeth => {
                Leak::heap(&[Steady], up_to_four_days(HOUR)).under(Cover::Teeth)
            }
            Self::LeakUnderDays => {
                Leak::heap(&[Steady], up_to_four_days(1.5 * DAY)).under(Cover::Days).every(&[60.0])
            }
            Self::LeakSlow => Leak::heap(&[Steady], (3.0 * DAY, 7.0 * DAY)).every(&[60.0, 120.0]),
            Self::LeakFast => Leak::heap(&[Steady], (SHORTEST, 20.0 * MINUTE)).every(&[1.0, 5.0]),
            Self::LeakFragmentation => {
                Leak::heap(&[Steady, WithLoad, Bursts], up_to_four_days(HOUR))
                    .of(Kind::Fragmentation)
            }
            Self::LeakOffHeap => {
                Leak::heap(&[Steady, WithLoad, Bursts], up_to_four_days(20.0 * MINUTE))
                    .of(Kind::OffHeap)
            }
            Self::LeakTmpfs => {
                Leak::heap(&[Steady, Bursts, Steps(8, 40)], up_to_four_days(20.0 * MINUTE))
                    .of(Kind::Tmpfs)
            }
            Self::LeakThreads => {
                Leak::heap(&[Steps(10, 40)], up_to_four_days(HOUR)).of(Kind::OffHeap)
            }
            Self::Flat => return innocent(innocents::flat),
            Self::FlatHigh => return innocent(innocents::flat_high),
            Self::WarmUpMinutes => return innocent(innocents::warm_up_minutes),
            Self::WarmUpHours => return innocent(innocents::warm_up_hours),
            Self::BoundedCache => return innocent(innocents::bounded_cache),
            Self::Steps => return innocent(innocents::steps),
            Self::Batch => return innocent(innocents::batch),
            Self::LoadRamp => return innocent(innocents::load_ramp),
            Self::DailyWave => return innocent(innocents::daily_wave),
            Self::WeeklyWave => return innocent(innocents::weekly_wave),
            Self::SawTooth => return innocent(innocents::saw_tooth),
            Self::FullCollections => return innocent(innocents::full_collections),
            Self::PageCache => return innocent(innocents::page_cache),
            Self::Deploys => return innocent(innocents::deploys),
            Self::HeavierDeploy => return innocent(innocents::heavier_deploy),
            Self::RevertingWalk => return innocent(innocents::reverting_walk),
            Self::NeighbourBursts => return innocent(innocents::neighbour_bursts),
            Self::IdleNights => return innocent(innocents::idle_nights),
        })
    }
}

/// How a family's plans are made.
enum Script {
    Leak(Leak),
    Innocent(fn(&Service, &mut Dice) -> Plan),
}

/// The series of a family and a seed: the same for ever.
pub fn generate(family: Family, seed: u64) -> Trace {
    let (run, leak) = run(family, seed);
    let truth = leak.map_or(Truth::Innocent, |(onset, kind)| {
        // A leak without a kill would be a mistake in its plan; the tests look for it.
        let end = run.samples.last().map_or(onset, |last| last.at.0);
        Truth::Leak { onset, kill: run.kill.unwrap_or(end), kind }
    });
    Trace { family: family.name(), seed, truth, samples: run.samples }
}

/// What was seen, and the onset and kind of a leak.
fn run(family: Family, seed: u64) -> (Run, Option<(f64, Kind)>) {
    let dice = |part| Dice::new(family.name(), seed, part);
    let service = Service::draw(&mut dice(Part::Service));
    let (plan, leak) = match family.script() {
        Script::Leak(leak) => {
            let (plan, onset) = leak.plan(&service, &mut dice(Part::Plan));
            (plan, Some((onset, leak.kind)))
        }
        Script::Innocent(plan) => (plan(&service, &mut dice(Part::Plan)), None),
    };
    (render(&service, &plan, &mut dice(Part::Noise)), leak)
}
