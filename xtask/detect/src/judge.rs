//! One series before the detector and before every rule.

use std::path::{Path, PathBuf};

use anyhow::Result;
use watchdog_core::detector::Level;
use watchdog_core::sample::Sample;
use watchdog_core::verdict::Kind;

use crate::generate::Truth;
use crate::plot;
use crate::rules::{self, Rule, Series};
use crate::score::{self, Answer, Told};

/// Everything that is counted of one series.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Where it is from: a family of the generator or a set of recorded series.
    pub source: String,
    /// Its name within the source.
    pub name: String,
    /// What its source says of it, in a word.
    pub label: String,
    /// What is true of it; `None` where nobody knows, or not from when to when.
    pub truth: Option<Truth>,
    /// Days it covers.
    pub days: f64,
    /// Samples it has.
    pub samples: usize,
    /// Seconds of processor time the detector took.
    pub seconds: f64,
    /// The detector's alarms that told people: leak or imminent.
    pub told: Vec<(f64, f64)>,
    /// Its alarms that said leak.
    pub leak: Vec<(f64, f64)>,
    /// Whether the kind of growth was right, where the series tells the kind and a leak was told.
    pub kind_right: Option<bool>,
    /// Whether the kill came within the first interval that was told.
    pub interval: Option<bool>,
    /// That interval's end over its beginning, where it has both.
    pub width: Option<f64>,
    /// Each rule's episodes, in the order of [`Rule::ALL`].
    pub rules: Vec<Vec<(f64, f64)>>,
    /// Picture of a miss or a false alarm.
    pub picture: Option<PathBuf>,
}

impl Judged {
    /// Judges one series; a miss or a false alarm is drawn into `pictures`.
    ///
    /// # Errors
    /// When a picture cannot be written.
    pub fn new(
        source: &str,
        name: &str,
        label: &str,
        truth: Option<Truth>,
        samples: &[Sample],
        pictures: &Path,
    ) -> Result<Self> {
        let answer = score::answer(samples);
        let series = Series::from_samples(samples);
        let kill = match truth {
            Some(Truth::Leak { kill, .. }) => Some(kill),
            _ => None,
        };
        let span = samples.last().map_or(0.0, |s| s.at.0) - samples.first().map_or(0.0, |s| s.at.0);
        let mut judged = Self {
            source: source.to_owned(),
            name: name.to_owned(),
            label: label.to_owned(),
            truth,
            days: span / 86_400.0,
            samples: samples.len(),
            seconds: answer.seconds,
            told: answer.told(),
            leak: answer.of(|level| level == Level::Leak),
            kind_right: None,
            interval: None,
            width: None,
            rules: Rule::ALL.iter().map(|rule| rules::episodes(*rule, &series, kill)).collect(),
            picture: None,
        };
        judged.against_truth(&answer, samples);
        if let Some(why) = judged.fault() {
            let path = pictures.join(format!("{source}-{name}.svg"));
            plot::draw(&path, &format!("{source} {name}: {why}"), samples, &answer.alarms)?;
            judged.picture = Some(path);
        }
        Ok(judged)
    }

    fn against_truth(&mut self, answer: &Answer, samples: &[Sample]) {
        let Some(Truth::Leak { onset, kill, kind }) = self.truth else { return };
        let Some(alarm) = answer.first(onset) else { return };
        let tells_kind = kind == Kind::Tmpfs || samples.iter().any(|s| s.allocator.is_some());
        self.kind_right = tells_kind.then_some(alarm.kind == kind);
        self.interval = score::interval_holds(alarm, kill);
        self.width = alarm.forecast.and_then(|forecast| Some(forecast.high? / forecast.low));
    }

    /// How a leak was told.
    pub fn leak_told(&self) -> Option<Told> {
        self.leak_of(&self.told)
    }

    /// How a leak was told by a rule.
    pub fn leak_told_by(&self, rule: usize) -> Option<Told> {
        self.leak_of(self.rules.get(rule)?)
    }

    /// How a leak was told by these episodes.
    pub fn leak_of(&self, episodes: &[(f64, f64)]) -> Option<Told> {
        match self.truth? {
            Truth::Leak { onset, kill, .. } => Some(score::told(episodes, onset, kill)),
            Truth::Innocent => None,
        }
    }

    /// False alarms among `episodes`.
    pub fn false_of(&self, episodes: &[(f64, f64)]) -> usize {
        self.truth.map_or(0, |truth| score::false_alarms(episodes, truth))
    }

    /// What the detector did wrong.
    pub fn fault(&self) -> Option<&'static str> {
        if self.leak_told().is_some_and(|told| !told.caught) {
            return Some("a leak that was missed or told too late");
        }
        (self.false_of(&self.told) > 0).then_some("a false alarm")
    }
}
