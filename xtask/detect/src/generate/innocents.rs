//! Growth that is no leak: everything that services do without ever reaching their limit.

use super::clock::{self, Clock};
use super::dice::Dice;
use super::plan::{Plan, Restart, uneven};
use super::service::Service;
use super::wave::{self, Chunk, DAY, HOUR, MINUTE};

/// What bursts of requests stay below.
const CEILING: f64 = 0.97;

/// A quiet service for a time in this range of seconds.
fn quiet(service: &Service, dice: &mut Dice, low: f64, high: f64) -> Plan {
    let span = dice.scale(low, high);
    let cadence = clock::cadence(dice, span, span);
    with_clock(service, dice, span, cadence)
}

fn with_clock(service: &Service, dice: &mut Dice, span: f64, cadence: f64) -> Plan {
    let clock = Clock::draw(dice, span, cadence);
    Plan { ceiling: CEILING, ..Plan::quiet(service, clock, dice) }
}

/// A level between two fractions of the limit, at least a tenth above the base.
fn level(service: &Service, dice: &mut Dice, low: f64, high: f64) -> f64 {
    dice.between(low.max(service.base + 0.1), high)
}

/// The heap as a function of time.
fn heap(plan: &mut Plan, at: impl Fn(f64) -> f64) {
    plan.heap = plan.clock.times.iter().map(|t| at(*t)).collect();
}

/// Nothing happens.
pub(super) fn flat(service: &Service, dice: &mut Dice) -> Plan {
    quiet(service, dice, 2.0 * HOUR, 5.0 * DAY)
}

/// Nothing happens, close below the limit and with much request memory.
pub(super) fn flat_high(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 2.0 * HOUR, 5.0 * DAY);
    plan.base = level(service, dice, 0.7, 0.88);
    plan
}

/// Pools and code paths fill within minutes of the start.
pub(super) fn warm_up_minutes(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 2.0 * HOUR, 2.0 * DAY);
    let reached = dice.scale(5.0 * MINUTE, 45.0 * MINUTE);
    warm_up(&mut plan, service, dice, reached);
    plan
}

/// Caches fill over hours; the slowest are still at it when the series ends.
pub(super) fn warm_up_hours(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 6.0 * HOUR, 5.0 * DAY);
    let reached = plan.clock.span() * dice.between(0.15, 1.1);
    warm_up(&mut plan, service, dice, reached);
    plan
}

/// Rises ever more slowly to a cap, which is reached, or all but, after `reached` seconds.
fn warm_up(plan: &mut Plan, service: &Service, dice: &mut Dice, reached: f64) {
    let height = level(service, dice, 0.4, 0.85) - service.base;
    let power = dice.between(0.3, 0.6);
    let bend = dice.scale(5.0, 50.0);
    match dice.count(0, 2) {
        0 => heap(plan, |t| height * (1.0 - (-4.0 * t / reached).exp())),
        1 => heap(plan, |t| height * (t / reached).clamp(0.0, 1.0).powf(power)),
        _ => heap(plan, |t| height * (bend * (t / reached).clamp(0.0, 1.0)).ln_1p() / bend.ln_1p()),
    }
}

/// A cache that takes all it may have, at an even pace, and keeps it.
pub(super) fn bounded_cache(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 2.0 * HOUR, 5.0 * DAY);
    let height = level(service, dice, 0.3, 0.8) - service.base;
    let span = plan.clock.span();
    let from = if dice.chance(0.7) { 0.0 } else { span * dice.between(0.05, 0.4) };
    let fills = dice.scale((10.0 * MINUTE).min(0.1 * span), (2.0 * DAY).min(0.8 * (span - from)));
    heap(&mut plan, |t| height * ((t - from) / fills).clamp(0.0, 1.0));
    plan
}

