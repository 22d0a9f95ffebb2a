//! Results for people.

use std::fmt::Write;

use watchdog_collect::recording::Notes;
use watchdog_core::detector::Level;
use watchdog_core::forecast::Forecast;
use watchdog_core::replay::Alarm;
use watchdog_core::units::span;

use super::outcome::Told;
use super::teller::Summary;

/// Alarms of one series that are told one by one.
const DETAILS: usize = 10;
/// Columns that are named in a note.
const NAMES: usize = 8;

/// One line on the series, and one for each alarm that would have told people.
pub(super) fn series(file: &str, told: &Told) -> String {
    let alarms = &told.replay.alarms;
    let mut text = format!("{file}: {}", told.replay.verdict.as_str());
    let counts: Vec<_> = [Level::Suspect, Level::Leak, Level::Imminent]
        .into_iter()
        .map(|output| (output, alarms.iter().filter(|alarm| alarm.output == output).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(output, count)| format!("{count} {}", output.as_str()))
        .collect();
    text +=
        &if counts.is_empty() { ", no alarm".into() } else { format!(", {}", counts.join(", ")) };
    let loud: Vec<_> = alarms.iter().filter(|alarm| alarm.output >= Level::Leak).collect();
    if let Some(first) = loud.first() {
        text += &format!(
            "; first told {} in, {}",
            span(first.start.since(told.first)),
            forecast(first.forecast)
        );
    }
    text.push('\n');
    for alarm in loud.iter().take(DETAILS) {
        text += &detail(alarm);
    }
    if loud.len() > DETAILS {
        text += &format!("    and {} more; --format json has all\n", loud.len() - DETAILS);
    }
    text
}

fn detail(alarm: &Alarm) -> String {
    format!(
        "    {:<8} t = {} to {} ({}), {}, {}\n",
        alarm.output.as_str(),
        alarm.start.0,
        alarm.end.0,
        span(alarm.end.since(alarm.start)),
        alarm.kind.as_str(),
        forecast(alarm.forecast),
    )
}

fn forecast(forecast: Option<Forecast>) -> String {
    match forecast {
        Some(now) if now.estimate <= 0.0 => "at the limit".into(),
        Some(Forecast { low, estimate, high: Some(high) }) => {
            format!("limit in {} ({} to {})", span(estimate), span(low), span(high))
        }
        Some(Forecast { low, estimate, high: None }) => {
            format!("limit in {} ({} or later)", span(estimate), span(low))
        }
        None => "no forecast".into(),
    }
}

/// The last line.
pub(super) fn summary(summary: &Summary) -> String {
    let Summary { told, suspect, quiet, unreadable, samples, span: seconds } = summary;
    let files = told + suspect + quiet + unreadable;
    let mut text = format!(
        "{files} series, {samples} samples, {} in all: {told} with leak or imminent, {suspect} with suspect alone, \
         {quiet} without an alarm",
        span(*seconds),
    );
    if *unreadable > 0 {
        text += &format!(", {unreadable} could not be read");
    }
    text
}

/// What was left out of a series; `None` when that is nothing.
pub(super) fn note(notes: &Notes) -> Option<String> {
    let mut parts = Vec::new();
    if !notes.ignored.is_empty() {
        let named = notes.ignored.iter().take(NAMES).map(String::as_str).collect::<Vec<_>>();
        let mut part = format!("columns not used: {}", named.join(", "));
        if notes.ignored.len() > NAMES {
            write!(part, " and {} more", notes.ignored.len() - NAMES).ok();
        }
        parts.push(part);
    }
    if notes.gaps > 0 {
        parts.push(format!("rows without a value: {}", notes.gaps));
    }
    if notes.repeated > 0 {
        parts.push(format!("rows with the time of the row before: {}", notes.repeated));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use watchdog_core::replay::Replay;
    use watchdog_core::units::Moment;
    use watchdog_core::verdict::Kind;

    use super::*;

    fn told(alarms: Vec<Alarm>) -> Told {
        let replay = Replay { samples: 9, span: 100.0, verdict: Kind::HeapLeak, alarms };
        Told { first: Moment(1e9), replay, notes: Notes::default() }
    }

    fn alarm(output: Level) -> Alarm {
        Alarm {
            start: Moment(1e9 + 90.0),
            end: Moment(1e9 + 100.0),
            output,
            kind: Kind::HeapLeak,
            final_kind: Kind::HeapLeak,
            forecast: Some(Forecast { low: 30.0, estimate: 60.0, high: Some(120.0) }),
        }
    }

    #[test]
    fn a_quiet_series_takes_one_line() {
        let text = series("a.csv", &told(Vec::new()));
        assert_eq!(text, "a.csv: heap-leak, no alarm\n");
    }

    #[test]
    fn a_leak_is_told_with_its_time_and_forecast() {
        let text = series("a.csv", &told(vec![alarm(Level::Suspect), alarm(Level::Leak)]));
        assert_eq!(
            text,
            "a.csv: heap-leak, 1 suspect, 1 leak; first told 1 min 30 s in, limit in 1 min (30 s to 2 min)\n    \
             leak     t = 1000000090 to 1000000100 (10 s), heap-leak, limit in 1 min (30 s to 2 min)\n"
        );
    }

    #[test]
    fn many_alarms_are_cut() {
        let text = series("a.csv", &told(vec![alarm(Level::Imminent); 12]));
        assert_eq!(text.lines().count(), 12);
        assert!(text.ends_with("    and 2 more; --format json has all\n"), "{text}");
    }

    #[test]
    fn a_note_names_what_was_left_out() {
        assert_eq!(note(&Notes::default()), None);
        let ignored = (0..10).map(|i| format!("c{i}")).collect();
        let text = note(&Notes { ignored, gaps: 3, repeated: 2 }).expect("a note");
        assert_eq!(
            text,
            "columns not used: c0, c1, c2, c3, c4, c5, c6, c7 and 2 more; rows without a value: 3; \
             rows with the time of the row before: 2"
        );
    }
}
