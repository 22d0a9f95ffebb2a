//! Every flag that a manifest gives to one of our programs is one the shipped program has.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::rules::{containers, deployment, words};
use crate::sh;
use crate::test::lab::program;

const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn check(objects: &[Value]) -> Result<()> {
    let mut found = Vec::new();
    for container in deployment(objects).into_iter().flat_map(containers) {
        let name = container["name"].as_str().unwrap_or_default();
        let arguments = words(container);
        let subcommand = arguments.iter().find(|word| !word.starts_with('-') && **word != name);
        let mut help = Command::new(program(name)?);
        let help = sh::capture(help.args(subcommand).arg("--help"), DEADLINE)?;
        found.extend(unknown(&arguments, &help).into_iter().map(|flag| format!("{name}: {flag}")));
    }
    ensure!(found.is_empty(), "not in the program's help: {}", found.join(", "));
    Ok(())
}

/// The flags that the help does not list.
fn unknown<'a>(arguments: &[&'a str], help: &str) -> Vec<&'a str> {
    let known: Vec<_> = help
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with('-'))
        .flat_map(|line| line.split([' ', ',']))
        .collect();
    arguments
        .iter()
        .filter(|word| word.starts_with("--"))
        .filter_map(|word| word.split('=').next())
        .filter(|flag| !known.contains(flag))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_that_the_help_does_not_list_is_found() {
        let help =
            "Options:\n  -h, --help  Print\n      --listen <ADDRESS>\n          not --this one\n";
        assert_eq!(unknown(&["--listen=1", "--help", "x"], help), Vec::<&str>::new());
        assert_eq!(unknown(&["--lisen=1", "--this"], help), ["--lisen", "--this"]);
    }
}