/// Configuration is loaded, tenants come and go.
pub(super) fn steps(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 2.0 * HOUR, 5.0 * DAY);
    let span = plan.clock.span();
    let room = 0.85 - service.base;
    let mut height = 0.0;
    let step = |_| {
        let change = dice.between(0.03, 0.2) * if dice.chance(0.4) { -1.0 } else { 1.0 };
        let to = (height + change).clamp(0.0, room);
        let size = to - height;
        height = to;
        Chunk { at: dice.between(0.05, 0.95), width: dice.scale(2.0, 5.0 * MINUTE), size }
    };
    let mut chunks: Vec<_> = (0..12).map(step).collect();
    let steps = dice.count(2, 12);
    chunks.truncate(steps);
    let mut moments: Vec<_> = chunks.iter().map(|chunk| chunk.at * span).collect();
    moments.sort_by(f64::total_cmp);
    chunks.iter_mut().zip(moments).for_each(|(chunk, at)| chunk.at = at);
    plan.heap = wave::arrived(&plan.clock.times, &chunks);
    plan
}

/// Jobs by the hour or by night that take much and give it back.
pub(super) fn batch(service: &Service, dice: &mut Dice) -> Plan {
    let nightly = dice.chance(0.5);
    let (period, shortest, longest) = if nightly {
        (DAY, 2.0 * DAY, 60.0 * MINUTE)
    } else {
        (HOUR * dice.count(1, 6) as f64, 8.0 * HOUR, 30.0 * MINUTE)
    };
    let mut plan = quiet(service, dice, shortest, 5.0 * DAY);
    let takes = dice.scale(5.0 * MINUTE, longest);
    let height = level(service, dice, 0.5, 0.88) - service.base;
    let rises = dice.between(0.3, 0.95);
    let first = dice.between(0.1, 0.9) * period;
    let jobs = (plan.clock.span() / period) as usize + 1;
    let jobs: Vec<_> = (0..jobs)
        .map(|job| {
            let at = first + period * job as f64 + dice.between(0.0, 60.0);
            let length = takes * dice.between(0.8, 1.2);
            let peak = if dice.chance(0.05) { 0.0 } else { height * dice.between(0.85, 1.0) };
            (at, length, peak)
        })
        .collect();
    heap(&mut plan, |t| {
        let inside = jobs.iter().find(|(at, length, _)| (*at..at + length).contains(&t));
        inside.map_or(0.0, |(at, length, peak)| peak * ((t - at) / (rises * length)).min(1.0))
    });
    plan
}

/// Memory in proportion to a load that climbs for hours and stays there, or falls again.
pub(super) fn load_ramp(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 4.0 * HOUR, 3.0 * DAY);
    let span = plan.clock.span();
    let from = span * dice.between(0.05, 0.3);
    let ramp = dice.scale(HOUR, 12.0 * HOUR).min(0.5 * span);
    let falls = if dice.chance(0.4) { from + ramp + span * dice.between(0.1, 0.4) } else { span };
    let ratio = dice.between(2.0, 6.0);
    let height = level(service, dice, 0.4, 0.85) - service.base;
    let smooth = dice.chance(0.5);
    let share = |t: f64| {
        let x = ((t - from) / ramp).clamp(0.0, 1.0) - ((t - falls) / ramp).clamp(0.0, 1.0);
        if smooth { x * x * (3.0 - 2.0 * x) } else { x }
    };
    // Request memory is part of what follows the load; an average of one would make it many times the service's own.
    let load: Vec<_> =
        plan.clock.times.iter().map(|&t| (1.0 + (ratio - 1.0) * share(t)) / ratio).collect();
    plan.load = uneven(&plan.clock.times, &load, dice);
    let least = 1.0 / ratio;
    follow_load(&mut plan, height, least, 1.0);
    plan
}

/// Memory follows the users through the day.
pub(super) fn daily_wave(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 1.5 * DAY, 5.0 * DAY);
    let factors = wave::alike(dice);
    follow_days(&mut plan, service, dice, &factors);
    plan
}

