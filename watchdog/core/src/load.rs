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
