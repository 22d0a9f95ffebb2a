//! What there is, and what a report must say of it: the one place where names and truths are listed.

use std::io::{self, Write as _};

use anyhow::bail;
use serde::Serialize;

use crate::drive::Program;
use crate::{innocents, leaks};

/// What a program is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// A subcommand of this program.
    Rust,
    /// `go/main.go`.
    Go,
    /// `c/leak.c`.
    C,
}

/// A function that a report must name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Expected {
    /// A part of its path.
    pub(crate) function: &'static str,
    /// How its source file's path ends.
    pub(crate) file: &'static str,
}

/// Makes a program.
pub(crate) type Make = fn() -> anyhow::Result<Box<dyn Program>>;

/// One program and the truth about it.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    /// How it is asked for.
    pub(crate) name: &'static str,
    /// What it is written in.
    pub(crate) language: Language,
    /// Whether it leaks.
    pub(crate) leaks: bool,
    /// What it is, in a sentence.
    pub(crate) what: &'static str,
    /// Who keeps the memory, the one that keeps most first; nobody in an innocent program.
    pub(crate) culprits: &'static [Expected],
    /// Makes it, where it is written in Rust.
    #[serde(skip)]
    pub(crate) make: Option<Make>,
}

impl Entry {
    /// The program, ready to be driven.
    ///
    /// # Errors
    /// When it is another program's, or cannot get what it needs.
    pub(crate) fn start(&self) -> anyhow::Result<Box<dyn Program>> {
        match (self.make, self.language) {
            (Some(make), _) => make(),
            (None, Language::C) => bail!("{} is built from c/leak.c: see README.md", self.name),
            (None, _) => bail!("{} is built from go/main.go: see README.md", self.name),
        }
    }
}

/// Every program, those that leak first.
pub(crate) const ENTRIES: [&Entry; 22] = [
    &leaks::unbounded_cache::ENTRY,
    &leaks::forgotten_subscriber::ENTRY,
    &leaks::reference_cycle::ENTRY,
    &leaks::label_explosion::ENTRY,
    &leaks::stuck_tasks::ENTRY,
    &leaks::generic::ENTRY,
    &leaks::closure::ENTRY,
    &leaks::async_task::ENTRY,
    &leaks::trait_object::ENTRY,
    &leaks::library::ENTRY,
    &leaks::two_leaks::ENTRY,
    &leaks::elsewhere::GO_MAP_CACHE,
    &leaks::elsewhere::GO_GOROUTINES,
    &leaks::elsewhere::GO_SLICE_RETENTION,
    &leaks::elsewhere::C_SESSIONS,
    &innocents::bounded_cache::ENTRY,
    &innocents::warm_up::ENTRY,
    &innocents::batch_sawtooth::ENTRY,
    &innocents::churn::ENTRY,
    &innocents::connection_pool::ENTRY,
    &innocents::page_cache::ENTRY,
    &innocents::GO_CHURN,
];

/// The program of this name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.into_iter().find(|entry| entry.name == name)
}

/// Prints every program to stdout.
///
/// # Errors
/// When nobody reads it.
pub(crate) fn print(json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &ENTRIES)?;
        writeln!(out)?;
        return Ok(());
    }
    for entry in ENTRIES {
        let culprits: Vec<&str> = entry.culprits.iter().map(|culprit| culprit.function).collect();
        let culprits = if culprits.is_empty() { "nobody".into() } else { culprits.join(", ") };
        writeln!(out, "{:22} {:28} {}", entry.name, culprits, entry.what)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: HashSet<&str> = ENTRIES.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), ENTRIES.len());
    }

    #[test]
    fn who_leaks_has_a_culprit_and_who_does_not_has_none() {
        for entry in ENTRIES {
            assert_eq!(entry.leaks, !entry.culprits.is_empty(), "{}", entry.name);
        }
    }

    #[test]
    fn twelve_programs_leak_and_six_do_not() {
        let leaks = ENTRIES.iter().filter(|entry| entry.leaks).count();
        assert!(leaks >= 12 && ENTRIES.len() - leaks >= 6);
    }

    #[test]
    fn the_file_of_every_culprit_is_there_and_has_the_function() {
        let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for entry in ENTRIES {
            for culprit in entry.culprits {
                let name = culprit.file.strip_prefix("gallery/").expect("a path in the gallery");
                let text = std::fs::read_to_string(sources.join(name)).expect(culprit.file);
                let function = culprit.function.rsplit(['.', ':']).next().expect("a name");
                assert!(text.contains(function), "{}: {function}", entry.name);
            }
        }
    }

    #[test]
    fn the_readme_has_a_line_for_every_program_with_its_culprits_in_order() {
        let readme = include_str!("../README.md");
        for entry in ENTRIES {
            let culprits: Vec<String> =
                entry.culprits.iter().map(|culprit| format!("`{}`", culprit.function)).collect();
            let culprits = if culprits.is_empty() { "nobody".into() } else { culprits.join(", ") };
            let line = format!("| `{}` | {} | {culprits} |", entry.name, entry.what);
            assert!(readme.contains(&line), "README.md lacks:\n{line}");
        }
        let lines = readme.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(lines, ENTRIES.len(), "README.md lists programs that are not there");
    }
}
