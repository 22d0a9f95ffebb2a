//! Reads the command line and the environment strictly: what is not known is an error, and all mistakes are listed in
//! one go.

use std::ffi::OsString;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error, Parser};

use crate::peers::Peer;

/// Variables that begin so are the shop's.
const PREFIX: &str = "SHOP_";

/// The command line of a service, whose ports are the ones of `service` unless it is told otherwise. For `main`: ends
/// the program with a list of all mistakes, or with the help that was asked for.
pub fn parse<C: Parser>(service: Peer) -> C {
    let variables = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let parsed = parse_from(service, std::env::args_os().collect(), variables);
    parsed.unwrap_or_else(|error| error.exit())
}

fn parse_from<C: Parser>(
    service: Peer,
    arguments: Vec<OsString>,
    variables: impl Iterator<Item = String>,
) -> Result<C, Error> {
    let mut command = with_ports(C::command(), service);
    let mut mistakes = unknown(&command, variables);
    mistakes.extend(wrong(command.clone(), &arguments)?);
    if mistakes.is_empty() {
        return C::from_arg_matches(&command.try_get_matches_from(arguments)?);
    }
    let list = mistakes.iter().map(|mistake| format!("\n  - {mistake}")).collect::<String>();
    let what = if mistakes.len() == 1 { "a mistake" } else { "mistakes" };
    Err(command.error(ErrorKind::ValueValidation, format!("{what} in the configuration:{list}")))
}

fn with_ports(command: Command, service: Peer) -> Command {
    let at = |port: u16| format!("127.0.0.1:{port}");
    command
        .mut_arg("listen", |arg| arg.default_value(at(service.port())))
        .mut_arg("admin_listen", |arg| arg.default_value(at(service.admin_port())))
}

/// Variables of the shop that this service does not know: a misspelt one would silently do nothing.
fn unknown(command: &Command, variables: impl Iterator<Item = String>) -> Vec<String> {
    let known: Vec<&str> =
        command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).collect();
    let mut unknown: Vec<String> = variables
        .filter(|name| name.starts_with(PREFIX) && !known.contains(&name.as_str()))
        .map(|name| format!("{name} is no variable of this service; --help lists them"))
        .collect();
    unknown.sort();
    unknown
}

/// All values that do not fit. clap stops at the first, so each one found is made to fit, and then it is asked again.
///
/// # Errors
/// What is no mistake, such as the help, and mistakes that leave nothing to go on with.
fn wrong(mut command: Command, arguments: &[OsString]) -> Result<Vec<String>, Error> {
    let mut mistakes = Vec::new();
    loop {
        // Of a clone: a command that has been asked cannot be changed any more.
        let mut asked = command.clone();
        let Err(error) = asked.try_get_matches_from_mut(arguments) else { return Ok(mistakes) };
        let Some(id) = misfit(&asked, &error) else {
            return if mistakes.is_empty() || !error.use_stderr() {
                Err(error)
            } else {
                let text = error.to_string();
                let text = text.trim_start_matches("error: ");
                mistakes.push(text.lines().next().unwrap_or_default().to_owned());
                Ok(mistakes)
            };
        };
        let mut said = String::new();
        command = command.mut_arg(&id, |arg| {
            said = describe(&arg, &error);
            arg.value_parser(ValueParser::os_string())
        });
        mistakes.push(said);
    }
}

/// The argument whose value does not fit.
fn misfit(command: &Command, error: &Error) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    let ContextValue::String(shown) = error.get(ContextKind::InvalidArg)? else { return None };
    let arg = command.get_arguments().find(|arg| arg.to_string() == *shown)?;
    Some(arg.get_id().to_string())
}

/// A secret is not repeated.
fn describe(arg: &clap::Arg, error: &Error) -> String {
    let flag = arg.get_long().map(|long| format!("--{long}")).unwrap_or_default();
    let variable = arg.get_env().map(|name| format!(" ({})", name.to_string_lossy()));
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if !arg.is_hide_env_values_set() => format!(" `{value}`"),
        _ => String::new(),
    };
    let why = match (std::error::Error::source(error), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(valid))) => format!("it is one of {}", valid.join(", ")),
        _ => "it does not fit".to_owned(),
    };
    format!("{flag}{}{value}: {why}", variable.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(arguments: &[&str], variables: &[&str]) -> Result<Cli, Error> {
        let arguments = std::iter::once("shop").chain(arguments.iter().copied());
        let arguments = arguments.map(OsString::from).collect();
        parse_from(Peer::Orders, arguments, variables.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn a_service_listens_on_its_own_ports_unless_it_is_told_otherwise() {
        let options = parsed(&[], &["PATH", "SHOP_LISTEN"]).unwrap().options;
        assert_eq!(options.listen.port(), 8083);
        assert_eq!(options.admin_listen.port(), 9083);
        let options = parsed(&["--listen=127.0.0.1:1"], &[]).unwrap().options;
        assert_eq!(options.listen.port(), 1);
    }

    #[test]
    fn all_mistakes_are_listed_at_once_and_no_secret_among_them() {
        let error = parsed(
            &["--listen=here", "--faults=maybe", "--internal-key=hunter2", "--orders-url=x"],
            &["SHOP_LISTN", "SHOP_COLOUR", "SHOP_DATA"],
        )
        .unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        for part in [
            "SHOP_LISTN is no variable",
            "SHOP_COLOUR is no variable",
            "--listen (SHOP_LISTEN) `here`: ",
            "--faults (SHOP_FAULTS) `maybe`: it is one of on, off",
            "--internal-key (SHOP_INTERNAL_KEY): it has 7 bytes",
            "--orders-url (SHOP_ORDERS_URL) `x`: ",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(!text.contains("hunter2") && !text.contains("SHOP_DATA"), "{text}");
    }

    #[test]
    fn an_unknown_flag_is_told_beside_the_other_mistakes() {
        let text = parsed(&["--listen=here", "--colour=blue"], &[]).unwrap_err().to_string();
        assert!(text.contains("--colour"), "{text}");
    }

    #[test]
    fn help_is_help_whatever_else_is_wrong() {
        let error = parsed(&["--help"], &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DisplayHelp);
        assert!(error.to_string().contains("127.0.0.1:9083"), "{error}");
    }
}