/// The same over two or three weeks with quiet weekends.
pub(super) fn weekly_wave(service: &Service, dice: &mut Dice) -> Plan {
    let span = dice.between(14.0, 21.0) * DAY;
    let mut plan = with_clock(service, dice, span, 300.0);
    let first = dice.count(0, 6);
    let weekend = dice.between(0.4, 0.8);
    let factor = |(day, factor)| if (day + first) % 7 < 2 { factor * weekend } else { factor };
    let factors: Vec<_> = wave::alike(dice).into_iter().enumerate().map(factor).collect();
    follow_days(&mut plan, service, dice, &factors);
    plan
}

fn follow_days(plan: &mut Plan, service: &Service, dice: &mut Dice, factors: &[f64]) {
    let height = dice.between(0.05, 0.45).min(0.85 - service.base);
    let days = wave::days(&plan.clock.times, DAY, factors, dice);
    let quietest = dice.between(0.1, 0.5);
    let load: Vec<_> = days.iter().map(|day| quietest + (1.6 - quietest) * day).collect();
    plan.load = uneven(&plan.clock.times, &load, dice);
    follow_load(plan, height, quietest, 1.6);
}

/// A heap of `height` at the load `most`, none at `least`, bounded by its pools.
fn follow_load(plan: &mut Plan, height: f64, least: f64, most: f64) {
    let share = |load: &f64| ((load - least) / (most - least)).clamp(0.0, 1.0);
    plan.heap = plan.load.iter().map(|load| height * share(load)).collect();
}

/// A collector frees what has piled up, at no fixed time.
pub(super) fn saw_tooth(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 2.0 * HOUR, 5.0 * DAY);
    let height = dice.between(0.1, 0.5).min(0.9 - service.base);
    let period = collector_period(&mut plan, dice);
    let teeth = wave::teeth(&plan.clock.times, period, dice);
    plan.heap = teeth.iter().map(|tooth| height * tooth).collect();
    plan
}

/// A collector that leaves some behind each time, until a full collection takes that too.
pub(super) fn full_collections(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 4.0 * HOUR, 5.0 * DAY);
    let height = dice.between(0.2, 0.6).min(0.9 - service.base);
    let young = dice.between(0.2, 0.6);
    let period = collector_period(&mut plan, dice);
    let between = (period * dice.scale(10.0, 60.0)).min(plan.clock.span() / 3.0);
    let teeth = wave::teeth(&plan.clock.times, period, dice);
    let full = wave::teeth(&plan.clock.times, between, dice);
    let both = teeth.iter().zip(full).map(|(tooth, full)| young * tooth + (1.0 - young) * full);
    plan.heap = both.map(|share| height * share).collect();
    plan
}

/// Seconds between collections; the runtime gives pages back well within them.
fn collector_period(plan: &mut Plan, dice: &mut Dice) -> f64 {
    let period = dice.scale(20.0, 20.0 * MINUTE);
    plan.decay = plan.decay.min(0.2 * period);
    period
}

/// Files that are read and written fill what is left; the kernel drops some of them now and then.
pub(super) fn page_cache(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 2.0 * HOUR, 5.0 * DAY);
    let span = plan.clock.span();
    let fills = dice.scale(10.0 * MINUTE, 0.6 * span);
    let room = 1.0 - service.base;
    let period = dice.scale(5.0 * MINUTE, 2.0 * HOUR);
    let dropped = wave::teeth(&plan.clock.times, period, dice);
    let dips = dice.between(0.0, 0.05);
    let levels = plan.clock.times.iter().zip(dropped);
    plan.file = levels
        .map(|(t, tooth)| room * (t / fills).min(1.0) * (1.0 - dips * (1.0 - tooth)))
        .collect();
    plan
}

/// New versions that need what the old ones needed.
pub(super) fn deploys(service: &Service, dice: &mut Dice) -> Plan {
    releases(service, dice, 0.0)
}

/// New versions of which one needs more and goes on needing it.
pub(super) fn heavier_deploy(service: &Service, dice: &mut Dice) -> Plan {
    let more = dice.between(0.05, 0.25).min(0.8 - service.base);
    releases(service, dice, more)
}

