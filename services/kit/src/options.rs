//! The command line every shop service has; each flag can also be an environment variable.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use secrecy::SecretString;
use url::Url;

use crate::peers::Peers;

/// Bytes. HMAC-SHA256 gains nothing beyond a key of its block, and loses with one shorter than its output.
const SHORTEST_KEY: usize = 32;

/// Bytes. What is drawn at random and written down has 16 of them at least.
const SHORTEST_TOKEN: usize = 16;

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
    Text,
    /// One JSON object a line, for collectors.
    #[default]
    Json,
}

/// Where a service listens, what it keeps where and what it tells whom; flattened into the command line of each.
/// Secrets are best given as variables: a command line can be read by everybody on the machine.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Address for requests; port 0 takes a free one and logs it.
    #[arg(long, env = "SHOP_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Address for operators: probe, metrics, health, faults. Loopback, unless something in front of it guards it:
    /// heap profiles tell how the program works.
    #[arg(long, env = "SHOP_ADMIN_LISTEN", default_value = "127.0.0.1:9080")]
    pub admin_listen: SocketAddr,
    /// What to log, as tracing's filter directives, e.g. `info,services_kit=debug`.
    #[arg(long, env = "SHOP_LOG", default_value = "info")]
    pub log: String,
    /// How log lines look.
    #[arg(long, env = "SHOP_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Loki's address, to which log lines go as well.
    #[arg(long, env = "SHOP_LOKI_URL", value_parser = http_url)]
    pub loki_url: Option<Url>,
    /// The address of an OpenTelemetry collector for traces over HTTP, e.g. `http://127.0.0.1:4318`.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = http_url)]
    pub otlp_endpoint: Option<Url>,
    /// Whether faults may be injected through the admin port.
    #[arg(long, env = "SHOP_FAULTS", value_enum, default_value_t)]
    pub faults: Switch,
    /// Directory for what is kept, `shop-data` in the working directory unless said otherwise. Made when something is
    /// to be kept. Services that belong together share it.
    #[arg(long, env = "SHOP_DATA")]
    pub data: Option<PathBuf>,
    /// Postgres instead of a SQLite file, e.g. `postgres://shop@127.0.0.1/orders`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// Redis instead of a cache in the process, e.g. `redis://127.0.0.1`.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: Option<SecretString>,
    /// RabbitMQ instead of the embedded bus, e.g. `amqp://127.0.0.1`.
    #[arg(long, env = "AMQP_URL", hide_env_values = true)]
    pub amqp_url: Option<SecretString>,
    /// What services sign identities with, 32 bytes or more, the same for all. Without it one is made and kept in
    /// the data directory.
    #[arg(long, env = "SHOP_INTERNAL_KEY", hide_env_values = true, value_parser = internal_key)]
    pub internal_key: Option<SecretString>,
    /// The bearer token for admin requests that change something, 16 bytes or more. Without it only requests from
    /// this machine may.
    #[arg(long, env = "SHOP_ADMIN_TOKEN", hide_env_values = true, value_parser = admin_token)]
    pub admin_token: Option<SecretString>,
    /// Where the other services are.
    #[command(flatten)]
    pub peers: Peers,
}

impl Options {
    /// Whether there is a shop around: something says where services that belong together keep what they share. The
    /// one service that is of use alone goes by it.
    pub fn in_a_shop(&self) -> bool {
        self.data.is_some() || self.database_url.is_some() || self.amqp_url.is_some()
    }

    /// What a test needs: free ports on loopback, faults off, everything else as without any variable.
    ///
    /// # Errors
    /// When an address is malformed, which none of them is.
    pub fn on_free_ports() -> Result<Self, url::ParseError> {
        let at = |port: u16| Url::parse(&format!("http://127.0.0.1:{port}"));
        let peers = Peers {
            gateway_url: at(8080)?,
            users_url: at(8081)?,
            inventory_url: at(8082)?,
            orders_url: at(8083)?,
            payments_url: at(8084)?,
            notifications_url: at(8085)?,
            recommendations_url: at(8086)?,
        };
        Ok(Self {
            listen: ([127, 0, 0, 1], 0).into(),
            admin_listen: ([127, 0, 0, 1], 0).into(),
            log: "info".into(),
            log_format: LogFormat::default(),
            loki_url: None,
            otlp_endpoint: None,
            faults: Switch::Off,
            data: None,
            database_url: None,
            redis_url: None,
            amqp_url: None,
            internal_key: None,
            admin_token: None,
            peers,
        })
    }
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("it must begin with http:// or https://".to_owned());
    }
    Ok(url)
}

fn internal_key(text: &str) -> Result<SecretString, String> {
    at_least(text, SHORTEST_KEY)
}

fn admin_token(text: &str) -> Result<SecretString, String> {
    at_least(text, SHORTEST_TOKEN)
}

fn at_least(text: &str, bytes: usize) -> Result<SecretString, String> {
    if text.len() < bytes {
        return Err(format!("it has {} bytes and needs {bytes} or more", text.len()));
    }
    Ok(SecretString::from(text))
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
        assert!(options.loki_url.is_none() && options.otlp_endpoint.is_none());
    }

    #[test]
    fn an_unknown_flag_or_a_half_meant_value_is_an_error() {
        for wrong in [
            "--port=1",
            "--faults=yes",
            "--listen=8080",
            "--loki-url=loki:3100",
            "--internal-key=short",
            "--admin-token=short",
            "--orders-url=orders",
        ] {
            assert!(Shop::try_parse_from(["shop", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_test_gets_is_what_no_variable_gives_but_for_the_ports() {
        let mut defaults = Shop::try_parse_from(["shop"]).unwrap().options;
        let test = Options::on_free_ports().unwrap();
        (defaults.listen, defaults.admin_listen) = (test.listen, test.admin_listen);
        assert_eq!(format!("{defaults:?}"), format!("{test:?}"));
    }
}
