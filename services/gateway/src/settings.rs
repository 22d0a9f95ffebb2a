//! The gateway's own part of the command line.

use clap::Args;
use services_kit::Switch;

/// What only the gateway is told.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// Requests that one client may make per second, averaged over ten; 0 for any number.
    #[arg(long, env = "SHOP_CLIENT_RATE", default_value_t = 100)]
    pub client_rate: u32,
    /// Times that one client may sign in, register or change a password within a minute; 0 for any number.
    #[arg(long, env = "SHOP_SIGN_IN_RATE", default_value_t = 30)]
    pub sign_in_rate: u32,
    /// Whether a proxy in front says who the client is (the last entry of X-Forwarded-For) and whether they came by
    /// HTTPS (X-Forwarded-Proto). Without a proxy anybody could claim both.
    #[arg(long, env = "SHOP_BEHIND_PROXY", value_enum, default_value_t)]
    pub behind_proxy: Switch,
}

impl Default for Settings {
    /// As without any flag.
    fn default() -> Self {
        Self { client_rate: 100, sign_in_rate: 30, behind_proxy: Switch::Off }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn the_default_is_what_no_flag_gives() {
        let parsed = Cli::try_parse_from(["gateway"]).unwrap().settings;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Settings::default()));
    }
}
