//! Whether the load explains the growth: more requests need more memory, and give it back.
//!
//! Two questions, in this order. Was this load, or a higher one, there before, and how much memory went with it? Growth
//! beyond that is not the load's. If the load is at its own record there is nothing to compare with: then growth is
//! excused as long as memory grows by no greater share than the load.

use crate::envelope::Bucket;
use crate::history::History;
use crate::trend::{Point, theil_sen};
use crate::units::Moment;

/// A load this close to the present one is the same load: a rate of requests is never twice the same.
const SAME_LOAD: f64 = 0.95;
/// Memory may grow by this many times the share of the load's growth: queues and buffers grow faster than load.
const IN_PROPORTION: f64 = 1.5;

/// What the load says of a growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Explained {
    /// The load is not known.
    Unknown,
    /// The load grew too, and memory is what such a load needs.
    ByLoad,
    /// The load is known and does not explain it.
    Not,
}

/// Asks whether the load explains the growth seen in `buckets`, where `material` bytes more are a difference.
pub fn explains<'a>(
    buckets: impl Iterator<Item = &'a Bucket> + Clone,
    history: &History,
    material: f64,
) -> Explained {
    let loads: Option<Vec<Point>> =
        buckets.clone().map(|b| b.load.map(|load| Point { t: b.at, bytes: load })).collect();
    let (Some(loads), Some(first), Some(last)) = (loads, buckets.clone().next(), buckets.last())
    else {
        return Explained::Unknown;
    };
    let Some(trend) = theil_sen(&loads) else { return Explained::Unknown };
    if trend.low.0 <= 0.0 {
        return Explained::Not;
    }
    let now = last.load.unwrap_or(0.0);
    let before = Moment(first.at);
    if let Some(then) = history.highest_at_load(now * SAME_LOAD, before) {
        return if last.min > then.as_f64() + material {
            Explained::Not
        } else {
            Explained::ByLoad
        };
    }
    let load_began = now - trend.slope.0 * trend.window;
    let share = |from: f64, to: f64| if from > 0.0 { (to - from) / from } else { f64::INFINITY };
    if share(first.min, last.min) <= share(load_began, now) * IN_PROPORTION {
        Explained::ByLoad
    } else {
        Explained::Not
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Envelope;
    use crate::sample::{Memory, Sample};
    use crate::units::Bytes;

    const HOUR: f64 = 3600.0;

    /// What is said of the last 24 of `hours`, a sample a minute.
    fn said(hours: u32, mib: impl Fn(f64) -> f64, load: impl Fn(f64) -> Option<f64>) -> Explained {
        let (mut history, mut envelope) = (History::default(), Envelope::new(24.0 * HOUR));
        for minute in 0..hours * 60 {
            let t = f64::from(minute) * 60.0;
            let anon = Bytes((mib(t / HOUR) * 1048576.0) as u64);
            let sample = Sample {
                at: Moment(t),
                memory: Memory { anon, ..Memory::default() },
                load: load(t / HOUR),
                ..Sample::default()
            };
            history.push(&sample);
            envelope.push(t, anon.as_f64(), sample.load, |_| {});
        }
        explains(envelope.buckets(), &history, 10.0 * 1048576.0)
    }

    #[test]
    fn growth_in_proportion_to_a_load_never_seen_is_the_loads() {
        let climb = |hour: f64| 10.0 + hour;
        assert_eq!(said(48, |h| 20.0 + 2.0 * climb(h), |h| Some(climb(h))), Explained::ByLoad);
        assert_eq!(said(48, |h| 20.0 + climb(h).powi(3), |h| Some(climb(h))), Explained::Not);
    }

    #[test]
    fn a_load_that_was_there_before_explains_no_more_memory_than_it_took_then() {
        // Two days alike; on the second one memory grows beyond what the same load took.
        let wave = |hour: f64| 20.0 + (hour % 24.0);
        let load = |hour: f64| Some(wave(hour));
        assert_eq!(said(48, |h| 2.0 * wave(h), load), Explained::ByLoad);
        assert_eq!(said(48, |h| 2.0 * wave(h) + 2.0 * (h - 24.0).max(0.0), load), Explained::Not);
    }

    #[test]
    fn a_load_that_does_not_grow_or_is_not_known_explains_nothing() {
        assert_eq!(said(48, |h| 20.0 + h, |_| Some(5.0)), Explained::Not);
        assert_eq!(said(48, |h| 20.0 + h, |_| None), Explained::Unknown);
    }
}
