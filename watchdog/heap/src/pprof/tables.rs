//! What the samples of a profile refer to, while it is written: texts, functions and locations.

use std::collections::{BTreeMap, HashMap};

use watchdog_core::culprit::own::is_allocator_frame;
use watchdog_core::profile::{Frame, Mapping};

use super::wire::Message;
use crate::addresses::AddressMap;
use crate::symbols::{Symbols, is_placeholder, mapping_of, unnamed};

/// Field numbers of `Profile` for what is here.
const MAPPING: u64 = 3;
const LOCATION: u64 = 4;
const FUNCTION: u64 = 5;
const STRING_TABLE: u64 = 6;

/// Texts by index. Each is written when it is first used: the order on the wire is the index.
#[derive(Debug, Default)]
pub(super) struct Strings {
    known: HashMap<String, u64>,
}

impl Strings {
    /// The index of `text`; a new one is appended to `out`.
    pub(super) fn index(&mut self, text: &str, out: &mut Message) -> u64 {
        if let Some(index) = self.known.get(text) {
            return *index;
        }
        let index = self.known.len() as u64;
        self.known.insert(text.to_owned(), index);
        out.length_delimited(STRING_TABLE, text.as_bytes());
        index
    }
}

/// Locations by address: ids from one, in the order in which samples first use them.
#[derive(Debug, Default)]
pub(super) struct Locations {
    ids: AddressMap<u32>,
    addresses: Vec<u64>,
}

impl Locations {
    pub(super) fn id(&mut self, address: u64) -> u64 {
        let next = self.addresses.len() as u32 + 1;
        let id = *self.ids.entry(address).or_insert(next);
        if id == next {
            self.addresses.push(address);
        }
        u64::from(id)
    }

    pub(super) fn addresses(&self) -> &[u64] {
        &self.addresses
    }
}

/// What is known of the names in one mapping.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    addresses: u64,
    functions: u64,
    placeholders: u64,
    files: bool,
    lines: bool,
}

/// Writes locations, and the functions and mappings they need.
#[derive(Debug)]
pub(super) struct Names<'a> {
    symbols: &'a Symbols,
    mappings: &'a [Mapping],
    functions: HashMap<(u64, u64), u64>,
    named: Vec<Named>,
    /// Names of functions up to their arguments, and whether all with that name are the allocator's.
    allocator: BTreeMap<String, bool>,
    line: Message,
    message: Message,
}

impl<'a> Names<'a> {
    pub(super) fn new(symbols: &'a Symbols, mappings: &'a [Mapping]) -> Self {
        Self {
            symbols,
            mappings,
            functions: HashMap::new(),
            named: vec![Named::default(); mappings.len()],
            allocator: BTreeMap::new(),
            line: Message::default(),
            message: Message::default(),
        }
    }

    /// One location and the functions that are new with it.
    pub(super) fn location(
        &mut self,
        id: u64,
        address: u64,
        strings: &mut Strings,
        out: &mut Message,
    ) {
        let call = address.saturating_sub(1);
        let mapping = mapping_of(self.mappings, call).map(|(at, _)| at);
        let mut location = std::mem::take(&mut self.message);
        location.clear();
        location.number(1, id);
        location.number(2, mapping.map_or(0, |at| at as u64 + 1));
        // A location that only stands for a name has no address in a file either.
        location.number(3, if crate::addresses::is_unaddressed(address) { 0 } else { call });
        let symbols = self.symbols;
        let frames = symbols.frames(address);
        let mut named = Named { addresses: 1, ..Named::default() };
        for frame in frames {
            named.placeholders += u64::from(is_placeholder(frame));
            named.functions += u64::from(!is_placeholder(frame));
            named.files |= frame.file.is_some();
            named.lines |= frame.line.is_some();
            self.add_line(&mut location, frame, strings, out);
        }
        // Among named addresses one without a name would be shown as a number or not at all.
        if frames.is_empty() && !symbols.is_empty() {
            named.placeholders = 1;
            let function = unnamed(self.mappings, address);
            let frame = Frame { function, file: None, line: None };
            self.add_line(&mut location, &frame, strings, out);
        }
        out.length_delimited(LOCATION, &location.bytes);
        self.message = location;
        if let Some(known) = mapping.and_then(|at| self.named.get_mut(at)) {
            known.addresses += 1;
            known.functions += named.functions;
            known.placeholders += named.placeholders;
            known.files |= named.files;
            known.lines |= named.lines;
        }
    }

