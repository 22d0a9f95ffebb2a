//! Files and lines of the addresses of one unit, from one pass over its line program.

use std::collections::HashMap;
use std::sync::Arc;

use gimli::constants as c;
use gimli::{
    DebugLineOffset, DwForm, FileEntry, IncompleteLineProgram, LineProgram, LineProgramHeader,
    LineRow, Reader,
};

use super::super::demangle;
use super::super::meter::{Fault, Meter};
use super::super::sections::{Bytes, Dwarf};
use super::super::strings::Strings;
use super::unit::GimliUnit;

/// Longest list of files of one unit that is read; in memory it is up to a hundred times its size.
const MAX_HEADER: u64 = 256 << 10;

/// From here on an address marks code that the linker left out, DWARF 5 section 7.5.
const TOMBSTONE: u64 = u64::MAX - 1;

/// A line table that is ready to be run.
pub(super) struct Lines<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    unit: &'d GimliUnit<'a>,
    program: IncompleteLineProgram<Bytes<'a>>,
    paths: HashMap<u64, Option<Arc<str>>>,
}

/// Number of a file in the table of its unit, and line (0 when it has none).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) file: u64,
    pub(super) line: u64,
}

impl<'d, 'a> Lines<'d, 'a> {
    /// Reads the header of a line program.
    ///
    /// # Errors
    /// [`Fault`] when it is damaged or too large.
    pub(super) fn open(
        dwarf: &'d Dwarf<'a>,
        unit: &'d GimliUnit<'a>,
        offset: DebugLineOffset,
    ) -> Result<Self, Fault> {
        check_header(*gimli::Section::reader(&dwarf.debug_line), offset)?;
        let program = dwarf.debug_line.program(
            offset,
            unit.header.address_size(),
            unit.comp_dir,
            unit.name,
        )?;
        Ok(Self { dwarf, unit, program, paths: HashMap::new() })
    }

    /// The spot of every address that has one, in their order. `addresses` must be sorted.
    ///
    /// # Errors
    /// [`Fault`] when the program is damaged.
    pub(super) fn find(
        &self,
        addresses: &[u64],
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Option<Spot>>, Fault> {
        let mut spots = vec![None; addresses.len()];
        let header = self.program.header();
        let mut instructions = header.instructions();
        let mut row = LineRow::new(header);
        // The row before, and the first address behind it, in the sequence that is being read.
        let mut before: Option<(Spot, usize)> = None;
        let mut is_left_out = false;
        while let Some(instruction) = instructions.next_instruction(header)? {
            meter.step()?;
            if !row.execute(instruction, &mut Fixed(header))? {
                continue;
            }
            let address = row.address();
            let next = match before {
                None => {
                    is_left_out = address == 0 || address >= TOMBSTONE;
                    addresses.partition_point(|wanted| *wanted < address)
                }
                Some((_, first)) if is_left_out => first,
                Some((spot, first)) => {
                    let rest = addresses.get(first..).unwrap_or_default();
                    let covered = rest.iter().take_while(|wanted| **wanted < address).count();
                    spots
                        .iter_mut()
                        .skip(first)
                        .take(covered)
                        .for_each(|found| *found = Some(spot));
                    first + covered
                }
            };
            let spot = Spot { file: row.file_index(), line: row.line().map_or(0, u64::from) };
            before = (!row.end_sequence()).then_some((spot, next));
            row.reset(header);
        }
        Ok(spots)
    }

    /// The path of a file of the unit, with the directory it was compiled in.
    pub(super) fn path(&mut self, file: u64, strings: &mut Strings) -> Option<Arc<str>> {
        if let Some(path) = self.paths.get(&file) {
            return path.clone();
        }
        let path = self.join(file).map(|path| strings.keep(&path));
        self.paths.insert(file, path.clone());
        path
    }

    fn join(&self, file: u64) -> Option<String> {
        let header: &LineProgramHeader<Bytes<'a>> = self.program.header();
        let entry = header.file(file)?;
        let text = |value| {
            let bytes = self.dwarf.attr_string(self.unit, value).ok()?;
            Some(demangle::text(bytes.slice()))
        };
        let name = text(entry.path_name())?;
        let directory = entry.directory(header).and_then(text).unwrap_or_default();
        let compiled_in = self.unit.comp_dir.map(|dir| demangle::text(dir.slice()));
        let parts = [compiled_in.unwrap_or_default(), directory, name];
        Some(parts.iter().fold(String::new(), |path, part| {
            if path.is_empty() || path == "." || part.starts_with('/') {
                part.clone()
            } else if part.is_empty() || part == "." {
                path
            } else {
                format!("{path}/{part}")
            }
        }))
    }
}

/// A line program whose list of files stays as it is: one that adds to it while it runs (`DW_LNE_define_file`, which no
/// compiler of today writes) could add without end.
struct Fixed<'h, 'a>(&'h LineProgramHeader<Bytes<'a>>);

impl<'a> LineProgram<Bytes<'a>> for Fixed<'_, 'a> {
    fn header(&self) -> &LineProgramHeader<Bytes<'a>> {
        self.0
    }

