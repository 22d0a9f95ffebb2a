//! When a heap profile is taken: once as a baseline, at new highs, when danger rises, and until the function is named.

use watchdog_core::detector::{Assessment, Level};
use watchdog_core::sample::Sample;
use watchdog_core::units::{Bytes, Moment};

/// Why a profile is taken; kept beside the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The first one, which all later ones are compared with.
    Baseline,
    /// More memory in use than at any profile before.
    HighWater,
    /// The danger rose to this level, or it is this high and no function is named yet.
    Danger(Level),
    /// Somebody asked.
    Requested,
    /// To see how it goes on; not stored.
    Look,
}

impl Reason {
    /// The word kept in a dump's metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::HighWater => "high-water",
            Self::Danger(level) => level.as_str(),
            Self::Requested => "requested",
            Self::Look => "look",
        }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Wait,
    /// Take a profile.
    Take(Reason),
    /// One is wanted, but the process could not bear it.
    Skip,
}

/// Share of the limit by which memory must exceed the last profile's for a new high.
const HIGH_WATER: f64 = 0.05;
/// Seconds between two profiles while it is calm.
const CALM_GAP: f64 = 30.0;
/// Seconds between two profiles at least, whatever happens: a dump costs the target milliseconds.
const MIN_GAP: f64 = 0.5;
/// Seconds after which a failed first profile is tried again.
const RETRY_GAP: f64 = 10.0;

/// Remembers what was taken.
#[derive(Clone, Debug, Default)]
pub struct CapturePolicy {
    tried: Option<Moment>,
    taken: Option<Bytes>,
    level: Level,
    skipped: bool,
}

impl CapturePolicy {
    /// Whether to take a profile now. `named` says whether the open incident has its function, `headroom` how much room
    /// the process must have left to bear it.
    pub fn decide(
        &mut self,
        sample: &Sample,
        seen: &Assessment,
        warm_up: f64,
        named: bool,
        headroom: Bytes,
    ) -> Decision {
        let since = self.tried.map_or(f64::INFINITY, |tried| seen.at.since(tried));
        let Some(reason) = self.wanted(sample, seen, warm_up, named, since) else {
            return Decision::Wait;
        };
        let bears = seen.limit.is_none_or(|limit| limit - seen.used >= headroom);
        if !bears {
            // Said once per stretch, not at every sample.
            return if std::mem::replace(&mut self.skipped, true) {
                Decision::Wait
            } else {
                Decision::Skip
            };
        }
        self.skipped = false;
        self.level = seen.level;
        self.tried = Some(seen.at);
        Decision::Take(reason)
    }

    /// A profile was taken when this much was in use.
    pub fn took(&mut self, used: Bytes) {
        self.taken = Some(self.taken.map_or(used, |taken| taken.max(used)));
    }

    fn wanted(
        &mut self,
        sample: &Sample,
        seen: &Assessment,
        warm_up: f64,
        named: bool,
        since: f64,
    ) -> Option<Reason> {
        if since < MIN_GAP {
            return None;
        }
        let danger = seen.level > Level::Calm;
        let rose = seen.level > self.level;
        if !danger {
            self.level = Level::Calm;
        }
        if danger && (rose || since >= danger_gap(seen, named)) {
            return Some(Reason::Danger(seen.level));
        }
        match self.taken {
            None if sample.age >= warm_up && since >= RETRY_GAP => Some(Reason::Baseline),
            Some(taken) if !danger && since >= CALM_GAP && is_high(seen, taken) => {
                Some(Reason::HighWater)
            }
            _ => None,
        }
    }
}

/// Often while nobody is named and the end is near; seldom once the function is known.
fn danger_gap(seen: &Assessment, named: bool) -> f64 {
    let left = seen.forecast.map_or(600.0, |forecast| forecast.low);
    if named { (left / 2.0).clamp(30.0, 600.0) } else { (left / 16.0).clamp(MIN_GAP, 60.0) }
}

