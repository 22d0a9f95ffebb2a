//! Names of one module's addresses, from its symbol table and its debug information together.

use std::sync::Arc;

use super::demangle;
use super::dwarf::{self, Call, Found};
use super::elf::Elf;
use super::sections::Sections;
use super::strings::Strings;
use super::symtab;

/// How much a module's files can tell; a better one makes what was known from a lesser worthless.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
pub(super) enum Quality {
    /// Nothing.
    #[default]
    Nothing,
    /// The functions that it exports.
    Exports,
    /// All functions.
    Symbols,
    /// Functions, inlined calls, files and lines.
    Debug,
}

/// The files of one module: the program or library itself, and the one that its debug information was moved to.
#[derive(Clone, Copy)]
pub(super) struct Files<'f, 'a> {
    pub(super) binary: Option<&'f Elf<'a>>,
    pub(super) debug: Option<&'f Elf<'a>>,
}

impl<'f, 'a> Files<'f, 'a> {
    fn both(self) -> impl Iterator<Item = &'f Elf<'a>> {
        self.binary.into_iter().chain(self.debug)
    }

    fn with_symbols(self) -> Option<&'f Elf<'a>> {
        self.both().find(|elf| elf.has_symbols()).or(self.binary)
    }

    fn with_debug(self) -> Option<&'f Elf<'a>> {
        self.both().find(|elf| elf.has_debug())
    }

    /// How much they can tell.
    pub(super) fn quality(self) -> Quality {
        match (self.with_debug(), self.with_symbols()) {
            (Some(_), _) => Quality::Debug,
            (None, Some(elf)) if elf.has_symbols() => Quality::Symbols,
            (None, Some(_)) => Quality::Exports,
            (None, None) => Quality::Nothing,
        }
    }
}

/// The functions around each address, innermost first and none where nothing names it, and what was in the way of
/// better ones. `addresses` are the module's own and must be sorted.
pub(super) fn resolve(files: Files<'_, '_>, addresses: &[u64]) -> (Vec<Vec<Call>>, Option<String>) {
    let (found, fault) = from_debug(files, addresses);
    let symbols = files.with_symbols().map(|elf| symtab::names(elf, addresses)).unwrap_or_default();
    let symbols = symbols.into_iter().chain(std::iter::repeat(None));
    let mut strings = Strings::default();
    let named = found.into_iter().zip(symbols);
    (named.map(|(found, symbol)| join(found, symbol, &mut strings)).collect(), fault)
}

fn from_debug(files: Files<'_, '_>, addresses: &[u64]) -> (Vec<Found>, Option<String>) {
    let nothing = || vec![Found::default(); addresses.len()];
    let Some(elf) = files.with_debug() else {
        return (nothing(), None);
    };
    match Sections::load(elf) {
        Ok(sections) => {
            let (found, fault) = dwarf::resolve(&sections.dwarf(), addresses, sections.size());
            (found, fault.map(|fault| fault.to_string()))
        }
        Err(error) => (nothing(), Some(error.to_string())),
    }
}

/// Line tables alone (`debug = "line-tables-only"`) know the inlined calls and the lines, but call
/// `shop::cache::remember` just `remember`: there the outermost takes its name from the symbol table.
fn join(found: Found, symbol: Option<&[u8]>, strings: &mut Strings) -> Vec<Call> {
    let mut calls = found.calls;
    let (Some(symbol), false) = (symbol, found.is_whole) else {
        return calls;
    };
    let mut whole = demangle::demangled(symbol);
    if calls.last().is_none_or(|outermost| outermost.function.is_none()) {
        whole = whole.or_else(|| Some(demangle::text(without_version(symbol))));
    }
    if let Some(whole) = whole {
        let function: Option<Arc<str>> = Some(strings.keep(&whole));
        match calls.last_mut() {
            Some(outermost) => outermost.function = function,
            None => calls.push(Call { function, file: None, line: None }),
        }
    }
    calls
}

/// `memcpy@@GLIBC_2.14` is `memcpy`.
fn without_version(symbol: &[u8]) -> &[u8] {
    symbol.split(|byte| *byte == b'@').next().filter(|name| !name.is_empty()).unwrap_or(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(function: Option<&str>) -> Call {
        Call { function: function.map(Arc::from), file: None, line: Some(7) }
    }

    fn outermost(found: Vec<Call>, is_whole: bool, symbol: Option<&[u8]>) -> Option<String> {
        let calls = join(Found { calls: found, is_whole }, symbol, &mut Strings::default());
        calls.last()?.function.as_ref().map(ToString::to_string)
    }

    #[test]
    fn a_short_name_gives_way_to_the_whole_one_of_the_symbol() {
        let rust = Some(&b"_ZN4shop5cache8remember17h0c72f8496a8f95f7E"[..]);
        let short = || vec![call(Some("push")), call(Some("remember"))];
        assert_eq!(outermost(short(), false, rust).as_deref(), Some("shop::cache::remember"));
        assert_eq!(outermost(short(), true, rust).as_deref(), Some("remember"));
        assert_eq!(outermost(short(), false, Some(b"remember.cold")).as_deref(), Some("remember"));
        assert_eq!(outermost(short(), false, None).as_deref(), Some("remember"));
    }

    #[test]
    fn a_symbol_names_what_debug_information_does_not() {
        let memcpy = Some(&b"memcpy@@GLIBC_2.14"[..]);
        assert_eq!(outermost(vec![], false, memcpy).as_deref(), Some("memcpy"));
        assert_eq!(outermost(vec![call(None)], false, memcpy).as_deref(), Some("memcpy"));
        assert_eq!(outermost(vec![], false, None), None);
    }
}
