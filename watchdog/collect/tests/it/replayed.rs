//! Recorded series through the detector: what comes later changes nothing of what was said before.

use std::io::Cursor;
use std::path::Path;

use proptest::prelude::*;
use watchdog_collect::recording::Recording;
use watchdog_core::detector::DetectorConfig;
use watchdog_core::replay::{Alarm, Replayer};

const LIMIT: f64 = 512.0 * 1024.0 * 1024.0;

/// Made-up rows of a CSV: a leak, a saw-tooth with a leak below it, steps, or a wave, with jitter and gaps.
fn rows(shape: u8, seed: u64, length: u32, step: f64) -> Vec<String> {
    let mut state = seed | 1;
    let mut noise = move || {
        // xorshift: reproducible, and good enough to shake a curve.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut t = 0.0;
    let mut rows = vec!["t_seconds,rss_bytes,limit_bytes".to_owned()];
    for i in 0..length {
        let x = f64::from(i) / f64::from(length);
        let share = match shape {
            0 => 0.1 + 0.85 * x,
            1 => 0.1 + 0.5 * x + 0.3 * (x * 40.0).fract(),
            2 => 0.2 + 0.15 * (x * 5.0).floor(),
            _ => 0.5 + 0.45 * (x * 25.0).sin(),
        };
        t += step * (0.5 + noise()) * if noise() < 0.01 { 50.0 } else { 1.0 };
        rows.push(format!("{t:.3},{},{LIMIT}", (share + 0.01 * noise()) * LIMIT));
    }
    rows
}

fn alarms(rows: &[String]) -> Vec<Alarm> {
    let text = Cursor::new(rows.join("\n"));
    let recording = Recording::read(Path::new("made-up.csv"), text, None).expect("a header");
    let mut replayer = Replayer::new(DetectorConfig::default());
    for sample in recording {
        replayer.observe(&sample.expect("a row"));
    }
    replayer.finish().alarms
}

/// What was known when the alarm was raised.
fn raised(alarm: &Alarm) -> String {
    format!("{:?} {:?} {:?} {:?}", alarm.start, alarm.output, alarm.kind, alarm.forecast)
}

#[test]
fn the_made_up_series_raise_alarms_at_all() {
    for shape in [0, 1] {
        assert!(!alarms(&rows(shape, 7, 2000, 1.0)).is_empty(), "shape {shape}");
    }
}

#[test]
fn the_unit_of_a_file_changes_nothing_that_is_said() {
    for shape in 0..4 {
        let bytes = rows(shape, 7, 2000, 1.0);
        let in_unit = |unit: f64| -> Vec<_> {
            let row = |row: &String| {
                let cells: Vec<f64> =
                    row.split(',').map(|cell| cell.parse().expect("a number")).collect();
                format!("{},{},{}", cells[0], cells[1].round() / unit, cells[2] / unit)
            };
            bytes[..1].iter().cloned().chain(bytes[1..].iter().map(row)).collect()
        };
        let whole = alarms(&in_unit(1.0));
        for unit in [LIMIT, 1024.0, 1024.0 * 1024.0 * 1024.0] {
            assert_eq!(alarms(&in_unit(unit)), whole, "shape {shape}, a unit of {unit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_series_that_is_cut_says_the_same_up_to_the_cut(
        shape in 0u8..4,
        seed in any::<u64>(),
        step in prop_oneof![Just(0.1), Just(1.0), Just(60.0)],
        cuts in prop::collection::vec(1usize..2000, 4),
    ) {
        let rows = rows(shape, seed, 2000, step);
        let whole = alarms(&rows);
        for cut in cuts {
            let part = alarms(&rows[..=cut]);
            prop_assert!(part.len() <= whole.len());
            let same = part.iter().zip(&whole).all(|(a, b)| raised(a) == raised(b));
            prop_assert!(same, "cut after {cut} rows: {part:?} against {whole:?}");
            // Whatever is missing was raised after the cut.
            let end: f64 = rows[cut].split(',').next().and_then(|t| t.parse().ok()).expect("a time");
            prop_assert!(whole[part.len()..].iter().all(|alarm| alarm.start.0 > end));
        }
    }
}
