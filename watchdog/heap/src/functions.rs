//! The functions of stacks, numbered: reports compare numbers, and look at each name once.

use std::collections::HashMap;

use watchdog_core::culprit::own::{first_own, is_allocator_frame};
use watchdog_core::profile::{Frame, Mapping};

use crate::addresses::AddressMap;
use crate::symbols::{Symbols, is_placeholder, unnamed};

/// Whose code a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The program's own.
    Program,
    /// A library's or the runtime's.
    Library,
    /// The allocator's, and what stands right in front of it.
    Allocator,
    /// Not known: the address has no name.
    Nobody,
}

/// A function that occurs in the stacks.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) owner: Owner,
}

/// One frame of an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Number of the function.
    pub(crate) function: u32,
    /// Where it says file and line; `None` for an address without a name.
    pub(crate) frame: Option<&'a Frame>,
}

/// Numbers the functions of the addresses it is asked about.
#[derive(Debug)]
pub(crate) struct Functions<'a> {
    symbols: &'a Symbols,
    mappings: &'a [Mapping],
    known: Vec<Function>,
    numbers: HashMap<String, u32>,
    /// Frames of all addresses, one address after the other.
    places: Vec<Place<'a>>,
    by_address: AddressMap<(usize, usize)>,
}

impl<'a> Functions<'a> {
    pub(crate) fn new(symbols: &'a Symbols, mappings: &'a [Mapping]) -> Self {
        Self {
            symbols,
            mappings,
            known: Vec::new(),
            numbers: HashMap::new(),
            places: Vec::new(),
            by_address: AddressMap::default(),
        }
    }

    /// The frames of a return address, innermost first; at least one.
    pub(crate) fn of(&mut self, address: u64) -> &[Place<'a>] {
        let (from, to) = self.range(address);
        self.places.get(from..to).unwrap_or_default()
    }

    /// Where the frames of a return address are, for [`Self::place`].
    pub(crate) fn range(&mut self, address: u64) -> (usize, usize) {
        match self.by_address.get(&address) {
            Some(range) => *range,
            None => self.enter(address),
        }
    }

    /// One of the frames in a range.
    pub(crate) fn place(&self, at: usize) -> Option<Place<'a>> {
        self.places.get(at).copied()
    }

    fn enter(&mut self, address: u64) -> (usize, usize) {
        let from = self.places.len();
        let symbols = self.symbols;
        for frame in symbols.frames(address) {
            let owner = match () {
                () if is_placeholder(frame) => Owner::Nobody,
                () if is_allocator_frame(frame) => Owner::Allocator,
                () if first_own(std::slice::from_ref(frame)).is_some() => Owner::Program,
                () => Owner::Library,
            };
            let function = self.number(&frame.function, owner);
            self.places.push(Place { function, frame: Some(frame) });
        }
        if self.places.len() == from {
            let name = unnamed(self.mappings, address);
            let function = self.number(&name, Owner::Nobody);
            self.places.push(Place { function, frame: None });
        }
        let range = (from, self.places.len());
        self.by_address.insert(address, range);
        range
    }

    /// The number of a name. Inlined and not inlined it may be told to be somebody else's; the first counts.
    pub(crate) fn number(&mut self, name: &str, owner: Owner) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.known.len() as u32;
        self.known.push(Function { name: name.to_owned(), owner });
        self.numbers.insert(name.to_owned(), number);
        number
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Function> {
        self.known.get(number as usize)
    }

    /// How many functions are known so far.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}