/// Restarts, each with a level of its own and a warm-up; from one of them on all need `more`.
fn releases(service: &Service, dice: &mut Dice, more: f64) -> Plan {
    let mut plan = quiet(service, dice, 3.0 * HOUR, 5.0 * DAY);
    let span = plan.clock.span();
    let count = dice.count(2, 6);
    let spacing = span / (count + 1) as f64;
    let restart = |n: usize| Restart {
        at: spacing * (n as f64 + dice.between(-0.35, 0.35)),
        down: dice.between(5.0, 90.0),
    };
    plan.restarts = (1..=count).map(restart).collect();
    let heavier = dice.count(1, count);
    let slow = if dice.chance(0.5) { dice.scale(5.0 * MINUTE, 0.2 * spacing) } else { 0.0 };
    let cached =
        if slow > 0.0 { dice.between(0.0, 0.2).min(0.8 - more - service.base) } else { 0.0 };
    let levels: Vec<_> = (0..=count)
        .map(|n| dice.between(0.0, 0.05) + if n >= heavier { more } else { 0.0 })
        .collect();
    let restarts = plan.restarts.clone();
    heap(&mut plan, |t| {
        let process = restarts.partition_point(|restart| restart.at <= t);
        let age = t - process.checked_sub(1).map_or(0.0, |last| restarts[last].at);
        let filled = if slow > 0.0 { 1.0 - (-age / slow).exp() } else { 1.0 };
        // What a version needs it takes in its first seconds, with the rest of its base.
        let taken = 1.0 - (-age / service.warm_up.min(span / 100.0)).exp();
        levels[process] * taken + cached * filled
    });
    plan
}

/// Memory wanders and comes back.
pub(super) fn reverting_walk(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 2.0 * HOUR, 5.0 * DAY);
    let reach: f64 = 0.15;
    plan.base = level(service, dice, 0.3, 0.7);
    let spread = dice.between(0.02, 0.08);
    let memory = dice.scale(10.0 * MINUTE, 6.0 * HOUR);
    let walk = wave::wander(&plan.clock.times, memory, dice);
    // Not below what is there besides the heap.
    let lowest = -reach.min(0.5 * plan.base);
    plan.heap = walk.iter().map(|walk| (spread * walk).clamp(lowest, reach)).collect();
    plan
}

/// A neighbour's traffic arrives in bursts of minutes.
pub(super) fn neighbour_bursts(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 2.0 * HOUR, 5.0 * DAY);
    let span = plan.clock.span();
    let room = 0.88 - service.base;
    let mean = (span / dice.scale(5.0, 100.0)).max(5.0 * MINUTE);
    let mut chunks = Vec::new();
    let mut at = mean * dice.wait();
    while at < span {
        let (lasts, size) = (dice.scale(MINUTE, 20.0 * MINUTE), dice.between(0.05, 0.3));
        chunks.push(Chunk { at, width: 0.1 * lasts, size });
        chunks.push(Chunk { at: at + lasts, width: 0.5 * lasts, size: -size });
        at += mean * dice.wait();
    }
    let bursts = wave::arrived(&plan.clock.times, &chunks);
    plan.heap = bursts.iter().map(|burst| burst.clamp(0.0, room)).collect();
    plan
}

/// Busy days and nights almost without a request, in which the allocator slowly gives back what it kept.
pub(super) fn idle_nights(service: &Service, dice: &mut Dice) -> Plan {
    let mut plan = quiet(service, dice, 1.5 * DAY, 5.0 * DAY);
    plan.decay = dice.scale(10.0 * MINUTE, HOUR);
    let height = dice.between(0.05, 0.3).min(0.85 - service.base);
    let factors = wave::alike(dice);
    let days = wave::days(&plan.clock.times, DAY, &factors, dice);
    let busy: Vec<_> = days.iter().map(|day| (2.5 * day - 0.7).clamp(0.0, 1.0)).collect();
    let load: Vec<_> = busy.iter().map(|busy| 0.02 + 1.5 * busy).collect();
    plan.load = uneven(&plan.clock.times, &load, dice);
    follow_load(&mut plan, height, 0.02, 1.52);
    plan
}
