//! Commands in documents exist: `cargo xtask …` with its flags, `oomen …` by its subcommand.

use std::process::Command;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

use super::tree::Tree;
use crate::{Cli, release, sh};

const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn xtask_commands(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, words) in commands(tree) {
        if let ["cargo", "xtask", rest @ ..] = words.as_slice() {
            let parsed = Cli::try_parse_from(["cargo xtask"].iter().chain(rest));
            let error = parsed.err().filter(|error| error.kind() != ErrorKind::DisplayHelp);
            found.extend(error.map(|error| {
                let why = error.to_string();
                format!("{path}: `{}`: {}", words.join(" "), why.lines().next().unwrap_or_default())
            }));
        }
    }
    found
}

pub(super) fn oomen_commands(tree: &Tree) -> Vec<String> {
    let uses: Vec<_> = commands(tree)
        .into_iter()
        .filter_map(|(path, words)| Some((path, oomen_subcommand(&words)?)))
        .collect();
    if uses.is_empty() {
        return Vec::new();
    }
    match oomen_help() {
        Ok(help) => unknown(&uses, &help),
        Err(error) => vec![format!("oomen --help: {error:#}")],
    }
}

/// The help of the shipped program, built if need be.
fn oomen_help() -> anyhow::Result<String> {
    release::build()?;
    sh::capture(Command::new(release::directory().join("oomen")).arg("--help"), DEADLINE)
}

fn unknown(uses: &[(String, String)], help: &str) -> Vec<String> {
    let known = subcommands(help);
    uses.iter()
        .filter(|(_, subcommand)| !known.contains(&subcommand.as_str()))
        .map(|(path, subcommand)| format!("{path}: `oomen {subcommand}` is none of {known:?}"))
        .collect()
}

/// The names in the section `Commands:` of a help text of clap.
fn subcommands(help: &str) -> Vec<&str> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

/// What follows `oomen`, wherever the program lies; its options alone (`oomen --help`) name no subcommand.
fn oomen_subcommand(words: &[&str]) -> Option<String> {
    let [program, rest @ ..] = words else { return None };
    let is_oomen = program.rsplit('/').next() == Some("oomen");
    let subcommand = rest.iter().find(|word| !word.starts_with('-'))?;
    is_oomen.then(|| (*subcommand).to_owned())
}

/// Every simple command in the `sh` fences of every document, with what stands before its program removed.
fn commands(tree: &Tree) -> Vec<(String, Vec<&str>)> {
    tree.matching("", ".md")
        .flat_map(|(path, text)| {
            fenced(text).into_iter().flat_map(move |line| {
                simple(line).into_iter().map(move |words| (path.to_owned(), words))
            })
        })
        .collect()
}

fn fenced(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        match line.trim() {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => lines.push(line),
            _ => {}
        }
    }
    lines
}

/// The commands of one line, without comment, prompt, `sudo` and variables set for them.
fn simple(line: &str) -> Vec<Vec<&str>> {
    let code = line.split(" #").next().unwrap_or_default();
    let code = if code.starts_with('#') { "" } else { code };
    code.split(['|', '&', ';', '\\'])
        .map(|command| {
            command
                .split_whitespace()
                .skip_while(|word| matches!(*word, "$" | "sudo" | "time") || word.contains('='))
                .collect::<Vec<_>>()
        })
        .filter(|words| !words.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "An omen.\n\nUsage: oomen <COMMAND>\n\nCommands:\n  watch  Watch a\n         process\n  \
        run    Start\n  help   Print\n\nOptions:\n  -h  Print help\n";

    fn readme(line: &str) -> Tree {
        Tree::with(&[("README.md", &format!("# X\n```sh\n{line}\n```\ncargo xtask prose\n"))])
    }

    #[test]
    fn a_command_of_xtask_that_does_not_exist_is_found() {
        for good in ["cargo xtask test", "$ cargo xtask tidy # rules", "cargo xtask --help"] {
            assert_eq!(xtask_commands(&readme(good)), Vec::<String>::new(), "{good}");
        }
        for bad in ["cargo xtask tset", "CI=1 cargo xtask tidy --wirte", "cargo xtask test tydi"] {
            assert_eq!(xtask_commands(&readme(bad)).len(), 1, "{bad}");
        }
    }

    #[test]
    fn the_subcommands_of_a_help_text_are_read_and_its_continuation_lines_are_not() {
        assert_eq!(subcommands(HELP), ["watch", "run", "help"]);
    }

    #[test]
    fn a_command_of_oomen_that_does_not_exist_is_found() {
        let uses = |line: &str| {
            commands(&readme(line))
                .into_iter()
                .filter_map(|(path, words)| Some((path, oomen_subcommand(&words)?)))
                .collect::<Vec<_>>()
        };
        for good in
            ["oomen run -- ./x", "oomen --help", "T=x sudo target/release/oomen watch", "ls"]
        {
            assert_eq!(unknown(&uses(good), HELP), Vec::<String>::new(), "{good}");
        }
        for bad in ["oomen wacth --pid 1", "true && ./oomen fly", "ls | oomen --json fly"] {
            assert_eq!(unknown(&uses(bad), HELP).len(), 1, "{bad}");
        }
    }
}
