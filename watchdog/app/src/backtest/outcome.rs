//! What became of one series, and the JSON line that says so.

use serde::Serialize;
use watchdog_collect::recording::Notes;
use watchdog_core::detector::Level;
use watchdog_core::replay::{Alarm, Replay};
use watchdog_core::units::Moment;
use watchdog_core::verdict::Kind;

/// What became of one series.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The path as it was given; a directory's joined with the file's name.
    pub(super) file: String,
    /// What the detector said, or why it could not be asked, with file and line.
    pub(super) result: Result<Told, String>,
}

/// What the detector said of a series that could be read to its end.
#[derive(Debug)]
pub(super) struct Told {
    /// The time of the first sample.
    pub(super) first: Moment,
    pub(super) replay: Replay,
    pub(super) notes: Notes,
}

/// One line of `--format json`. Times count as in the file.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Read { file: &'a str, samples: u64, span_s: f64, verdict: Kind, alarms: Vec<AlarmLine> },
    Unreadable { file: &'a str, error: &'a str },
}

/// One alarm; the forecast counts from its start and is null where there was none.
#[derive(Serialize)]
struct AlarmLine {
    start_s: f64,
    end_s: f64,
    output: Level,
    kind: Kind,
    eta_low_s: Option<f64>,
    eta_s: Option<f64>,
    eta_high_s: Option<f64>,
}

impl From<&Alarm> for AlarmLine {
    fn from(alarm: &Alarm) -> Self {
        Self {
            start_s: alarm.start.0,
            end_s: alarm.end.0,
            output: alarm.output,
            kind: alarm.kind,
            eta_low_s: alarm.forecast.map(|forecast| forecast.low),
            eta_s: alarm.forecast.map(|forecast| forecast.estimate),
            eta_high_s: alarm.forecast.and_then(|forecast| forecast.high),
        }
    }
}

impl Outcome {
    /// The JSON line, without its end.
    ///
    /// # Errors
    /// Never for what these fields hold.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        let file = &self.file;
        serde_json::to_string(&match &self.result {
            Ok(Told { replay, .. }) => Line::Read {
                file,
                samples: replay.samples,
                span_s: replay.span,
                verdict: replay.verdict,
                alarms: replay.alarms.iter().map(AlarmLine::from).collect(),
            },
            Err(error) => Line::Unreadable { file, error },
        })
    }
}

#[cfg(test)]
mod tests {
    use watchdog_core::forecast::Forecast;

    use super::*;

    #[test]
    fn the_json_line_has_the_fields_people_rely_on() {
        let alarm = Alarm {
            start: Moment(60.0),
            end: Moment(90.5),
            output: Level::Leak,
            kind: Kind::HeapLeak,
            final_kind: Kind::OffHeap,
            forecast: Some(Forecast { low: 1.0, estimate: 2.0, high: None }),
        };
        let silent = Alarm { output: Level::Suspect, forecast: None, ..alarm };
        let replay =
            Replay { samples: 7, span: 90.5, verdict: Kind::OffHeap, alarms: vec![alarm, silent] };
        let told = Told { first: Moment(0.0), replay, notes: Notes::default() };
        let outcome = Outcome { file: "a.csv".into(), result: Ok(told) };
        assert_eq!(
            outcome.json().expect("json"),
            r#"{"file":"a.csv","samples":7,"span_s":90.5,"verdict":"off-heap","alarms":["#
                .to_owned()
                + r#"{"start_s":60.0,"end_s":90.5,"output":"leak","kind":"heap-leak","eta_low_s":1.0,"eta_s":2.0,"eta_high_s":null},"#
                + r#"{"start_s":60.0,"end_s":90.5,"output":"suspect","kind":"heap-leak","eta_low_s":null,"eta_s":null,"eta_high_s":null}]}"#
        );
    }

    #[test]
    fn a_file_that_cannot_be_used_has_a_line_of_its_own() {
        let outcome = Outcome { file: "a.csv".into(), result: Err("a.csv:3: why".into()) };
        assert_eq!(outcome.json().expect("json"), r#"{"file":"a.csv","error":"a.csv:3: why"}"#);
    }
}
