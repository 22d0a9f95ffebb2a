//! Series recorded from real services, with what their index says of them.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use rayon::prelude::*;
use watchdog_collect::recording::{self, Recording};
use watchdog_core::sample::Sample;

use crate::generate::Truth;
use crate::judge::Judged;

/// What the index says of one series; a leak's kind and onset are not known, so only `benign` can be judged.
const BENIGN: &str = "benign";

/// Judges every series of a directory. Its `index.csv` has the columns `file` and `kind`, which is `benign` or
/// something else.
///
/// # Errors
/// When a series or the index cannot be read.
pub fn judge(dir: &Path, pictures: &Path) -> Result<Vec<Judged>> {
    let kinds = kinds(&dir.join("index.csv"))?;
    let listing = recording::list(dir)?;
    listing
        .series
        .par_iter()
        .map(|series| {
            let samples: Vec<Sample> =
                Recording::open(&series.path, series.limit)?.collect::<Result<_, _>>()?;
            let file = series.path.file_name().unwrap_or_default().to_string_lossy();
            let name = file.trim_end_matches(".gz").trim_end_matches(".csv");
            let (source, rest) = name.split_once('_').unwrap_or(("recorded", name));
            let label = kinds.get(file.as_ref()).map_or("unlabelled", String::as_str);
            let truth = (label == BENIGN).then_some(Truth::Innocent);
            Judged::new(source, rest, label, truth, &samples, pictures)
        })
        .collect()
}

fn kinds(index: &Path) -> Result<HashMap<String, String>> {
    let mut reader = csv::Reader::from_path(index)
        .with_context(|| format!("cannot read {}", index.display()))?;
    let head = reader.headers()?.clone();
    let column = |name: &str| {
        head.iter()
            .position(|cell| cell == name)
            .with_context(|| format!("{} has no column {name}", index.display()))
    };
    let (file, kind) = (column("file")?, column("kind")?);
    reader
        .records()
        .map(|record| {
            let record = record?;
            let cell = |index: usize| record.get(index).unwrap_or_default().to_owned();
            Ok((cell(file), cell(kind)))
        })
        .collect()
}
