//! The names of one module's places: from the cache where they are known, else from its files, which are opened for this
//! and closed again.

use std::fs::File;
use std::path::PathBuf;

use super::cache::{Known, SymbolCache};
use super::dwarf::Call;
use super::elf::{Elf, Segment, address_of};
use super::files::{agree, find_debug};
use super::image::Image;
use super::resolve::{Files, Quality, resolve};

/// A module whose places are to be named.
pub(super) struct Module<'m> {
    /// Its own file, where it can be opened.
    pub(super) file: Option<File>,
    pub(super) build_id: Option<&'m str>,
    /// Offset in the file of the first byte that is mapped as code.
    pub(super) mapped_from: u64,
}

/// The calls at each place, innermost first and none where nothing names it, and why some have none.
pub(super) struct Named {
    pub(super) calls: Vec<Vec<Call>>,
    pub(super) why_not: Option<String>,
}

/// Names places in a module's file. `offsets` must be sorted and each there once.
pub(super) fn name(
    module: &Module<'_>,
    offsets: &[u64],
    debug_dirs: &[PathBuf],
    cache: Option<&SymbolCache>,
) -> Named {
    let image = module.file.as_ref().and_then(|file| Image::open(file).ok());
    let elf = image.as_ref().and_then(|image| Elf::parse(image.bytes()));
    let lack = lack(module, image.is_some(), elf.as_ref());
    let binary = elf.filter(|elf| agree(module.build_id, elf.build_id.as_deref()));
    let build_id = module.build_id.or(binary.as_ref().and_then(|elf| elf.build_id.as_deref()));
    let wants_more = binary.as_ref().is_none_or(|elf| !elf.has_debug());
    let moved = wants_more.then(|| find_debug(debug_dirs, build_id, binary.as_ref())).flatten();
    let debug = moved.as_ref().and_then(|image| Elf::parse(image.bytes()));
    let files = Files { binary: binary.as_ref(), debug: debug.as_ref() };

    let cache = cache.zip(build_id);
    let mut known = cache.map(|(cache, id)| cache.load(id)).unwrap_or_default();
    if known.quality < files.quality() {
        // Better names can be had now. Where the code is stays true.
        known = Known { quality: files.quality(), code: known.code, ..Known::default() };
    }
    let mut new = offsets.to_vec();
    new.retain(|offset| !known.places.contains_key(offset));
    let mut why_not = None;
    if !new.is_empty() {
        let (fresh, fault) = find(files, &known.code, module.mapped_from, &new);
        // Names from lesser files than those that are kept are good for now only.
        if let Some((cache, id)) = cache
            && fault.is_none()
            && fresh.quality == known.quality
            && !fresh.places.is_empty()
        {
            cache.add(id, &fresh);
        }
        known.places.extend(fresh.places);
        why_not = fault;
    }
    let mut calls = Vec::with_capacity(offsets.len());
    calls.extend(offsets.iter().map(|offset| known.places.remove(offset).unwrap_or_default()));
    let is_named = |calls: &Vec<Call>| calls.iter().any(|call| call.function.is_some());
    if !calls.iter().all(is_named) {
        why_not = why_not.or_else(|| reason(files.quality(), lack));
    }
    Named { calls, why_not }
}

/// The calls at offsets that are not known yet.
fn find(
    files: Files<'_, '_>,
    known_code: &[Segment],
    mapped_from: u64,
    offsets: &[u64],
) -> (Known, Option<String>) {
    let quality = files.quality();
    let code = match (files.binary, files.debug) {
        (Some(binary), _) => &binary.code,
        (None, Some(debug)) if known_code.is_empty() => &debug.code,
        _ => known_code,
    };
    let placed = |offset: &u64| Some((address_of(code, *offset, mapped_from)?, *offset));
    let mut places: Vec<(u64, u64)> = offsets.iter().filter_map(placed).collect();
    places.sort_unstable();
    places.dedup_by_key(|(address, _)| *address);
    let addresses: Vec<u64> = places.iter().map(|(address, _)| *address).collect();
    let (calls, fault) = resolve(files, &addresses);
    let places = places.into_iter().map(|(_, offset)| offset).zip(calls).collect();
    (Known { quality, code: code.to_vec(), places }, fault)
}

/// What a module's own file lacks.
fn lack(module: &Module<'_>, is_read: bool, elf: Option<&Elf<'_>>) -> &'static str {
    match elf {
        // Its names would be wrong with certainty.
        Some(elf) if !agree(module.build_id, elf.build_id.as_deref()) => {
            "another build is at its path now, and no directory of debug files has this one"
        }
        None if is_read => "it is no 64-bit little-endian ELF file",
        None => "its file cannot be read any more, and no directory of debug files has it",
        Some(_) => "it is stripped: build with debug = \"line-tables-only\" and without strip",
    }
}

fn reason(quality: Quality, lack: &str) -> Option<String> {
    matches!(quality, Quality::Nothing | Quality::Exports).then(|| lack.to_owned())
}
