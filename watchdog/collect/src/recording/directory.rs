//! What a path means: one series, or a directory of them with the limits its `index.csv` gives.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::{Problem, RecordingError};
use super::header::Column;
use super::{Recording, row};

const INDEX: &str = "index.csv";
/// An index of a hundred thousand series takes about this much.
const LARGEST_INDEX: u64 = 32 * 1024 * 1024;

type Limits = BTreeMap<String, Option<f64>>;

/// A series that can be opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The file.
    pub path: PathBuf,
    /// The limit that the directory's index gives it, in the unit of the file.
    pub limit: Option<f64>,
}

/// What a path means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The series, a directory's in the order of their names.
    pub series: Vec<Series>,
    /// Files that the index names and the directory does not hold.
    pub absent: Vec<String>,
    /// Side tables: files that the index does not name and that have no column of times.
    pub others: Vec<String>,
}

/// The series of a path. A directory's are its `*.csv` and `*.csv.gz` without `index.csv` and hidden files; directories
/// inside it are not looked into. A path that is no directory is a series, whatever its name.
///
/// The index has the columns `file` and `limit_bytes` or `limit`; others are left alone. A limit that is empty, zero,
/// negative or not finite is none. Beside an index a file that it does not name and that has no column of times is no
/// series: who keeps an index keeps other tables too.
///
/// # Errors
/// When a directory cannot be read or holds no series, or its index cannot be used: series without their limits would
/// be judged wrongly in silence.
pub fn list(path: &Path) -> Result<Listing, RecordingError> {
    if !path.is_dir() {
        let series = Series { path: path.to_path_buf(), limit: None };
        return Ok(Listing { series: vec![series], ..Listing::default() });
    }
    let names = names(path).map_err(|source| Problem::Unreadable { source }.of_file(path))?;
    if names.is_empty() {
        return Err(Problem::NoSeries.of_file(path));
    }
    let index = path.join(INDEX);
    let limits = limits(&index)?;
    let is_other = |name: &PathBuf| {
        let named = |limits: &Limits| name.to_str().is_some_and(|name| limits.contains_key(name));
        limits.as_ref().is_some_and(|limits| !named(limits)) && has_no_time(&path.join(name))
    };
    let (others, names): (Vec<_>, Vec<_>) = names.into_iter().partition(is_other);
    if names.is_empty() {
        let reason = "it names no file of this directory, and none has a column t_seconds".into();
        return Err(Problem::Index { reason }.of_file(&index));
    }
    let mut limits = limits.unwrap_or_default();
    let series = names
        .into_iter()
        .map(|name| {
            let limit = name.to_str().and_then(|name| limits.remove(name)).flatten();
            Series { path: path.join(name), limit }
        })
        .collect();
    let others = others.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    Ok(Listing { series, absent: limits.into_keys().collect(), others })
}

/// Whether a file has a header without the column of times; one whose header cannot be read is a bad series.
fn has_no_time(file: &Path) -> bool {
    let problem = Recording::open(file, None).err().map(|error| error.problem);
    matches!(problem, Some(Problem::MissingColumn { wanted, .. }) if wanted == Column::Time.name())
}

fn names(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in directory.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        let series = (text.ends_with(".csv") || text.ends_with(".csv.gz"))
            && !text.starts_with('.')
            && text != INDEX;
        // A link that leads nowhere is no directory: it becomes an error when it is opened.
        if series && !entry.path().is_dir() {
            names.push(PathBuf::from(name));
        }
    }
    names.sort();
    Ok(names)
}

/// The limit of each file that the index names; `None` where there is no index.
fn limits(index: &Path) -> Result<Option<Limits>, RecordingError> {
    let file = match File::open(index) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Problem::Unreadable { source }.of_file(index)),
    };
    let unusable = |line: u64, reason: String| Problem::Index { reason }.of_line(index, line);
    let of_csv = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        unusable(line, error.to_string())
    };
    if file.metadata().is_ok_and(|metadata| metadata.len() > LARGEST_INDEX) {
        return Err(unusable(1, format!("larger than {} MiB", LARGEST_INDEX >> 20)));
    }
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file.take(LARGEST_INDEX));
    let headers = reader.headers().map_err(of_csv)?.clone();
    let column = |name| headers.iter().position(|header| header == name);
    let Some(file_column) = column("file") else {
        return Err(unusable(1, "there is no column file".into()));
    };
    let limit_column = column("limit_bytes").or_else(|| column("limit"));
    let mut limits = Limits::new();
    for record in reader.records() {
        let record = record.map_err(of_csv)?;
        let line = record.position().map_or(1, csv::Position::line);
        let cell = |column: Option<usize>| column.and_then(|at| record.get(at)).unwrap_or_default();
        let limit = match cell(limit_column) {
            "" => None,
            text => match text.parse::<f64>() {
                Ok(value) => row::limit(value),
                Err(_) => return Err(unusable(line, format!("`{text}` is no limit"))),
            },
        };
        let name = cell(Some(file_column)).to_owned();
        if limits.contains_key(&name) {
            return Err(unusable(line, format!("{name} is there twice")));
        }
        limits.insert(name, limit);
    }
    Ok(Some(limits))
}
