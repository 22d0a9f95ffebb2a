//! The command line: a subcommand for each program, and one that lists them.

use std::net::SocketAddr;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::catalogue::{self, Entry};

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Order {
    /// Print what there is.
    List {
        /// As JSON instead of a table.
        json: bool,
    },
    /// Be one of the programs.
    Run {
        /// Which.
        entry: &'static Entry,
        /// Bytes kept, or handled, in a second.
        rate: u64,
        /// Where the probe answers.
        admin: SocketAddr,
    },
}

/// Reads the command line; a mistake ends the program with a message that tells how to ask.
pub(crate) fn parse() -> Order {
    order(&command().get_matches()).unwrap_or_else(|| {
        let message = "name one of the programs; `gallery list` shows them";
        command().error(clap::error::ErrorKind::MissingSubcommand, message).exit()
    })
}

fn order(matches: &ArgMatches) -> Option<Order> {
    let (name, options) = matches.subcommand()?;
    if name == "list" {
        return Some(Order::List { json: options.get_flag("json") });
    }
    Some(Order::Run {
        entry: catalogue::find(name)?,
        rate: *options.get_one("rate")?,
        admin: *options.get_one("admin")?,
    })
}

fn command() -> Command {
    let list = Command::new("list").about("Print what there is, and what a report must say").arg(
        Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON instead of a table"),
    );
    Command::new("gallery")
        .about("Small programs that leak, or only look like it")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(list)
        .subcommands(catalogue::ENTRIES.iter().map(program))
}

fn program(entry: &&'static Entry) -> Command {
    let rate = Arg::new("rate")
        .long("rate")
        .value_name("BYTES_PER_S")
        .default_value("20000000")
        .value_parser(value_parser!(u64).range(1..=1 << 30))
        .help("Bytes kept in a second; those allocated, where nothing is kept");
    let admin = Arg::new("admin")
        .long("admin")
        .value_name("ADDRESS")
        .default_value("127.0.0.1:0")
        .value_parser(value_parser!(SocketAddr))
        .help("Where the probe answers; the first line of output says which port was taken");
    Command::new(entry.name).about(entry.what).args([rate, admin])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Option<Order> {
        order(&command().try_get_matches_from(arguments).ok()?)
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_program_is_a_subcommand_with_a_rate_and_an_admin_port() {
        for entry in catalogue::ENTRIES {
            let asked = ["gallery", entry.name, "--rate=5", "--admin=127.0.0.1:7"];
            let Some(Order::Run { entry: found, rate, admin }) = read(&asked) else {
                panic!("{} cannot be asked for", entry.name)
            };
            assert_eq!(found.name, entry.name);
            assert_eq!((rate, admin.port()), (5, 7));
        }
    }

    #[test]
    fn a_rate_of_nothing_and_a_program_that_is_not_there_are_refused() {
        assert!(read(&["gallery", "churn", "--rate=0"]).is_none());
        assert!(read(&["gallery", "no-such-program"]).is_none());
    }
}
