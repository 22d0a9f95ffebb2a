//! Which function keeps the memory: the difference of a series of profiles, and the first frame of the user's own code.
//!
//! Addresses are compared first and only the winners get names, because naming is what costs.

pub mod growth;
pub mod own;

use serde::{Deserialize, Serialize};

use crate::profile::{Frame, Profile};
use crate::units::Bytes;
use crate::verdict::Kind;
use growth::{Course, Digest, Growth, growth};
use own::first_own;

/// A function is only named on at least this many profiles: two ends show a difference, the one between shows whether it
/// still grows.
pub const MIN_PROFILES: usize = 3;

/// A function is only named on at least this many sampled allocations of growth. The relative error of n samples is
/// about 1/sqrt(n): 25 % here. Fewer would accuse on noise; more would be silent while a small limit is filled
/// (16 samples at jemalloc's default period of 512 KiB are 8 MiB).
pub const MIN_SAMPLES: u64 = 16;

/// Share of the growth below which a function is not named: growth that is spread so thin has no one cause.
pub const MIN_SHARE: f64 = 0.1;

/// Stacks whose growth is symbolized. One function may be reached on many ways, so these are more than functions are
/// named; what is left of a long tail cannot change who is first.
pub const MAX_NAMED_STACKS: usize = 32;

/// Functions named at once: two leaks at a time happen, more are growth under load.
pub const MAX_SUSPECTS: usize = 3;

/// Frames kept of the culprit's stack: who called it is answered by the first few; async runtimes stack up dozens.
pub const MAX_FRAMES: usize = 24;

/// A function that keeps the memory, and what the accusation rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Culprit {
    /// The first frame of the user's own code.
    pub frame: Frame,
    /// Bytes it holds more than in the first profile.
    pub growth: Bytes,
    /// That growth as a share of all growth between the first profile and the last, 0 to 1.
    pub share: f64,
    /// Sampled allocations that the growth rests on.
    pub samples: u64,
    /// Profiles that were compared.
    pub profiles: usize,
    /// Seconds between the first profile and the last.
    pub over_seconds: f64,
    /// Its growth in bytes per second since the growth was suspected.
    pub rate: f64,
    /// Lower end of that rate's central 90 %, from the sampling and the scatter.
    pub rate_low: f64,
    /// Upper end of it.
    pub rate_high: f64,
    /// The stack of it that grew most, from the accused frame outwards, at most [`MAX_FRAMES`] frames.
    pub stack: Vec<Frame>,
}

/// Why nobody is accused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NotYet {
    /// Two profiles show a difference, not a course.
    #[error("no function named yet: {profiles} of the {needed} heap profiles needed are taken")]
    TooFewProfiles {
        /// Profiles there are.
        profiles: usize,
        /// Profiles needed.
        needed: usize,
    },
    /// The profiles do not differ enough.
    #[error(
        "no function named yet: the growth rests on {samples} sampled allocations, {needed} are needed"
    )]
    TooFewSamples {
        /// Samples there are.
        samples: u64,
        /// Samples needed.
        needed: u64,
    },
    /// Nothing in the profile grew.
    #[error("no function named yet: no stack holds more than in the first profile")]
    NothingGrew,
    /// What grew has stopped, or comes and goes.
    #[error(
        "no function named: what grew since the first profile has stopped growing or comes and goes, as caches and work do"
    )]
    Settled,
    /// No function has a share worth naming.
    #[error(
        "no function named: the growth is spread, the largest share of one function is {percent} %"
    )]
    Spread {
        /// That share.
        percent: u8,
    },
    /// Every stack that grew is library code or could not be resolved.
    #[error(
        "no function named: no frame of the stacks that grew is the program's own code; is the binary stripped?"
    )]
    NoOwnFrame,
    /// The growth is of memory that no heap profile shows.
    #[error("no function named: the growth is outside the heap, and heap profiles show none of it")]
    OutsideHeap,
}

impl NotYet {
    /// The reason for people who were told of a growth of this kind: of one outside the heap, no heap profile can name a
    /// function, whatever it holds.
    #[must_use]
    pub fn of(self, kind: Kind) -> Self {
        match kind {
            Kind::OffHeap | Kind::PageCache | Kind::Tmpfs => Self::OutsideHeap,
            _ => self,
        }
    }
}

/// A function while its stacks are gathered.
struct Suspect {
    frames: Vec<Frame>,
    growth: Bytes,
    samples: u64,
    course: Course,
}

impl Suspect {
    /// Functions of one name in two files are two.
    fn is(&self, frame: &Frame) -> bool {
        let same = |own: &Frame| own.function == frame.function && own.file == frame.file;
        self.frames.first().is_some_and(same)
    }

    fn share(&self, total: f64) -> f64 {
        self.growth.as_f64() / total
    }

    /// The accusation, from profiles taken at these times.
    fn culprit(&self, times: &[f64], total: f64) -> Option<Culprit> {
        let (rate_low, rate, rate_high) = self.course.rate(times);
        let ends = times.first().zip(times.last());
        Some(Culprit {
            frame: self.frames.first()?.clone(),
            growth: self.growth,
            share: self.share(total),
            samples: self.samples,
            profiles: times.len(),
            over_seconds: ends.map_or(0.0, |(first, last)| (last - first).max(0.0)),
            rate,
            rate_low,
            rate_high,
            stack: self.frames.clone(),
        })
    }
}

