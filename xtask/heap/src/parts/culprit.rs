//! From three profiles to the function that leaks.

use anyhow::{Context, Result, ensure};

use super::Settings;
use crate::child::{measured, ourselves};
use crate::figures::{bytes, median, seconds};
use crate::report::Report;
use crate::synthetic::{Code, Dumps, Size};
use crate::work::Accused;

const SIZE: Size = Size { stacks: 10_000, addresses: 5_000 };
const SEED: u64 = 43;
const ROUNDS: usize = 11;
const COLD: f64 = 0.300;
const WARM: f64 = 0.050;

/// Adds the table and bounds of this part.
pub(super) fn measure(settings: &Settings, report: &mut Report) -> Result<()> {
    let scratch = settings.scratch("culprit")?;
    let code = Code::of(&settings.debug.join("recommendations"))?;
    let dumps = Dumps::new(&code, SIZE, SEED);
    let paths = [0, 1, 2].map(|round| scratch.join(format!("{round}.heap")));
    for (round, path) in (0..).zip(&paths) {
        dumps.write(round, path)?;
    }
    let names = scratch.join("names");
    let (mut cold, mut warm) = (Figures::default(), Figures::default());
    for _ in 0..settings.rounds(ROUNDS) {
        super::empty(&names)?;
        for figures in [&mut cold, &mut warm] {
            let mut command = ourselves("accuse")?;
            command.env("_RJEM_MALLOC_CONF", "prof:false").arg("--names").arg(&names).args(&paths);
            let cost = measured(&command, &scratch, None)?;
            let found: Accused = serde_json::from_str(&cost.said).context("our own answer")?;
            ensure!(!found.functions.is_empty(), "nobody was accused");
            figures.naming.push(found.naming);
            figures.reading.push(found.reading);
            figures.peak.push(cost.peak);
            figures.functions = found.functions;
        }
    }
    ensure!(cold.functions == warm.functions, "{:?}, then {:?}", cold.functions, warm.functions);
    let size = bytes(std::fs::metadata(code.path())?.len() as f64);
    report.table(
        &format!("A function named from three profiles of {} ({size} binary)", SIZE.name()),
        &[
            "",
            "difference, names, accusation",
            "reading the last dump",
            "peak memory of the process",
        ],
        vec![
            cold.row("new process, nothing known before"),
            warm.row("new process, names known before"),
        ],
    );
    cold.bound("culprit named, nothing known before", COLD, report);
    warm.bound("culprit named, names known before", WARM, report);
    Ok(())
}

#[derive(Default)]
struct Figures {
    naming: Vec<f64>,
    reading: Vec<f64>,
    peak: Vec<f64>,
    functions: Vec<String>,
}

impl Figures {
    fn row(&self, what: &str) -> Vec<String> {
        vec![
            what.to_owned(),
            seconds(median(&self.naming)),
            seconds(median(&self.reading)),
            bytes(median(&self.peak)),
        ]
    }

    fn bound(&self, what: &str, most: f64, report: &mut Report) {
        let took = median(&self.naming);
        report.bound(what, &seconds(took), &format!("less than {}", seconds(most)), took < most);
    }
}