    fn add_file(&mut self, _: FileEntry<Bytes<'a>>) {}
}

/// Refuses a header whose lists would take more memory than they are worth: too long ones, and those whose entries
/// take no bytes in the file, of which there can be any number (DWARF 5 section 6.2.4.1).
fn check_header(mut input: Bytes<'_>, offset: DebugLineOffset) -> Result<(), Fault> {
    input.skip(offset.0)?;
    let (_, format) = input.read_initial_length()?;
    let version = input.read_u16()?;
    if version >= 5 {
        input.skip(2)?;
    }
    let length = input.read_length(format)?;
    if u64::try_from(length).is_ok_and(|length| length > MAX_HEADER) {
        return Err(Fault::TooLarge("a list of files"));
    }
    if version < 5 {
        return Ok(());
    }
    // Five fixed bytes, then one for every opcode; see the header's description there.
    input.skip(5)?;
    let opcodes = input.read_u8()?;
    input.skip(usize::from(opcodes.saturating_sub(1)))?;
    check_entries(input, format)
}

/// The formats of the directories, the directories, and the formats of the files.
fn check_entries(mut input: Bytes<'_>, format: gimli::Format) -> Result<(), Fault> {
    let forms = forms(&mut input)?;
    for _ in 0..input.read_uleb128()? {
        for form in &forms {
            skip(&mut input, *form, format)?;
        }
    }
    self::forms(&mut input).map(drop)
}

/// The forms of an entry's parts, of which the path takes bytes in the file.
fn forms(input: &mut Bytes<'_>) -> Result<Vec<DwForm>, Fault> {
    let mut forms = Vec::new();
    for _ in 0..input.read_u8()? {
        let kind = input.read_uleb128()?;
        let form = DwForm(input.read_uleb128_u16()?);
        let is_empty = matches!(form, c::DW_FORM_flag_present | c::DW_FORM_implicit_const);
        if kind == u64::from(c::DW_LNCT_path.0) && is_empty {
            return Err(Fault::TooLarge("a list of files without names"));
        }
        forms.push(form);
    }
    Ok(forms)
}

/// The forms that a list of directories may have, DWARF 5 section 6.2.4.1.
fn skip(input: &mut Bytes<'_>, form: DwForm, format: gimli::Format) -> Result<(), Fault> {
    let size = match form {
        c::DW_FORM_string => return Ok(input.read_null_terminated_slice().map(drop)?),
        c::DW_FORM_udata | c::DW_FORM_strx => return Ok(input.read_uleb128().map(drop)?),
        c::DW_FORM_block => usize::try_from(input.read_uleb128()?).unwrap_or(usize::MAX),
        c::DW_FORM_line_strp | c::DW_FORM_strp | c::DW_FORM_strp_sup => {
            usize::from(format.word_size())
        }
        c::DW_FORM_data1 | c::DW_FORM_strx1 => 1,
        c::DW_FORM_data2 | c::DW_FORM_strx2 => 2,
        c::DW_FORM_strx3 => 3,
        c::DW_FORM_data4 | c::DW_FORM_strx4 => 4,
        c::DW_FORM_data8 => 8,
        c::DW_FORM_data16 => 16,
        _ => return Err(gimli::Error::UnknownForm(form).into()),
    };
    Ok(input.skip(size)?)
}
