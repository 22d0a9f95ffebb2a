//! Each rule on a small series on which it must fire, and when, and on one on which it must not.

use watchdog_core::sample::{Allocator, Memory, Sample};
use watchdog_core::units::{Bytes, Moment};

use super::*;

const LIMIT: f64 = 1e9;
const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;

/// A sample every 30 s up to `end`; anonymous memory in per cent of the limit.
fn anon(end: f64, percent: impl Fn(f64) -> f64) -> Vec<Sample> {
    let times = (0..).map(|i| 30.0 * f64::from(i)).take_while(|t| *t <= end);
    times
        .map(|t| Sample {
            at: Moment(t),
            memory: Memory {
                anon: Bytes((percent(t) * LIMIT / 100.0).round() as u64),
                ..Memory::default()
            },
            limit: Some(Bytes(LIMIT as u64)),
            ..Sample::default()
        })
        .collect()
}

/// From a level in per cent, by so many per cent of the limit an hour.
fn ramp(end: f64, level: f64, per_hour: f64) -> Vec<Sample> {
    anon(end, |t| level + per_hour * t / HOUR)
}

fn fired(rule: Rule, samples: &[Sample]) -> Vec<(f64, f64)> {
    episodes(rule, &Series::from_samples(samples), None)
}

#[track_caller]
fn fires(rule: Rule, samples: &[Sample], from: f64, to: f64) {
    assert_eq!(fired(rule, samples), [(from, to)], "{rule}: {}", rule.what());
}

#[track_caller]
fn quiet(rule: Rule, samples: &[Sample]) {
    assert_eq!(fired(rule, samples), [], "{rule}: {}", rule.what());
}

#[test]
fn b1_fires_two_minutes_after_four_fifths_are_used() {
    fires(Rule::B1, &anon(600.0, |t| if t < 90.0 { 50.0 } else { 81.0 }), 210.0, 600.0);
    quiet(Rule::B1, &anon(600.0, |_| 80.0));
}

#[test]
fn b2_fires_at_the_second_sample_of_a_fast_heap() {
    let heap = |rate: f64| {
        let mut samples = anon(600.0, |_| 50.0);
        for sample in &mut samples {
            let allocated = Bytes((sample.at.0 * rate) as u64);
            sample.allocator = Some(Allocator { allocated, ..Allocator::default() });
        }
        samples
    };
    fires(Rule::B2, &heap(11e6), 30.0, 600.0);
    quiet(Rule::B2, &heap(9e6));
    quiet(Rule::B2, &ramp(600.0, 10.0, 400.0));
}

#[test]
fn b3_fires_at_the_kill_and_for_ten_minutes() {
    let series = Series::from_samples(&anon(615.0, |_| 50.0));
    assert_eq!(episodes(Rule::B3, &series, Some(615.0)), [(630.0, 1230.0)]);
    assert_eq!(episodes(Rule::B3, &series, None), []);
}

#[test]
fn b4_wants_a_high_level_and_a_trend() {
    fires(Rule::B4, &ramp(HOUR, 71.0, 10.0), 1830.0, 3600.0);
    quiet(Rule::B4, &ramp(HOUR, 55.0, 14.0));
    quiet(Rule::B4, &ramp(HOUR, 90.0, 1.0));
}

#[test]
fn b5_fires_on_a_trend_of_an_hour() {
    fires(Rule::B5, &ramp(HOUR, 10.0, 25.0), 330.0, 3600.0);
    quiet(Rule::B5, &ramp(HOUR, 10.0, 15.0));
}

#[test]
fn b6_looks_half_an_hour_ahead() {
    fires(Rule::B6, &ramp(900.0, 10.0, 200.0), 330.0, 900.0);
    quiet(Rule::B6, &ramp(900.0, 10.0, 120.0));
}

#[test]
fn b7_looks_a_day_ahead() {
    fires(Rule::B7, &ramp(HOUR, 10.0, 5.0), 930.0, 3600.0);
    quiet(Rule::B7, &ramp(HOUR, 10.0, 3.0));
}

#[test]
fn b8_wants_both_windows_to_rise() {
    fires(Rule::B8, &ramp(HOUR, 10.0, 5.0), 1830.0, 3600.0);
    let falls_then_rises =
        |t: f64| if t < 2.0 * HOUR { 60.0 - t / 600.0 } else { 10.0 + 5.0 * (t / HOUR - 2.0) };
    quiet(Rule::B8, &anon(3.0 * HOUR, falls_then_rises));
}

