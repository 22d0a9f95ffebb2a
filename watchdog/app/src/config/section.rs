//! One table of the configuration file, read key by key; what is wrong or left over is collected.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use toml::{Table, Value};

/// A table, the keys that were asked for, and the mistakes so far.
pub(super) struct Section {
    path: String,
    table: Table,
    known: Vec<&'static str>,
    mistakes: Vec<String>,
}

impl Section {
    pub(super) fn root(table: Table) -> Self {
        Self { path: String::new(), table, known: Vec::new(), mistakes: Vec::new() }
    }

    /// Notes a mistake at `key`.
    pub(super) fn mistake(&mut self, key: &str, text: &str) {
        self.mistakes.push(format!("{}{key}: {text}", self.path));
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    pub(super) fn string(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) if !text.is_empty() => Some(text),
            Value::String(_) => self.wrong(key, "must not be empty"),
            other => self.wrong(key, &format!("must be text in quotes, not {}", other.type_str())),
        }
    }

    pub(super) fn parsed<T>(&mut self, key: &'static str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.string(key)?;
        text.parse().map_err(|error| self.mistake(key, &format!("`{text}`: {error}"))).ok()
    }

    /// A list of texts, at most `max`.
    pub(super) fn strings(&mut self, key: &'static str, max: usize) -> Option<Vec<String>> {
        let texts = match self.take(key)? {
            Value::Array(values) if values.len() <= max => {
                values.into_iter().map(|value| value.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        };
        match texts {
            Some(texts) => Some(texts),
            None => self.wrong(key, &format!("must be a list of at most {max} texts in quotes")),
        }
    }

    /// A table of texts, at most `max`; empty when absent.
    pub(super) fn pairs(&mut self, key: &'static str, max: usize) -> Vec<(String, String)> {
        let pairs = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Table(table)) if table.len() <= max => table
                .into_iter()
                .map(|(name, value)| Some((name, value.as_str()?.to_owned())))
                .collect(),
            Some(_) => None,
        };
        pairs.unwrap_or_else(|| {
            self.mistake(key, &format!("must be a table of at most {max} texts in quotes"));
            Vec::new()
        })
    }

    pub(super) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        match self.take(key)? {
            Value::Boolean(value) => Some(value),
            other => self.wrong(key, &format!("must be true or false, not {}", other.type_str())),
        }
    }

    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.take(key)?;
        let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.wrong(
                key,
                &format!("must be a whole number from {} to {}", range.start(), range.end()),
            ),
        }
    }

    /// A span written as `"10s"`, `"2m"` or `"1h 30m"`, in seconds.
    pub(super) fn seconds(&mut self, key: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let text = self.string(key)?;
        let seconds = humantime::parse_duration(&text).ok().map(|span| span.as_secs_f64());
        match seconds.filter(|seconds| range.contains(seconds)) {
            Some(seconds) => Some(seconds),
            None => self.wrong(
                key,
                &format!(
                    "`{text}` must be a span such as \"10s\" or \"2m\", from {} to {} seconds",
                    range.start(),
                    range.end()
                ),
            ),
        }
    }

    /// The table under `key`, empty when absent. Give it back with [`Section::absorb`].
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        let table = match self.take(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                self.mistake(key, &format!("must be a table [{key}], not {}", other.type_str()));
                Table::new()
            }
        };
        Self { path: format!("{}{key}.", self.path), ..Self::root(table) }
    }

    /// The tables `[[key]]`.
    pub(super) fn sections(&mut self, key: &'static str, max: usize) -> Vec<Self> {
        let values = match self.take(key) {
            None => return Vec::new(),
            Some(Value::Array(values)) if values.len() <= max => values,
            Some(Value::Array(_)) => {
                self.mistake(key, &format!("at most {max} are possible"));
                return Vec::new();
            }
            Some(_) => {
                self.mistake(key, &format!("must be written as [[{key}]]"));
                return Vec::new();
            }
        };
        let mut sections = Vec::new();
        for (i, value) in values.into_iter().enumerate() {
            match value {
                Value::Table(table) => sections
                    .push(Self { path: format!("{}{key}[{i}].", self.path), ..Self::root(table) }),
                _ => self.mistake(key, &format!("must be written as [[{key}]]")),
            }
        }
        sections
    }

    /// Takes over a part's mistakes, and its leftover keys as mistakes.
    pub(super) fn absorb(&mut self, part: Self) {
        self.mistakes.extend(part.finish());
    }

    /// All mistakes; keys nobody asked for are mistakes.
    pub(super) fn finish(mut self) -> Vec<String> {
        for key in std::mem::take(&mut self.table).keys() {
            let known = self.known.join(", ");
            self.mistake(key, &format!("is not a setting; there are: {known}"));
        }
        self.mistakes
    }

    fn wrong<T>(&mut self, key: &str, text: &str) -> Option<T> {
        self.mistake(key, text);
        None
    }
}