    fn add_line(
        &mut self,
        location: &mut Message,
        frame: &Frame,
        strings: &mut Strings,
        out: &mut Message,
    ) {
        let function = self.function(frame, strings, out);
        self.line.clear();
        self.line.number(1, function);
        self.line.number(2, frame.line.map_or(0, u64::from));
        location.length_delimited(4, &self.line.bytes);
    }

    fn function(&mut self, frame: &Frame, strings: &mut Strings, out: &mut Message) -> u64 {
        let name = strings.index(&frame.function, out);
        let file = frame.file.as_deref().map_or(0, |file| strings.index(file, out));
        let next = self.functions.len() as u64 + 1;
        let id = *self.functions.entry((name, file)).or_insert(next);
        if id == next {
            self.line.clear();
            self.line.number(1, id);
            self.line.number(2, name);
            self.line.number(3, name);
            self.line.number(4, file);
            out.length_delimited(FUNCTION, &self.line.bytes);
            self.note_owner(frame);
        }
        id
    }

    /// Keeps the names for [`Self::drop_frames`]. Readers compare what stands before the list of arguments.
    fn note_owner(&mut self, frame: &Frame) {
        let name = frame.function.split('(').next().unwrap_or_default();
        let is_allocators = is_allocator_frame(frame);
        match self.allocator.get_mut(name) {
            Some(all) => *all &= is_allocators,
            None => drop(self.allocator.insert(name.to_owned(), is_allocators)),
        }
    }

    /// The regular expression for frames that readers leave out together with what they called: the allocator's
    /// own, which are the innermost of every stack and tell nobody anything. A name that somebody else's function has
    /// too is not in it, because readers only have the name.
    pub(super) fn drop_frames(&self) -> String {
        const SPECIAL: &str = r"\.+*?()|[]{}^$";
        let escape = |name: &str| {
            let mut escaped = String::with_capacity(name.len() + 8);
            for character in name.chars() {
                if SPECIAL.contains(character) {
                    escaped.push('\\');
                }
                escaped.push(character);
            }
            escaped
        };
        let names = self.allocator.iter().filter(|(name, all)| **all && !name.is_empty());
        names.map(|(name, _)| escape(name)).collect::<Vec<_>>().join("|")
    }

    /// All mappings. The format wants the program's own first; that is the first that is no shared library.
    pub(super) fn write_mappings(&mut self, strings: &mut Strings, out: &mut Message) {
        let is_program = |mapping: &Mapping| {
            let module = crate::symbols::module(&mapping.path);
            !module.contains(".so") && !module.starts_with('[')
        };
        let program = self.mappings.iter().position(is_program).unwrap_or(0);
        let rest = (0..self.mappings.len()).filter(|at| *at != program);
        for at in [program].into_iter().chain(rest) {
            let (Some(mapping), Some(named)) = (self.mappings.get(at), self.named.get(at)) else {
                continue;
            };
            let has_names = named.functions + named.placeholders > 0;
            let path = strings.index(&mapping.path, out);
            let build_id = strings.index(mapping.build_id.as_deref().unwrap_or_default(), out);
            let message = &mut self.message;
            message.clear();
            message.number(1, at as u64 + 1);
            message.number(2, mapping.start);
            message.number(3, mapping.end);
            message.number(4, mapping.file_offset);
            message.number(5, path);
            message.number(6, build_id);
            message.flag(7, has_names);
            message.flag(8, named.files);
            message.flag(9, named.lines);
            // Whoever named the functions also unfolded the calls that were inlined.
            message.flag(10, has_names);
            out.length_delimited(MAPPING, &message.bytes);
        }
    }

    /// The modules whose addresses stayed without a name although others have names, with how many there are.
    pub(super) fn without_names(&self) -> impl Iterator<Item = (&str, u64)> {
        let named_any = !self.symbols.is_empty();
        self.mappings.iter().zip(&self.named).filter_map(move |(mapping, named)| {
            let bare = named_any && named.addresses > 0 && named.functions == 0;
            bare.then_some((mapping.path.as_str(), named.addresses))
        })
    }
}
