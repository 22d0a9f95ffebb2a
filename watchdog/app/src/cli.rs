//! The command line: what can be asked of `oomen`, and the help that teaches it.

pub mod heap;
pub mod rules;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use url::Url;
use watchdog_collect::requests::CounterName;
use watchdog_core::units::Bytes;

use heap::HeapCommand;
use rules::RulesArgs;

/// An omen before the OOMKill.
///
/// Oomen watches the memory of a service, tells a leak from a cache, fragmentation or load, forecasts the kill,
/// names the function that keeps the memory, and tells people before it happens.
#[derive(Debug, Parser)]
#[command(name = "oomen", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How the watchdog's own log is written, to stderr. Its level follows RUST_LOG (default: info).
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch a running process: the sidecar.
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(Box<WatchArgs>),
    /// Start a command and watch it; say at the end whether it leaks.
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Replay recorded series through the detector: what would it have said, and when.
    #[command(after_help = BACKTEST_EXAMPLES)]
    Backtest(BacktestArgs),
    /// Look at heap profiles in files: jemalloc's or pprof's, with names or without.
    #[command(subcommand)]
    Heap(HeapCommand),
    /// Print Prometheus rules fitted to what a running watchdog has learned of its targets.
    #[command(after_help = RULES_EXAMPLES)]
    Rules(Box<RulesArgs>),
    /// Check permissions, limit, probe, profiling and everybody who is to be told, and say how to mend each.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(Box<WatchArgs>),
    /// Send sample reports to everybody who is configured to be told.
    #[command(after_help = NOTIFY_EXAMPLES)]
    Notify(Box<NotifyArgs>),
    /// Start a command under a memory limit that really kills, in a cgroup of its own; needs root.
    #[command(after_help = CONFINE_EXAMPLES)]
    Confine(ConfineArgs),
}

const WATCH_EXAMPLES: &str = "\
Examples:
  oomen watch --process orders --probe http://127.0.0.1:9101
      every process called `orders`, with its allocator's statistics and heap profiles
  oomen watch --pid 4711 --limit 512MiB
      one process; its limit said by hand because its cgroup has none
  OOMEN_SLACK_TOKEN=xoxb-… oomen watch --config /etc/oomen.toml
      as the file says; flags override it

Signals: SIGTERM and SIGINT deliver what is pending and end within 5 s.
The page, /metrics and the API are at the address of --listen.";

const RUN_EXAMPLES: &str = "\
Examples:
  oomen run -- ./orders --port 8080
      until it ends or you press ctrl-C
  oomen run --limit 256MiB --for 10m --gate -- ./orders
      in a pipeline: stops at the first leak that is told, else after ten minutes

Exit status: 0 no leak, 3 leak, 4 undecided (watched too short), else the command's own failure.";

const BACKTEST_EXAMPLES: &str = "\
Examples:
  oomen backtest --limit 512MiB orders.csv
      one series with the columns t_seconds and rss_bytes; anon_bytes is better where there is one
  oomen backtest --format json history/ > results.jsonl
      every *.csv and *.csv.gz of a directory, with the limits of its index.csv

An alarm uses only what was known when it was raised. Columns, units and bad input: docs/backtest.md.
Exit status: 0 when every series was read, alarms or not; 1 when one was not.";

const RULES_EXAMPLES: &str = "\
Examples:
  oomen rules --out /etc/prometheus/rules/oomen-fitted.yaml
      for the watchdog beside it; `[rules] file` in the configuration has the watchdog keep such a file by itself
  oomen rules --format operator | kubectl apply -f -
      as an object for the Prometheus Operator
  oomen rules --metric container_memory_rss --label namespace={namespace} --label pod={pod} --label container={workload}
      by cAdvisor's series, which are there without the watchdog

A target that has no limit or is not learned yet gets no rules; that is said in a comment and on stderr.
What the rules mean: docs/rules.md. Exit status: 0, or 2 when there is no watchdog or no file can be written.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  oomen doctor --process orders --probe http://127.0.0.1:9101
  oomen doctor --config /etc/oomen.toml

Takes the flags of `oomen watch`. Exit status: 0 when all is well, 1 when something needs mending.";

const NOTIFY_EXAMPLES: &str = "\
Examples:
  oomen notify --test --config /etc/oomen.toml
  OOMEN_SLACK_TOKEN=xoxb-… oomen notify --test --slack-channel C0123456789

Takes the flags of `oomen watch`. Two incidents that never were are told, state by state; their names begin with
oomen-test. Exit status: 0 when every sample was taken, 1 when one was not, 2 when nobody is configured to be told.";

const CONFINE_EXAMPLES: &str = "\
Example:
  oomen confine --limit 256MiB --name try-me -- ./orders
      then, beside it: oomen watch --process orders";

