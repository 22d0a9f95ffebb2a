//! The help texts, word for word.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory;
use oomen::cli::Cli;

use crate::support::{Program, SOON, shipped};

#[tokio::test]
async fn every_help_text_is_the_golden_one() {
    let mut text = String::new();
    for path in paths(&Cli::command()) {
        let arguments: Vec<_> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let outcome = Program::run(Command::new(shipped("oomen")).args(&arguments), SOON).await;
        assert_eq!(outcome.code(), Some(0), "{outcome:?}");
        writeln!(text, "$ oomen {}\n{}", arguments.join(" "), outcome.stdout).expect("written");
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/help.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(golden.parent().expect("a directory")).expect("a directory");
        std::fs::write(&golden, &text).expect("written");
    }
    let expected = std::fs::read_to_string(&golden).expect("run with UPDATE_GOLDEN=1 first");
    assert_eq!(text, expected, "if it is meant so, run again with UPDATE_GOLDEN=1");
}

/// The words that lead to a command and to each of those below it.
fn paths(command: &clap::Command) -> Vec<Vec<String>> {
    let below = |command: &clap::Command| {
        let name = command.get_name().to_owned();
        let prefixed = move |mut path: Vec<String>| {
            path.insert(0, name.clone());
            path
        };
        paths(command).into_iter().map(prefixed)
    };
    std::iter::once(Vec::new()).chain(command.get_subcommands().flat_map(below)).collect()
}

#[tokio::test]
async fn without_a_command_the_help_is_shown_and_the_exit_status_says_so() {
    let outcome = Program::run(&mut Command::new(shipped("oomen")), SOON).await;
    assert_eq!(outcome.code(), Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("Usage: oomen"), "{outcome:?}");
}