/// Names the functions whose memory grew from the first of the `earlier` profiles to the `last`, the largest growth
/// first: at least one, at most [`MAX_SUSPECTS`]. `resolve` turns raw stacks into frames, innermost first, in their order; it is called
/// once, with the at most [`MAX_NAMED_STACKS`] stacks that grew most.
///
/// # Errors
/// [`NotYet`] when the evidence does not bear an accusation.
pub fn name_culprits(
    earlier: &[&Digest],
    last: &Profile,
    resolve: impl FnOnce(&[&[u64]]) -> Vec<Vec<Frame>>,
) -> Result<Vec<Culprit>, NotYet> {
    let profiles = earlier.len() + 1;
    if profiles < MIN_PROFILES {
        return Err(NotYet::TooFewProfiles { profiles, needed: MIN_PROFILES });
    }
    let grown = growth(earlier, last);
    if grown.is_empty() {
        return Err(NotYet::NothingGrew);
    }
    let total: f64 = grown.iter().map(|growth| growth.bytes.as_f64()).sum();
    let times: Vec<f64> =
        earlier.iter().map(|digest| digest.taken.0).chain([last.taken.0]).collect();
    let winners: Vec<&[u64]> =
        grown.iter().take(MAX_NAMED_STACKS).map(|growth| growth.stack).collect();
    let suspects = gathered(&grown, resolve(&winners));
    let named = accused(&suspects, &times, total)?;
    Ok(named.into_iter().filter_map(|suspect| suspect.culprit(&times, total)).collect())
}

/// Names the functions that held most when the process ended, for a process of which too few profiles were taken to see
/// a growth: `growth` is then what they held, `share` that of the whole heap, and there is no rate.
///
/// # Errors
/// [`NotYet`] when the evidence does not bear an accusation.
pub fn name_holders(
    last: &Profile,
    resolve: impl FnOnce(&[&[u64]]) -> Vec<Vec<Frame>>,
) -> Result<Vec<Culprit>, NotYet> {
    let held = growth(&[], last);
    let total: f64 = held.iter().map(|growth| growth.bytes.as_f64()).sum();
    let winners: Vec<&[u64]> =
        held.iter().take(MAX_NAMED_STACKS).map(|growth| growth.stack).collect();
    let suspects = gathered(&held, resolve(&winners));
    let named = evident(suspects.iter(), total);
    if named.is_empty() {
        return Err(missing(suspects.iter(), total));
    }
    let times = [last.taken.0];
    Ok(named.into_iter().filter_map(|suspect| suspect.culprit(&times, total)).collect())
}

/// The functions behind the stacks that grew most, each with all its stacks, the largest first.
fn gathered(grown: &[Growth<'_>], named: Vec<Vec<Frame>>) -> Vec<Suspect> {
    let mut suspects: Vec<Suspect> = Vec::new();
    for (growth, frames) in grown.iter().zip(named) {
        let Some(own) = first_own(&frames) else { continue };
        let frames = outwards(frames, own);
        match suspects.iter_mut().find(|suspect| suspect.is(&frames[0])) {
            Some(suspect) => {
                suspect.growth = suspect.growth + growth.bytes;
                suspect.samples += growth.samples;
                suspect.course.add(growth);
            }
            None => suspects.push(Suspect {
                frames,
                growth: growth.bytes,
                samples: growth.samples,
                course: Course::of(growth),
            }),
        }
    }
    suspects.sort_by_key(|suspect| std::cmp::Reverse(suspect.growth));
    suspects
}

/// Those that the evidence accuses, or what is missing for the one that grew most.
fn accused<'a>(
    suspects: &'a [Suspect],
    times: &[f64],
    total: f64,
) -> Result<Vec<&'a Suspect>, NotYet> {
    let leaking = || suspects.iter().filter(|suspect| suspect.course.is_leaking(times));
    let named = evident(leaking(), total);
    if !named.is_empty() {
        return Ok(named);
    }
    if leaking().next().is_none() && !suspects.is_empty() {
        return Err(NotYet::Settled);
    }
    Err(missing(leaking(), total))
}

/// Those of the suspects, which are in the order of their growth, that are worth naming.
fn evident<'a>(suspects: impl Iterator<Item = &'a Suspect>, total: f64) -> Vec<&'a Suspect> {
    suspects
        .filter(|suspect| suspect.share(total) >= MIN_SHARE && suspect.samples >= MIN_SAMPLES)
        .take(MAX_SUSPECTS)
        .collect()
}

/// Why none of them is.
fn missing<'a>(mut suspects: impl Iterator<Item = &'a Suspect>, total: f64) -> NotYet {
    match suspects.next() {
        None => NotYet::NoOwnFrame,
        Some(Suspect { samples, .. }) if *samples < MIN_SAMPLES => {
            NotYet::TooFewSamples { samples: *samples, needed: MIN_SAMPLES }
        }
        Some(largest) => {
            NotYet::Spread { percent: (largest.share(total) * 100.0).clamp(0.0, 100.0) as u8 }
        }
    }
}

/// The stack from the accused frame outwards. What lies inside it is the allocator and the containers it was called
/// through; naming them tells nobody anything.
fn outwards(mut frames: Vec<Frame>, own: usize) -> Vec<Frame> {
    frames.drain(..own);
    frames.truncate(MAX_FRAMES);
    if let Some(name) = qualified(&frames)
        && let Some(first) = frames.first_mut()
    {
        first.function = name;
    }
    frames
}

/// A closure that was inlined has no path in line tables, only `{{closure}}`: it is told by the function around it, the
/// next one of its file that has a name.
fn qualified(frames: &[Frame]) -> Option<String> {
    let is_anonymous = |function: &str| function.starts_with('{');
    let (first, outer) = frames.split_first()?;
    if !is_anonymous(&first.function) {
        return None;
    }
    let around = outer.iter().find(|f| f.file == first.file && !is_anonymous(&f.function))?;
    Some(format!("{}::{}", around.function, first.function))
}

#[cfg(test)]
mod tests;
