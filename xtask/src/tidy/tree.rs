//! The repository's files as text, without git: what .gitignore names is left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Every file by its path from the root, with `/` between its parts.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, File>,
}

#[derive(Debug)]
struct File {
    bytes: u64,
    text: Option<String>,
}

impl Tree {
    /// Reads the repository at `root`.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let ignored = fs::read_to_string(root.join(".gitignore")).context("reading .gitignore")?;
        let ignored = Ignored::parse(&ignored)?;
        let mut tree = Self::default();
        tree.add(root, "", &ignored)?;
        Ok(tree)
    }

    /// A tree of these files.
    #[cfg(test)]
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let file = |text: &str| File {
            bytes: u64::try_from(text.len()).expect("small"),
            text: Some(text.to_owned()),
        };
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect() }
    }

    /// The text of one file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.text.as_deref()
    }

    /// Every text file.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|(path, file)| Some((path.as_str(), file.text.as_deref()?)))
    }

    /// Every file's size in bytes.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file.bytes))
    }

    /// Every text file whose path begins and ends so.
    pub(crate) fn matching(&self, start: &str, end: &str) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(move |(path, _)| path.starts_with(start) && path.ends_with(end))
    }

    fn add(&mut self, directory: &Path, prefix: &str, ignored: &Ignored) -> Result<()> {
        let entries = fs::read_dir(directory)
            .with_context(|| format!("reading the directory {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            if ignored.hides(prefix, &name) || kind.is_symlink() {
                continue;
            }
            let path = format!("{prefix}{name}");
            if kind.is_dir() {
                self.add(&entry.path(), &format!("{path}/"), ignored)?;
            } else {
                let bytes = fs::read(entry.path()).with_context(|| format!("reading {path}"))?;
                let file = File {
                    bytes: u64::try_from(bytes.len())?,
                    text: String::from_utf8(bytes).ok(),
                };
                self.files.insert(path, file);
            }
        }
        Ok(())
    }
}

/// What .gitignore names: `/name` at the root, `name` anywhere. Patterns are refused, so that none is misread.
#[derive(Debug)]
struct Ignored {
    at_root: Vec<String>,
    anywhere: Vec<String>,
}

impl Ignored {
    fn parse(text: &str) -> Result<Self> {
        let mut ignored = Self { at_root: Vec::new(), anywhere: vec![".git".into()] };
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let name = line.trim_matches('/');
            if name.contains(['*', '?', '[', '!', '/']) {
                bail!(".gitignore: tidy reads only plain names, not {line:?}");
            }
            let list =
                if line.starts_with('/') { &mut ignored.at_root } else { &mut ignored.anywhere };
            list.push(name.to_owned());
        }
        Ok(ignored)
    }

    fn hides(&self, prefix: &str, name: &str) -> bool {
        self.anywhere.iter().any(|hidden| hidden == name)
            || (prefix.is_empty() && self.at_root.iter().any(|hidden| hidden == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_slash_is_ignored_only_at_the_root() {
        let ignored = Ignored::parse("/target\n# why\n__pycache__/\n").expect("plain names");
        assert!(ignored.hides("", "target") && !ignored.hides("docs/", "target"));
        assert!(ignored.hides("k8s/", "__pycache__") && ignored.hides("", ".git"));
    }

    #[test]
    fn a_pattern_is_refused_instead_of_misread() {
        assert!(Ignored::parse("*.log").is_err());
    }

    #[test]
    fn the_repository_reads_itself() {
        let tree = Tree::of(&crate::root()).expect("readable");
        assert!(tree.text("Cargo.toml").is_some_and(|text| text.contains("[workspace]")));
        assert!(tree.texts().all(|(path, _)| !path.starts_with("target/")));
    }
}