fn is_high(seen: &Assessment, taken: Bytes) -> bool {
    let step = seen.limit.unwrap_or(taken).as_f64() * HIGH_WATER;
    seen.used.as_f64() >= taken.as_f64() + step
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchdog_core::forecast::Forecast;

    const LIMIT: Bytes = Bytes::from_mib(256);
    const HEADROOM: Bytes = Bytes::from_mib(2);

    fn seen(at: f64, used_mib: u64, level: Level) -> (Sample, Assessment) {
        let sample = Sample { at: Moment(at), age: at, ..Sample::default() };
        let forecast = Some(Forecast { low: 40.0, estimate: 50.0, high: None });
        let used = Bytes::from_mib(used_mib);
        let assessment = Assessment {
            at: Moment(at),
            level,
            used,
            limit: Some(LIMIT),
            forecast,
            ..Assessment::default()
        };
        (sample, assessment)
    }

    fn decide(
        policy: &mut CapturePolicy,
        at: f64,
        used: u64,
        level: Level,
        named: bool,
    ) -> Decision {
        let (sample, assessment) = seen(at, used, level);
        let decision = policy.decide(&sample, &assessment, 10.0, named, HEADROOM);
        if matches!(decision, Decision::Take(_)) {
            policy.took(assessment.used);
        }
        decision
    }

    #[test]
    fn the_first_profile_waits_for_the_warm_up_and_the_next_for_a_new_high() {
        let mut policy = CapturePolicy::default();
        assert_eq!(decide(&mut policy, 5.0, 20, Level::Calm, false), Decision::Wait);
        assert_eq!(
            decide(&mut policy, 10.0, 20, Level::Calm, false),
            Decision::Take(Reason::Baseline)
        );
        assert_eq!(decide(&mut policy, 60.0, 30, Level::Calm, false), Decision::Wait);
        assert_eq!(
            decide(&mut policy, 61.0, 34, Level::Calm, false),
            Decision::Take(Reason::HighWater)
        );
        assert_eq!(decide(&mut policy, 70.0, 90, Level::Calm, false), Decision::Wait, "too soon");
    }

    #[test]
    fn danger_takes_one_at_each_rise_and_more_until_the_function_is_named() {
        let mut policy = CapturePolicy::default();
        decide(&mut policy, 10.0, 20, Level::Calm, false);
        let suspect = Decision::Take(Reason::Danger(Level::Suspect));
        let leak = Decision::Take(Reason::Danger(Level::Leak));
        assert_eq!(decide(&mut policy, 20.0, 60, Level::Suspect, false), suspect);
        assert_eq!(decide(&mut policy, 20.2, 61, Level::Leak, false), Decision::Wait, "too soon");
        assert_eq!(decide(&mut policy, 20.6, 62, Level::Leak, false), leak);
        assert_eq!(decide(&mut policy, 24.0, 70, Level::Leak, false), leak, "nobody is named");
        assert_eq!(decide(&mut policy, 28.0, 80, Level::Leak, true), Decision::Wait);
    }

    #[test]
    fn a_process_without_headroom_is_left_alone_and_that_is_said_once() {
        let mut policy = CapturePolicy::default();
        assert_eq!(decide(&mut policy, 20.0, 255, Level::Imminent, false), Decision::Skip);
        assert_eq!(decide(&mut policy, 21.0, 255, Level::Imminent, false), Decision::Wait);
    }

    #[test]
    fn a_probe_that_fails_is_not_asked_at_every_sample() {
        let mut policy = CapturePolicy::default();
        let (sample, assessment) = seen(12.0, 20, Level::Calm);
        assert_eq!(
            policy.decide(&sample, &assessment, 10.0, false, HEADROOM),
            Decision::Take(Reason::Baseline)
        );
        let (sample, assessment) = seen(13.0, 20, Level::Calm);
        assert_eq!(policy.decide(&sample, &assessment, 10.0, false, HEADROOM), Decision::Wait);
        let (sample, assessment) = seen(23.0, 20, Level::Calm);
        assert_eq!(
            policy.decide(&sample, &assessment, 10.0, false, HEADROOM),
            Decision::Take(Reason::Baseline)
        );
    }
}
