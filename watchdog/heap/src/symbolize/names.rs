//! Function, file and line for places in one file, through blazesym.

use std::path::Path;

use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{CodeInfo, Input, Reason, Sym, Symbolized, Symbolizer};
use watchdog_core::profile::Frame;

/// Frames for every offset, in their order; at least one each. `file` is `None` when it can no longer be read.
///
/// Both the debug information and the symbol table are asked: line tables alone (`debug = "line-tables-only"`) know
/// the inlined calls and the lines, but call `shop::cache::remember` just `remember`.
pub(super) fn name_offsets(file: Option<&Path>, module: &str, offsets: &[u64]) -> Vec<Vec<Frame>> {
    let unknown = || offsets.iter().map(|_| Symbolized::Unknown(Reason::MissingSyms)).collect();
    // Lives for this call only: it keeps parsed debug information, which is many times what is asked of it.
    let symbolizer = Symbolizer::new();
    let look_up = |debug_syms| {
        let mut elf = Elf::new(file?);
        elf.debug_syms = debug_syms;
        let names = symbolizer.symbolize(&Source::Elf(elf), Input::FileOffset(offsets));
        // Unreadable debug information (a foreign compression, a wrong checksum) must not cost the symbols.
        names
            .inspect_err(|error| tracing::warn!(module, debug_syms, %error, "cannot read names"))
            .ok()
    };
    let debug: Vec<Symbolized<'_>> = look_up(true).unwrap_or_else(unknown);
    let symbols: Vec<Symbolized<'_>> = look_up(false).unwrap_or_else(unknown);
    let places = offsets.iter().zip(debug.iter().zip(&symbols));
    places
        .map(|(offset, (debug, symbol))| match (debug.as_sym(), symbol.as_sym()) {
            (Some(debug), symbol) => frames(debug, symbol, || unnamed(module, *offset)),
            (None, Some(symbol)) => frames(symbol, None, || unnamed(module, *offset)),
            (None, None) => vec![unnamed(module, *offset)],
        })
        .collect()
}

/// The frame of a place without a symbol.
pub(super) fn unnamed(module: &str, offset: u64) -> Frame {
    Frame { function: format!("{module}+0x{offset:x}"), file: None, line: None }
}

/// blazesym lists inlined calls from the outside in; a stack is read from the inside out. `symbol` has the whole
/// name of the outermost.
fn frames(sym: &Sym<'_>, symbol: Option<&Sym<'_>>, unnamed: impl Fn() -> Frame) -> Vec<Frame> {
    let inlined = sym.inlined.iter().rev().map(|call| (&call.name, call.code_info.as_ref()));
    let outermost = &symbol.unwrap_or(sym).name;
    inlined
        .chain([(outermost, sym.code_info.as_deref())])
        .map(|(name, code)| frame(name, code).unwrap_or_else(&unnamed))
        .collect()
}

fn frame(name: &str, code: Option<&CodeInfo<'_>>) -> Option<Frame> {
    let file = code.map(|code| code.to_path().to_string_lossy().into_owned());
    let line = code.and_then(|code| code.line);
    (!name.is_empty()).then(|| Frame { function: name.to_owned(), file, line })
}
