//! The command line every shop service has; each flag can also be an environment variable.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

/// On or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    #[default]
    Off,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Where a service listens and what it logs; flattened into the command line of each.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Address for customers' requests; port 0 takes a free one and logs it.
    #[arg(long, env = "SHOP_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Address for operators: probe, metrics, health, faults. Loopback, unless something in front of it guards it:
    /// heap profiles tell how the program works.
    #[arg(long, env = "SHOP_ADMIN_LISTEN", default_value = "127.0.0.1:8081")]
    pub admin_listen: SocketAddr,
    /// What to log, as tracing's filter directives, e.g. `info,services_kit=debug`.
    #[arg(long, env = "SHOP_LOG", default_value = "info")]
    pub log: String,
    /// How log lines look.
    #[arg(long, env = "SHOP_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Whether faults may be injected through the admin port.
    #[arg(long, env = "SHOP_FAULTS", value_enum, default_value_t)]
    pub faults: Switch,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Shop {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn without_flags_everything_is_on_loopback_and_faults_are_off() {
        let options = Shop::try_parse_from(["shop"]).unwrap().options;
        assert!(options.listen.ip().is_loopback() && options.admin_listen.ip().is_loopback());
        assert_eq!(options.faults, Switch::Off);
    }

    #[test]
    fn an_unknown_flag_or_a_half_meant_value_is_an_error() {
        for wrong in [["shop", "--port=1"], ["shop", "--faults=yes"], ["shop", "--listen=8080"]] {
            assert!(Shop::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
