//! The guest's serial console: lines `@@WHAT …`, and whatever else the kernel and the programs wrote.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// Lines and their length that are shown of a guest that failed.
const TAIL: usize = 60;
const WIDTH: usize = 400;

/// What was written, line by line.
#[derive(Clone, Debug)]
pub(super) struct Console(Vec<String>);

impl Console {
    /// Reads what QEMU wrote to a file.
    pub(super) fn read(log: &Path) -> Result<Self> {
        let bytes = fs::read(log).with_context(|| format!("reading {}", log.display()))?;
        Ok(Self::parse(&String::from_utf8_lossy(&bytes)))
    }

    /// Takes a serial line's text, where lines end with `\r\n`.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.lines().map(|line| line.trim_end().to_owned()).collect())
    }

    /// Everything said of `what`, in order.
    pub(super) fn all<'a>(&'a self, what: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(move |line| {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            (word.strip_prefix("@@")? == what).then_some(rest)
        })
    }

    /// The first thing said of `what`.
    pub(super) fn one(&self, what: &str) -> Result<&str> {
        let found = self.all(what).next();
        found.with_context(|| format!("the guest said nothing of `{what}`"))
    }

    /// The same as JSON.
    pub(super) fn json(&self, what: &str) -> Result<Value> {
        let text = self.one(what)?;
        serde_json::from_str(text).with_context(|| format!("`{what}` is not JSON: {text}"))
    }

    /// The same as a number.
    pub(super) fn number(&self, what: &str) -> Result<f64> {
        let text = self.one(what)?;
        text.parse().with_context(|| format!("`{what}` is not a number: {text}"))
    }

    /// The end of it, for people.
    pub(super) fn tail(&self) -> String {
        let shown = &self.0[self.0.len().saturating_sub(TAIL)..];
        let lines: Vec<String> =
            shown.iter().map(|line| line.chars().take(WIDTH).collect()).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "[ 0.1] noise\r\n@@slack {\"a\":1}\r\n@@slack {\"b\":2}\r\n@@exit 137\r\n@@done\r\n";

    #[test]
    fn what_was_said_is_found_between_the_kernels_noise() {
        let console = Console::parse(TEXT);
        assert_eq!(console.all("slack").collect::<Vec<_>>(), ["{\"a\":1}", "{\"b\":2}"]);
        assert_eq!(console.json("slack").expect("JSON")["a"], 1);
        assert_eq!(console.number("exit").expect("a number"), 137.0);
        assert_eq!(console.one("done").expect("said"), "");
    }

    #[test]
    fn what_was_not_said_is_an_error_that_names_it() {
        let console = Console::parse(TEXT);
        assert!(console.one("exi").expect_err("absent").to_string().contains("`exi`"));
        assert!(console.number("slack").expect_err("JSON").to_string().contains("not a number"));
    }

    #[test]
    fn the_tail_is_bounded_in_both_directions() {
        let console =
            Console::parse(&format!("first\n{}", format!("{}\n", "x".repeat(9000)).repeat(99)));
        let tail = console.tail();
        assert!(!tail.contains("first") && tail.lines().count() == TAIL);
        assert!(tail.lines().all(|line| line.len() == WIDTH));
    }
}