#[test]
fn b9_fires_on_half_an_hour_without_a_hold() {
    fires(Rule::B9, &ramp(900.0, 10.0, 50.0), 30.0, 900.0);
    quiet(Rule::B9, &ramp(900.0, 10.0, 35.0));
}

#[test]
fn b10_wants_ten_minutes_without_a_dip() {
    fires(Rule::B10, &anon(1800.0, |_| 81.0), 300.0, 1800.0);
    quiet(Rule::B10, &anon(1800.0, |t| if t % 540.0 < 30.0 { 70.0 } else { 95.0 }));
}

#[test]
fn b11_never_fires_on_one_kill() {
    let series = Series::from_samples(&anon(HOUR, |_| 99.0));
    assert_eq!(episodes(Rule::B11, &series, Some(HOUR)), []);
}

#[test]
fn b12_fires_when_an_hour_is_covered_and_a_quarter_has_passed() {
    fires(Rule::B12, &ramp(2.0 * HOUR, 20.0, 15.0), 2880.0 + 900.0, 7200.0);
    quiet(Rule::B12, &ramp(2.0 * HOUR, 20.0, 4.0));
    quiet(Rule::B12, &ramp(2.0 * HOUR, 70.0, 6.0));
}

#[test]
fn b12_does_not_fire_on_what_levelled_off_or_falls_back() {
    let level = anon(70.0 * MINUTE, |t| 20.0 + 40.0 * (t / 1800.0).min(1.0));
    quiet(Rule::B12, &level);
    let falls_back = anon(4.0 * HOUR, |t| 10.0 + 60.0 * (t % 1080.0) / 1080.0);
    quiet(Rule::B12, &falls_back);
}

#[test]
fn b13_fires_for_either_reason_and_not_for_page_cache() {
    fires(Rule::B13, &ramp(HOUR, 71.0, 10.0), 1830.0, 3600.0);
    fires(Rule::B13, &anon(600.0, |_| 91.0), 60.0, 600.0);
    let mut cache = ramp(HOUR, 10.0, 1.0);
    for sample in &mut cache {
        sample.memory.file = Bytes(9e8 as u64) + Bytes((sample.at.0 * 1e5) as u64);
    }
    quiet(Rule::B13, &cache);
    assert!(!fired(Rule::B5, &cache).is_empty(), "the working set has the page cache");
}

#[test]
fn anon_above_90_wants_a_minute() {
    fires(Rule::AnonAbove90, &anon(300.0, |t| if t < 120.0 { 50.0 } else { 90.1 }), 180.0, 300.0);
    quiet(Rule::AnonAbove90, &anon(300.0, |t| if t % 60.0 < 30.0 { 95.0 } else { 90.0 }));
}

#[test]
fn a_gap_longer_than_the_lookback_starts_the_hold_over() {
    let mut samples = anon(HOUR, |_| 85.0);
    samples.retain(|sample| !(630.0..1200.0).contains(&sample.at.0));
    let expected = [(120.0, 930.0), (1320.0, 3600.0)];
    assert_eq!(fired(Rule::B1, &samples), expected, "the sample at 600 s is seen up to 900 s");
}

#[test]
fn without_a_limit_only_the_rules_that_need_none_can_fire() {
    let mut samples = ramp(2.0 * HOUR, 40.0, 29.0);
    for sample in &mut samples {
        sample.limit = None;
    }
    let loud: Vec<_> =
        Rule::ALL.iter().filter(|rule| !fired(**rule, &samples).is_empty()).collect();
    assert_eq!(loud, [&Rule::B12]);
}

#[test]
fn an_empty_series_fires_nothing() {
    for rule in Rule::ALL {
        assert_eq!(episodes(rule, &Series::from_samples(&[]), None), []);
    }
}

#[test]
fn a_query_reads_as_its_author_wrote_it() {
    let text =
        |rule: Rule| rule.alerts().iter().map(|a| a.condition.to_string()).collect::<Vec<_>>();
    assert_eq!(
        text(Rule::B5),
        ["predict_linear(container_memory_working_set_bytes[1h], 14400) > \
          container_spec_memory_limit_bytes"]
    );
    assert_eq!(
        text(Rule::B1),
        [
            "((container_memory_working_set_bytes / (container_spec_memory_limit_bytes > 0)) * 100) > 80"
        ]
    );
    assert_eq!(text(Rule::B2), ["deriv(go_memstats_heap_inuse_bytes[10m]) > 10000000"]);
}
