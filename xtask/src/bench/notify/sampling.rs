//! Sampling while all receivers hang, beside the same load while they answer.

use std::ops::Add;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::leakers::Leakers;
use super::receiver::Manner;
use super::watch::{SINKS, Sampling, Watch, recorders};
use super::{Scratch, holds, milliseconds};
use crate::bench::table::markdown;

/// The mean delay beside receivers that hang, by that beside receivers that answer.
const MOST: f64 = 1.2;
/// Leaks of a round, one beginning after the other.
const LEAKS: usize = 12;
const EVERY: Duration = Duration::from_millis(1500);
/// Long enough to be told of, short enough to stay below the limit.
const LASTS: Duration = Duration::from_secs(7);
/// A round goes on over the first attempts' deadline of ten seconds.
const AFTER: Duration = Duration::from_secs(5);

pub(super) fn measure(rounds: usize) -> Result<(bool, Value)> {
    let (mut answering, mut hanging) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        for (manner, name, into) in
            [(Manner::Answers, "answer", &mut answering), (Manner::Hangs, "hang", &mut hanging)]
        {
            let seen = play(manner)?;
            let (mean, samples) = (milliseconds(seen.mean()), seen.samples);
            eprintln!(
                "round {round} of {rounds}: receivers that {name}: {samples} samples, mean delay {mean}"
            );
            into.push(seen);
        }
    }
    let compared = Compared::of(&answering, &hanging);
    let row = |name: &str, all: Sampling| {
        vec![
            name.to_owned(),
            format!("{:.0}", all.samples),
            milliseconds(all.mean()),
            milliseconds(all.longest_s),
        ]
    };
    let rows = [row("answer", compared.answering), row("hang", compared.hanging)];
    println!("{}", markdown(&["all receivers", "samples", "mean delay", "longest"], &rows));
    let head = ["mean delay, hang : answer", "samples, hang : answer", "noise", "bound", "holds"];
    println!("{}", markdown(&head, &[compared.row()]));
    let json = json!({
        "answering": answering.iter().map(Sampling::json).collect::<Value>(),
        "hanging": hanging.iter().map(Sampling::json).collect::<Value>(),
        "noise_s": compared.noise_s,
    });
    Ok((compared.hold(), json))
}

/// One round with a watchdog and programs of its own.
fn play(manner: Manner) -> Result<Sampling> {
    let scratch = Scratch::new(if manner == Manner::Hangs { "hang" } else { "answer" })?;
    let mut leakers = Leakers::start(LEAKS, &recorders(&scratch.0))?;
    let watch = Watch::start(&leakers, manner, &scratch.0)?;
    let began = Instant::now();
    for (at, event) in timetable() {
        while began.elapsed() < at {
            watch.read_slack(at.saturating_sub(began.elapsed()).min(Duration::from_millis(50)))?;
        }
        match event {
            Event::Leak(i) => leakers.go(i)?,
            Event::End(i) => leakers.end(i)?,
            Event::Over => {}
        }
    }
    let (seen, told) = (watch.sampling()?, watch.told()?);
    let missed = told.iter().filter(|told| told.is_none()).count();
    ensure!(missed == 0, "nobody was to be told of {missed} of {LEAKS} leaks; see {:?}", scratch.0);
    // One that hangs gets a report, waits for the attempt's deadline, and gets another.
    let least = if manner == Manner::Hangs { 1 } else { LEAKS };
    for sink in SINKS {
        let came = (0..LEAKS).filter(|&leak| watch.arrivals.at(sink, leak).is_some()).count();
        ensure!(came >= least, "{sink} was told of {came} of {LEAKS} leaks; see {:?}", scratch.0);
    }
    drop((watch, leakers));
    scratch.remove()?;
    Ok(seen)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Leak(usize),
    End(usize),
    Over,
}

/// The same in every round, whatever becomes of the reports.
fn timetable() -> Vec<(Duration, Event)> {
    let mut events = Vec::new();
    let mut begins = Duration::ZERO;
    for leak in 0..LEAKS {
        events.push((begins, Event::Leak(leak)));
        events.push((begins + LASTS, Event::End(leak)));
        begins += EVERY;
    }
    events.sort_by_key(|(at, _)| *at);
    let last = events.last().map_or(Duration::ZERO, |(at, _)| *at);
    events.push((last + AFTER, Event::Over));
    events
}

impl Sampling {
    fn mean(&self) -> f64 {
        self.delay_s / self.samples.max(1.0)
    }

    fn json(&self) -> Value {
        let Self { samples, delay_s, longest_s } = self;
        json!({ "samples": samples, "delay_s": delay_s, "longest_s": longest_s })
    }
}

impl Add for Sampling {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            samples: self.samples + other.samples,
            delay_s: self.delay_s + other.delay_s,
            longest_s: self.longest_s.max(other.longest_s),
        }
    }
}

/// All rounds of the one beside all of the other.
struct Compared {
    answering: Sampling,
    hanging: Sampling,
    /// How far the means of the rounds whose receivers answer lie apart: what is only the machine's mood.
    noise_s: f64,
}

impl Compared {
    fn of(answering: &[Sampling], hanging: &[Sampling]) -> Self {
        let together = |all: &[Sampling]| all.iter().copied().fold(Sampling::default(), Add::add);
        let means = || answering.iter().map(Sampling::mean);
        let most = means().fold(0.0, f64::max);
        let noise_s = most - means().fold(most, f64::min);
        Self { answering: together(answering), hanging: together(hanging), noise_s }
    }

    fn bound_s(&self) -> f64 {
        MOST * self.answering.mean() + self.noise_s
    }

    fn hold(&self) -> bool {
        self.hanging.mean() <= self.bound_s()
    }

    fn row(&self) -> Vec<String> {
        vec![
            format!("{:.2}", self.hanging.mean() / self.answering.mean()),
            format!("{:.2}", self.hanging.samples / self.answering.samples),
            milliseconds(self.noise_s),
            format!("hang ≤ {MOST} × answer + noise = {}", milliseconds(self.bound_s())),
            holds(self.hold()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(means_ms: &[f64]) -> Vec<Sampling> {
        let round = |ms: &f64| Sampling { samples: 1000.0, delay_s: *ms, longest_s: ms / 100.0 };
        means_ms.iter().map(round).collect()
    }

    #[test]
    fn the_noise_is_how_far_the_rounds_that_answer_lie_apart() {
        let compared = Compared::of(&rounds(&[1.0, 1.5, 1.1]), &rounds(&[1.9, 1.9, 1.9]));
        assert!((compared.noise_s - 0.0005).abs() < 1e-9, "{}", compared.noise_s);
        assert_eq!(compared.answering.longest_s, 0.015);
        assert!(compared.hold());
    }

    #[test]
    fn sampling_that_waits_for_a_receiver_does_not_hold() {
        let steady = rounds(&[1.0, 1.0]);
        assert!(Compared::of(&steady, &rounds(&[1.1, 1.2])).hold());
        assert!(!Compared::of(&steady, &rounds(&[1.3, 1.3])).hold());
    }

    #[test]
    fn each_leak_has_its_time_and_the_round_goes_on_after_the_last() {
        let events = timetable();
        assert!(events.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        for leak in 0..LEAKS {
            let at = |event| events.iter().find(|(_, e)| *e == event).expect("listed").0;
            assert_eq!(at(Event::End(leak)) - at(Event::Leak(leak)), LASTS);
        }
        assert_eq!(events.last().expect("some").1, Event::Over);
    }
}
