//! The detector on made-up series: what must be said, when, and what must not.

use super::*;
use crate::sample::{Allocator, Memory};
use crate::units::WallTime;

const MIB: f64 = 1024.0 * 1024.0;
const LIMIT: Bytes = Bytes::from_mib(256);

/// Runs `anon(t)` (MiB) through a detector at its own cadence until `end` or the limit; returns every change of level.
fn run(end: f64, anon: impl Fn(f64) -> f64, parts: impl Fn(f64) -> Option<Allocator>) -> Run {
    let mut detector = Detector::new(DetectorConfig::default());
    let (mut t, mut run) = (0.0, Run::default());
    while t < end {
        let mib = anon(t);
        if mib >= 256.0 {
            run.killed = Some(t);
            break;
        }
        let assessment = detector.observe(&Sample {
            at: Moment(t),
            wall: WallTime(1e9 + t),
            memory: Memory { anon: Bytes((mib * MIB) as u64), ..Memory::default() },
            limit: Some(LIMIT),
            cgroup: None,
            allocator: parts(t),
            load: None,
            age: t,
        });
        if run.levels.last().is_none_or(|(_, last)| last.level != assessment.level) {
            run.levels.push((t, assessment.clone()));
        }
        t += assessment.next_sample_in;
        run.last = assessment;
        run.samples += 1;
    }
    run
}

#[derive(Default)]
struct Run {
    levels: Vec<(f64, Assessment)>,
    last: Assessment,
    killed: Option<f64>,
    samples: usize,
}

impl Run {
    fn told(&self) -> Option<f64> {
        self.levels.iter().find(|(_, a)| a.level >= Level::Leak).map(|(t, _)| *t)
    }
}

fn heap(mib: f64) -> Option<Allocator> {
    let bytes = Bytes((mib * MIB) as u64);
    Some(Allocator { allocated: bytes, active: bytes, resident: bytes, ..Allocator::default() })
}

#[test]
fn leaks_of_every_pace_are_told_before_the_kill() {
    for (rate, least_lead) in [(50.0, 0.5), (20.0, 0.3), (5.0, 0.25), (0.5, 0.14), (0.01, 0.14)] {
        let anon = move |t: f64| 25.0 + (t - 30.0).max(0.0) * rate;
        let run = run(1e6, anon, move |t| heap(anon(t)));
        let killed = run.killed.expect("it fills the limit");
        let told = run.told().unwrap_or_else(|| panic!("{rate} MiB/s was never told"));
        let lead = (killed - told) / (killed - 30.0);
        assert!(lead >= least_lead, "{rate} MiB/s: told {lead:.2} of the run-up before the kill");
        assert_eq!(run.last.verdict.kind, Kind::HeapLeak, "{rate} MiB/s");
    }
}

#[test]
fn the_forecast_holds_the_kill() {
    let anon = |t: f64| 25.0 + (t - 30.0).max(0.0) * 5.0 + (t * 7.0).sin();
    let run = run(1e6, anon, |t| heap(anon(t)));
    let killed = run.killed.expect("it fills the limit");
    let (t, told) = run.levels.iter().find(|(_, a)| a.level >= Level::Leak).expect("it is told");
    let forecast = told.forecast.expect("a forecast");
    assert!(t + forecast.low <= killed, "{forecast:?} at {t}, killed {killed}");
    assert!(t + forecast.high.expect("an end") >= killed, "{forecast:?} at {t}, killed {killed}");
}

#[test]
fn innocents_are_never_told() {
    let noise = |t: f64| ((t * 12.9898).sin() * 43_758.545).fract();
    type Series = Box<dyn Fn(f64) -> f64>;
    let innocents: Vec<(&str, Series)> = vec![
        ("flat", Box::new(move |t| 100.0 + noise(t))),
        ("warm-up to a cap", Box::new(move |t| 30.0 + 90.0 * (1.0 - (-t / 60.0).exp()) + noise(t))),
        ("saw-tooth", Box::new(move |t| 80.0 + (t * 2.0) % 60.0 + noise(t))),
        ("a step", Box::new(move |t| if t < 100.0 { 60.0 } else { 140.0 } + noise(t))),
        (
            "a daily wave",
            Box::new(move |t| {
                120.0 - 60.0 * (t / 86_400.0 * std::f64::consts::TAU).cos() + noise(t)
            }),
        ),
    ];
    for (name, series) in innocents {
        let end = if name == "a daily wave" { 1.3 * 86_400.0 } else { 2.0 * 3600.0 };
        let run = run(end, &series, |t| heap(series(t)));
        assert_eq!(run.killed, None, "{name}");
        assert_eq!(run.told(), None, "{name}: {:?}", run.levels.last());
    }
}

#[test]
fn the_part_that_grows_names_the_kind() {
    let anon = |t: f64| 25.0 + (t - 30.0).max(0.0) * 2.0;
    let grown = move |t: f64| Bytes(((t - 30.0).max(0.0) * 2.0 * MIB) as u64);
    let base = Bytes::from_mib(20);
    let fragmented = run(90.0, anon, |t| {
        Some(Allocator { allocated: base, resident: base + grown(t), ..Allocator::default() })
    });
    assert_eq!(fragmented.last.verdict.kind, Kind::Fragmentation);
    assert!(fragmented.last.verdict.sentence.contains("dirty_decay_ms"));
    let outside = run(90.0, anon, |_| {
        Some(Allocator { allocated: base, resident: base, ..Allocator::default() })
    });
    assert_eq!(outside.last.verdict.kind, Kind::OffHeap);
    let unknown = run(90.0, anon, |_| None);
    assert_eq!(unknown.last.verdict.kind, Kind::Undecided);
}

#[test]
fn a_calm_day_costs_few_samples() {
    let run = run(600.0, |_| 30.0, |_| heap(20.0));
    assert!((2000..4500).contains(&run.samples), "{}", run.samples);
    assert_eq!(run.last.verdict.kind, Kind::Steady);
}

#[test]
fn the_safety_net_speaks_without_a_trend() {
    let run = run(200.0, |t| if t < 20.0 { 30.0 } else { 235.0 }, |_| None);
    let told = run.told().expect("the net");
    assert!((139.0..145.0).contains(&told), "{told}");
}

#[test]
fn growth_without_a_limit_is_suspicious_but_never_told() {
    let mut detector = Detector::new(DetectorConfig::default());
    let mut highest = Level::Calm;
    for i in 0..2000u64 {
        let assessment = detector.observe(&Sample {
            at: Moment(i as f64),
            age: i as f64,
            memory: Memory { anon: Bytes::from_mib(50 + i), ..Memory::default() },
            ..Sample::default()
        });
        highest = highest.max(assessment.level);
        assert_eq!(assessment.forecast, None);
    }
    assert_eq!(highest, Level::Suspect);
}

#[test]
fn a_leak_that_stops_is_calm_again() {
    let anon = |t: f64| 25.0 + (t - 30.0).clamp(0.0, 37.0) * 5.0;
    let run = run(400.0, anon, |t| heap(anon(t)));
    assert!(run.told().is_some());
    assert_eq!(run.last.level, Level::Calm);
}