/// What to watch and how; a flag wins over the same setting in the configuration file.
#[derive(Debug, Default, Args)]
pub struct WatchArgs {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Watch the process with this id; when it ends, the next of the same name.
    #[arg(long, value_name = "N", group = "which")]
    pub pid: Option<u32>,
    /// Watch every process of this name (its executable or its first argument).
    #[arg(long, value_name = "NAME", group = "which")]
    pub process: Option<String>,
    /// Watch the main process of every other container of this pod; needs shareProcessNamespace.
    #[arg(long, group = "which")]
    pub pod: bool,
    /// Name of the target in metrics and messages [default: the process's name].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Address of the service's probe: its admin port. Of several processes the oldest is taken to be the one it serves.
    #[arg(long, value_name = "URL")]
    pub probe: Option<Url>,
    /// Address of a program that serves pprof heap profiles itself, as Go does with net/http/pprof.
    #[arg(long, value_name = "URL")]
    pub pprof: Option<Url>,
    /// What the heap dump files of the program begin with, where its jemalloc writes them: its prof_prefix.
    #[arg(long, value_name = "PREFIX")]
    pub dump_files: Option<PathBuf>,
    /// Directory that the services see as well, for flight recorders: heap profiles that outlive a kill. They name it in
    /// OOMEN_RECORDER_DIR.
    #[arg(long, value_name = "DIR")]
    pub recorder_dir: Option<PathBuf>,
    /// Directory of debug files by build id, for programs that are shipped stripped; may be given again.
    #[arg(long = "debug-dir", value_name = "DIR")]
    pub debug_dirs: Vec<PathBuf>,
    /// Address of the service's metrics, where its requests are counted: growth that follows the load is no leak.
    #[arg(long, value_name = "URL", requires = "requests_counter")]
    pub requests_url: Option<Url>,
    /// The counter of requests in these metrics, as http_requests_total.
    #[arg(long, value_name = "NAME", requires = "requests_url")]
    pub requests_counter: Option<CounterName>,
    /// The limit whose crossing kills, as 256MiB or 1Gi [default: the cgroup's, else OOMEN_LIMIT_BYTES].
    #[arg(long, value_name = "SIZE")]
    pub limit: Option<Bytes>,
    /// Where the page, /metrics and the API listen [default: 127.0.0.1:9911].
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// File with the bearer token that heap downloads need when --listen is not loopback.
    #[arg(long, value_name = "FILE")]
    pub web_token_file: Option<PathBuf>,
    /// Directory for heap dumps and for what the detectors remember over a restart [default: oomen-data].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Slack channel to tell, best by its id; the token comes from --slack-token-file or OOMEN_SLACK_TOKEN.
    #[arg(long, value_name = "CHANNEL")]
    pub slack_channel: Option<String>,
    /// File with the Slack bot token (scopes chat:write, files:write, channels:history).
    #[arg(long, value_name = "FILE")]
    pub slack_token_file: Option<PathBuf>,
    /// Slack's API address, for Slack-compatible servers.
    #[arg(long, value_name = "URL")]
    pub slack_api_url: Option<Url>,
    /// Address of the page as people reach it; reports link to it.
    #[arg(long, value_name = "URL")]
    pub page_url: Option<Url>,
    /// Seconds after the process's start in which filling up is not called leaking [default: 10s].
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub warm_up: Option<Duration>,
    /// Print reports as JSON lines instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Whom to send samples.
#[derive(Debug, Default, Args)]
pub struct NotifyArgs {
    /// Send them: without this flag nothing is sent.
    #[arg(long)]
    pub test: bool,
    /// Who is told.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// How to run and judge a command.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Run the command under this memory limit, in a cgroup of its own (needs root).
    #[arg(long, value_name = "SIZE")]
    pub limit: Option<Bytes>,
    /// Stop the command after this long [default: until it ends].
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// Write the incidents (report.json) and heap dumps to this directory.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Address of the command's probe: its admin port.
    #[arg(long, value_name = "URL")]
    pub probe: Option<Url>,
    /// Address where the command serves pprof heap profiles itself, as Go does with net/http/pprof.
    #[arg(long, value_name = "URL")]
    pub pprof: Option<Url>,
    /// What the command's heap dump files begin with, where its jemalloc writes them: its prof_prefix.
    #[arg(long, value_name = "PREFIX")]
    pub dump_files: Option<PathBuf>,
    /// Stop at the first leak that is told, and fail: for pipelines.
    #[arg(long)]
    pub gate: bool,
    /// Seconds after the start in which filling up is not called leaking [default: 10s].
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub warm_up: Option<Duration>,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// What to replay and how.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// Series as CSV, plain or gzip, or directories of them.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How the results are written to stdout.
    #[arg(long, value_enum, default_value = "text")]
    pub format: BacktestFormat,
    /// The limit of series in bytes that give none, as 256MiB or 1Gi.
    #[arg(long, value_name = "SIZE")]
    pub limit: Option<Bytes>,
    /// Seconds after a series's start in which filling up is not called leaking [default: 10s].
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub warm_up: Option<Duration>,
}

/// The form of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BacktestFormat {
    /// A line a series, its alarms below it, and a summary.
    Text,
    /// One JSON object a series and line.
    Json,
}

/// How to confine a command.
#[derive(Debug, Args)]
pub struct ConfineArgs {
    /// The memory limit.
    #[arg(long, value_name = "SIZE")]
    pub limit: Bytes,
    /// Name of the cgroup; it stays after the command has ended, so that its counters can be read.
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub command: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn one_way_to_choose_the_process_excludes_the_others() {
        let parsed = Cli::try_parse_from(["oomen", "watch", "--pid", "1", "--process", "x"]);
        assert!(parsed.is_err());
    }
}
