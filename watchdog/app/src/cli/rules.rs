//! The command line of `oomen rules`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use url::Url;

/// Whom to ask, and how the rules are written.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// Address of the watchdog that has learned.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9911")]
    pub from: Url,
    /// File with the token to show, where something before the watchdog wants one.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Write to this file instead of stdout, whole or not at all; a file by another hand is left alone.
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How the rules are written.
    #[arg(long, value_enum, default_value = "prometheus")]
    pub format: RulesFormat,
    /// Name of the PrometheusRule object.
    #[arg(long, value_name = "NAME", default_value = "oomen-fitted")]
    pub name: String,
    /// Metric in bytes that the rules judge, where it is another exporter's, as container_memory_rss.
    #[arg(long, value_name = "NAME", requires = "labels")]
    pub metric: Option<String>,
    /// Label that chooses a target's series; may hold {target}, {workload}, {namespace} and {pod}; may be given again.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,
}

/// The form of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RulesFormat {
    /// A rule file for `rule_files`.
    Prometheus,
    /// A PrometheusRule object for the Prometheus Operator.
    Operator,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
