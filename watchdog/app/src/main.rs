//! The program `oomen`: parse, build, start, wait, drain.

use std::process::ExitCode;

use clap::Parser;
use oomen::app::App;
use oomen::cli::{Cli, Command, LogFormat, WatchArgs};
use oomen::config::{Config, Environment};
use oomen::otlp::Otlp;
use oomen::{backtest, confine, doctor, heap, log, notify, rules, run, signals};

/// Symbolizing takes tens of megabytes for a moment. jemalloc's background threads give them back within seconds; glibc
/// keeps them.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Two workers: one for sampling, one for everything that may take its time.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.log_format;
    if !matches!(cli.command, Command::Watch(_)) {
        log::init(format);
    }
    let result = match cli.command {
        Command::Watch(args) => watch(&args, format).await,
        Command::Run(args) => run::run(args).await,
        Command::Backtest(args) => backtest::run(&args),
        Command::Heap(command) => heap::run(&command),
        Command::Rules(args) => rules::print::run(&args).await,
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Notify(args) => notify::run(&args).await,
        Command::Confine(args) => confine::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("oomen: {error:#}");
        ExitCode::from(2)
    })
}

async fn watch(args: &WatchArgs, format: LogFormat) -> anyhow::Result<ExitCode> {
    let config = Config::load(args, Environment::read())?;
    let otlp = config.telling.otlp.as_ref().map_or(Ok(Otlp::off()), Otlp::start)?;
    log::init_with(format, &otlp);
    let app = App::start(config, otlp).await?;
    signals::wait().await?;
    app.stop().await;
    Ok(ExitCode::SUCCESS)
}
