//! `oomen heap`: heap profiles in files, of jemalloc or pprof, looked at, compared and converted.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use watchdog_core::profile::Profile;
use watchdog_core::units::{Bytes, WallTime};
use watchdog_heap::difference::Difference;
use watchdog_heap::format::{self, Limits};
use watchdog_heap::symbolize::Symbolizer;
use watchdog_heap::symbols::Symbols;
use watchdog_heap::top;
use watchdog_web::dumps::Format;

use crate::cli::heap::{
    ConvertArgs, ConvertFormat, DiffArgs, DiffFormat, FlamegraphArgs, HeapCommand, NamesArgs,
    TopArgs,
};
use crate::render::{self, Subject};

/// Bytes of a file at most: 700,000 stacks of 42 frames in jemalloc's text.
const MAX_FILE: u64 = 512 << 20;

/// A profile with all names that could be found.
struct Loaded {
    profile: Profile,
    symbols: Symbols,
    title: String,
}

/// Does what was asked.
///
/// # Errors
/// When a file cannot be read, is no heap profile, or the result cannot be written.
pub fn run(command: &HeapCommand) -> anyhow::Result<ExitCode> {
    match command {
        HeapCommand::Top(args) => show_top(args)?,
        HeapCommand::Diff(args) => diff(args)?,
        HeapCommand::Convert(args) => convert(args)?,
        HeapCommand::Flamegraph(args) => draw(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn show_top(args: &TopArgs) -> anyhow::Result<()> {
    let now = load(&args.file, &args.names)?;
    let text = match &args.base {
        None => top::text(&top::rows(&now.profile, &now.symbols, args.rows)),
        Some(base) => {
            let (difference, symbols) = difference(&load(base, &args.names)?, &now);
            top::difference_text(&top::difference_rows(&difference, &symbols, args.rows))
        }
    };
    write(None, text.as_bytes(), false)
}

fn diff(args: &DiffArgs) -> anyhow::Result<()> {
    let (before, after) = (load(&args.before, &args.names)?, load(&args.after, &args.names)?);
    let (difference, symbols) = difference(&before, &after);
    let format = match args.to {
        DiffFormat::Top => {
            let rows = top::difference_rows(&difference, &symbols, args.rows);
            return write(
                args.output.output.as_deref(),
                top::difference_text(&rows).as_bytes(),
                false,
            );
        }
        DiffFormat::Pprof => Format::Pprof,
        DiffFormat::Flamegraph => Format::Flamegraph,
    };
    let bytes = render::bytes(Subject::Difference(&difference), &symbols, format, &after.title)?;
    write(args.output.output.as_deref(), &bytes, format == Format::Pprof)
}

fn convert(args: &ConvertArgs) -> anyhow::Result<()> {
    let Loaded { profile, symbols, title } = load(&args.file, &args.names)?;
    let format = match args.to {
        ConvertFormat::Pprof => Format::Pprof,
        ConvertFormat::Collapsed => Format::Collapsed,
        ConvertFormat::Raw => Format::Raw,
    };
    let bytes = render::bytes(Subject::Profile(&profile), &symbols, format, &title)?;
    write(args.output.output.as_deref(), &bytes, format == Format::Pprof)
}

fn draw(args: &FlamegraphArgs) -> anyhow::Result<()> {
    let now = load(&args.file, &args.names)?;
    let bytes = match &args.base {
        None => {
            let subject = Subject::Profile(&now.profile);
            render::bytes(subject, &now.symbols, Format::Flamegraph, &now.title)?
        }
        Some(base) => {
            let (difference, symbols) = difference(&load(base, &args.names)?, &now);
            let subject = Subject::Difference(&difference);
            render::bytes(subject, &symbols, Format::Flamegraph, &now.title)?
        }
    };
    write(args.output.output.as_deref(), &bytes, false)
}

fn difference(before: &Loaded, after: &Loaded) -> (Difference, Symbols) {
    Difference::between_named(&before.profile, &before.symbols, &after.profile, &after.symbols)
}

fn load(path: &Path, names: &NamesArgs) -> anyhow::Result<Loaded> {
    let from_stdin = path.as_os_str() == "-";
    let title = if from_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let (bytes, taken) = if from_stdin {
        (read_bounded(io::stdin().lock())?, WallTime(0.0))
    } else {
        let file = File::open(path).with_context(|| format!("cannot open {title}"))?;
        let modified = file.metadata().and_then(|meta| meta.modified()).ok();
        let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let taken = WallTime(since.map_or(0.0, |since| since.as_secs_f64()));
        (read_bounded(file).with_context(|| format!("cannot read {title}"))?, taken)
    };
    let read = format::read(&bytes, taken, &Limits::default()).with_context(|| title.clone())?;
    let mut symbols = read.symbols;
    if symbols.is_empty() && !names.no_symbols {
        let symbolizer = Symbolizer::offline(None, names.debug_dirs.clone());
        let addresses = read.profile.stacks.iter().flat_map(|stack| stack.stack.iter().copied());
        symbols = symbolizer.symbols(&read.profile.mappings, addresses);
        // That a system's libraries are stripped is as it should be, and nobody can do much about it.
        for missing in symbolizer.missing().iter().filter(|text| !text.contains(".so")) {
            eprintln!("oomen: {missing}");
        }
    }
    Ok(Loaded { profile: read.profile, symbols, title })
}

fn read_bounded(from: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        bail!("larger than {}", Bytes(MAX_FILE));
    }
    Ok(bytes)
}

fn write(path: Option<&Path>, bytes: &[u8], is_binary: bool) -> anyhow::Result<()> {
    match path {
        Some(path) => {
            std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
        }
        None if is_binary && io::stdout().is_terminal() => {
            bail!("this is not for a terminal: name a file with --output, or pipe it")
        }
        None => match io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()) {
            // Whoever read us has seen enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.context("cannot write to standard output"),
        },
    }
}
