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

/// Feeds `hours` of samples a minute apart; returns the moments at which people were newly told, and the last word.
fn days(
    detector: &mut Detector,
    hours: std::ops::Range<u32>,
    mib: impl Fn(f64) -> f64,
    load: impl Fn(f64) -> Option<f64>,
) -> (Vec<f64>, Assessment) {
    let (mut told, mut before, mut last) = (Vec::new(), Level::Calm, Assessment::default());
    for minute in hours.start * 60..hours.end * 60 {
        let hour = f64::from(minute) / 60.0;
        last = detector.observe(&Sample {
            at: Moment(hour * 3600.0),
            memory: Memory { anon: Bytes((mib(hour) * MIB) as u64), ..Memory::default() },
            limit: Some(LIMIT),
            load: load(hour),
            age: hour * 3600.0,
            ..Sample::default()
        });
        if last.level >= Level::Leak && before < Level::Leak {
            told.push(hour);
        }
        before = last.level;
    }
    (told, last)
}

#[test]
fn a_second_leak_after_a_kill_is_told_as_well() {
    let mut detector = Detector::new(DetectorConfig::default());
    // Ten hours at rest, thirty of growth, killed; the same again.
    let mib = |hour: f64| 50.0 + 205.0 / 30.0 * (hour % 40.0 - 10.0).max(0.0);
    let (first, _) = days(&mut detector, 0..40, mib, |_| None);
    assert_eq!(first.len(), 1, "{first:?}");
    detector.end_segment(Some(true));
    let (second, _) = days(&mut detector, 40..80, mib, |_| None);
    assert_eq!(second.len(), 1, "{second:?}");
    assert!((second[0] - first[0] - 40.0).abs() < 3.0, "{first:?} {second:?}");
}

#[test]
fn a_kill_that_nobody_saw_is_no_record_and_a_deploy_is_one() {
    let leak = |hour: f64| 50.0 + 205.0 / 40.0 * hour;
    for (hours, remembered) in [(40, false), (34, true)] {
        let mut detector = Detector::new(DetectorConfig::default());
        days(&mut detector, 0..hours, leak, |_| None);
        detector.end_segment(None);
        let (told, _) = days(&mut detector, 40..80, |hour| leak(hour - 40.0), |_| None);
        // Where the level was lived at before, only what exceeds it is told: later.
        let late = told.first().is_none_or(|hour| *hour > 74.0);
        assert_eq!(late, remembered, "{hours} hours: {told:?}");
    }
}

#[test]
fn a_day_like_the_one_before_is_not_told() {
    let wave = |hour: f64| 150.0 - 65.0 * (hour / 24.0 * std::f64::consts::TAU).cos();
    let (told, _) = days(&mut Detector::new(DetectorConfig::default()), 0..120, wave, |_| None);
    assert_eq!(told, Vec::<f64>::new());
}

#[test]
fn growth_with_the_load_is_load_and_the_same_growth_without_it_is_told() {
    let ramp = |hour: f64| 40.0 + 4.9 * (hour - 30.0).clamp(0.0, 38.0);
    let run = |load: fn(f64) -> Option<f64>| {
        days(&mut Detector::new(DetectorConfig::default()), 0..68, ramp, load)
    };
    let (told, last) = run(|hour| Some(100.0 + 14.0 * (hour - 30.0).clamp(0.0, 38.0)));
    assert_eq!(told, Vec::<f64>::new());
    assert_eq!(last.verdict.kind, Kind::Load, "{:?}", last.verdict);
    assert_eq!(run(|_| Some(100.0)).0.len(), 1);
}

#[test]
fn a_detector_that_was_put_away_goes_on_as_if_nothing_happened() {
    let leak = |hour: f64| 50.0 + 5.0 * (hour - 10.0).max(0.0);
    let mut whole = Detector::new(DetectorConfig::default());
    days(&mut whole, 0..30, leak, |_| None);
    let bytes = postcard::to_stdvec(&whole).expect("it can be written");
    let read: Detector = postcard::from_bytes(&bytes).expect("it can be read");
    let mut restored = read.restored(DetectorConfig::default()).expect("the same windows");
    assert_eq!(
        days(&mut whole, 30..50, leak, |_| None),
        days(&mut restored, 30..50, leak, |_| None)
    );
}

#[test]
fn windows_of_another_version_are_refused() {
    let mut detector = Detector::new(DetectorConfig::default());
    detector.windows.pop();
    assert!(detector.restored(DetectorConfig::default()).is_none());
}

#[test]
fn another_limit_is_judged_anew() {
    let mut detector = Detector::new(DetectorConfig::default());
    let sample = |t: u32, limit: u64| Sample {
        at: Moment(f64::from(t)),
        age: f64::from(t) + 60.0,
        memory: Memory { anon: Bytes::from_mib(240), ..Memory::default() },
        limit: Some(Bytes::from_mib(limit)),
        ..Sample::default()
    };
    let highest = |detector: &mut Detector, range: std::ops::Range<u32>, limit| {
        range.map(|t| detector.observe(&sample(t, limit)).level).max()
    };
    assert_eq!(highest(&mut detector, 0..300, 256), Some(Level::Imminent));
    assert_eq!(highest(&mut detector, 300..900, 1024), Some(Level::Calm));
    assert_eq!(highest(&mut detector, 900..1200, 260), Some(Level::Imminent));
}
