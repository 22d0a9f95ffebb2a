//! The command line of `oomen heap`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What to do with heap profiles.
#[derive(Debug, Subcommand)]
pub enum HeapCommand {
    /// The functions that hold most, or grew most.
    #[command(after_help = TOP_EXAMPLES)]
    Top(TopArgs),
    /// What has changed from one profile to another.
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// The same profile in another format, with names.
    #[command(after_help = CONVERT_EXAMPLES)]
    Convert(ConvertArgs),
    /// A flamegraph as SVG that can be searched in a browser.
    #[command(after_help = FLAMEGRAPH_EXAMPLES)]
    Flamegraph(FlamegraphArgs),
}

const TOP_EXAMPLES: &str = "\
Examples:
  oomen heap top jeprof.4711.0.f.heap
  curl -s localhost:6060/debug/pprof/heap | oomen heap top --rows 20 -
  oomen heap top --base before.heap after.heap";

const DIFF_EXAMPLES: &str = "\
Examples:
  oomen heap diff before.heap after.heap
      the functions that grew, largest first
  oomen heap diff --to pprof -o growth.pb.gz before.heap after.heap
      go tool pprof growth.pb.gz";

const CONVERT_EXAMPLES: &str = "\
Examples:
  oomen heap convert -o orders.pb.gz orders.heap
      for go tool pprof, speedscope, Grafana
  oomen heap convert --to collapsed orders.pb.gz | flamegraph.pl > orders.svg
  oomen heap convert --to raw -o orders.heap orders.pb.gz
      for jeprof";

const FLAMEGRAPH_EXAMPLES: &str = "\
Examples:
  oomen heap flamegraph -o orders.svg orders.heap
  oomen heap flamegraph --base before.heap after.heap > growth.svg";

/// Where profiles and names come from.
#[derive(Debug, Args)]
pub struct NamesArgs {
    /// Directory of debug files by build id; may be given again.
    #[arg(long = "debug-dir", value_name = "DIR")]
    pub debug_dirs: Vec<PathBuf>,
    /// Do not look for names: addresses stay module+0xoffset. Names that are in the file are kept.
    #[arg(long)]
    pub no_symbols: bool,
}

/// Where the result goes.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// File to write [default: standard output].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `oomen heap top`
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Heap profile, of jemalloc or pprof; - is standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Earlier profile: shows the growth since.
    #[arg(long, value_name = "FILE")]
    pub base: Option<PathBuf>,
    /// Functions shown.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub rows: usize,
    /// Where names come from.
    #[command(flatten)]
    pub names: NamesArgs,
}

/// `oomen heap diff`
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Earlier profile, of jemalloc or pprof; - is standard input.
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// Later profile.
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// Form of the result.
    #[arg(long, value_enum, default_value = "top")]
    pub to: DiffFormat,
    /// Functions shown, in a table.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub rows: usize,
    /// Where names come from.
    #[command(flatten)]
    pub names: NamesArgs,
    /// Where the result goes.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `oomen heap convert`
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// Heap profile, of jemalloc or pprof; - is standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Form of the result.
    #[arg(long, value_enum, default_value = "pprof")]
    pub to: ConvertFormat,
    /// Where names come from.
    #[command(flatten)]
    pub names: NamesArgs,
    /// Where the result goes.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `oomen heap flamegraph`
#[derive(Debug, Args)]
pub struct FlamegraphArgs {
    /// Heap profile, of jemalloc or pprof; - is standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Earlier profile: red grew since, blue shrank.
    #[arg(long, value_name = "FILE")]
    pub base: Option<PathBuf>,
    /// Where names come from.
    #[command(flatten)]
    pub names: NamesArgs,
    /// Where the result goes.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Forms of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// A table.
    Top,
    /// pprof protobuf with values that may be negative.
    Pprof,
    /// SVG.
    Flamegraph,
}

/// Forms of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConvertFormat {
    /// pprof protobuf, compressed.
    Pprof,
    /// One stack a line, as flamegraph tools take it.
    Collapsed,
    /// jemalloc's text, as jeprof takes it.
    Raw,
}
