//! The messages of a profile as they stand on the wire, with references not yet followed.

use super::error::{Malformed, Missing, PprofError};
use super::read::ReadLimits;
use super::wire::{Fields, Value, numbers};
use crate::addresses::AddressMap;

/// `ValueType`: indices of texts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ValueType {
    pub(super) name: u64,
    pub(super) unit: u64,
}

/// `Mapping`
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawMapping {
    pub(super) id: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) file_offset: u64,
    pub(super) path: u64,
    pub(super) build_id: u64,
}

/// `Function`: indices of texts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RawFunction {
    pub(super) name: u64,
    pub(super) system_name: u64,
    pub(super) file: u64,
}

/// `Location`
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RawLocation {
    pub(super) mapping: u64,
    pub(super) address: u64,
    /// Ids of functions and lines in them, innermost first.
    pub(super) lines: Vec<(u64, u64)>,
}

/// All of a profile but its samples, which are read afterwards because they refer to what may follow them.
#[derive(Debug, Default)]
pub(super) struct Tables<'a> {
    pub(super) sample_types: Vec<ValueType>,
    pub(super) period_type: ValueType,
    pub(super) period: u64,
    pub(super) time_nanos: u64,
    pub(super) comments: Vec<u64>,
    pub(super) strings: Vec<&'a [u8]>,
    pub(super) mappings: Vec<RawMapping>,
    pub(super) functions: AddressMap<RawFunction>,
    /// Locations with their ids, in the order of the profile.
    pub(super) locations: Vec<(u64, RawLocation)>,
}

/// More comments than anybody writes.
const MAX_COMMENTS: usize = 1024;

/// Types of values that a sample may have.
const MAX_TYPES: usize = 64;

impl<'a> Tables<'a> {
    pub(super) fn read(profile: &'a [u8], limits: &ReadLimits) -> Result<Self, PprofError> {
        let mut tables = Self::default();
        let mut lines = 0_usize;
        let mut fields = Fields::new(profile);
        while let Some((field, value)) = fields.next()? {
            tables.field(field, value, &mut lines, limits)?;
        }
        match tables.strings.first() {
            Some([]) => Ok(tables),
            _ => Err(Malformed::NoStringTable.into()),
        }
    }

    fn field(
        &mut self,
        field: u64,
        value: Value<'a>,
        lines: &mut usize,
        limits: &ReadLimits,
    ) -> Result<(), PprofError> {
        match field {
            1 => {
                room("types of values", self.sample_types.len(), MAX_TYPES)?;
                self.sample_types.push(value_type(value)?);
            }
            3 => {
                room("mappings", self.mappings.len(), limits.max_mappings)?;
                let mapping = mapping(value)?;
                if self.mappings.iter().any(|known| known.id == mapping.id) {
                    return Err(PprofError::Duplicate { what: "mapping", id: mapping.id });
                }
                self.mappings.push(mapping);
            }
            4 => {
                room("locations", self.locations.len(), limits.max_locations)?;
                let (id, location) = location(value)?;
                *lines += location.lines.len();
                room("lines of locations", lines.saturating_sub(1), limits.max_locations * 4)?;
                self.locations.push((id, location));
            }
            5 => {
                room("functions", self.functions.len(), limits.max_functions)?;
                let (id, function) = function(value)?;
                if self.functions.insert(id, function).is_some() {
                    return Err(PprofError::Duplicate { what: "function", id });
                }
            }
            6 => {
                room("texts", self.strings.len(), limits.max_strings)?;
                self.strings.push(value.bytes()?);
            }
            9 => self.time_nanos = value.number()?,
            11 => self.period_type = value_type(value)?,
            12 => self.period = value.number()?,
            13 if !numbers(value, MAX_COMMENTS, &mut self.comments)? => {
                return Err(PprofError::TooMany { what: "comments", limit: MAX_COMMENTS });
            }
            _ => {}
        }
        Ok(())
    }

    /// A text by its index; bytes that are no UTF-8 become U+FFFD.
    pub(super) fn text(&self, by: &'static str, index: u64) -> Result<&'a [u8], PprofError> {
        let at = usize::try_from(index).ok().and_then(|index| self.strings.get(index));
        at.copied().ok_or_else(|| Missing { by, what: "the text", id: index }.into())
    }
}

/// An error when there are `limit` already.
pub(super) fn room(what: &'static str, there: usize, limit: usize) -> Result<(), PprofError> {
    if there < limit { Ok(()) } else { Err(PprofError::TooMany { what, limit }) }
}

fn value_type(value: Value<'_>) -> Result<ValueType, PprofError> {
    let mut read = ValueType::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => read.name = value.number()?,
            2 => read.unit = value.number()?,
            _ => {}
        }
    }
    Ok(read)
}

fn mapping(value: Value<'_>) -> Result<RawMapping, PprofError> {
    let mut read = RawMapping::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => read.id = value.number()?,
            2 => read.start = value.number()?,
            3 => read.end = value.number()?,
            4 => read.file_offset = value.number()?,
            5 => read.path = value.number()?,
            6 => read.build_id = value.number()?,
            _ => {}
        }
    }
    Ok(read)
}

fn function(value: Value<'_>) -> Result<(u64, RawFunction), PprofError> {
    let mut id = 0;
    let mut read = RawFunction::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => id = value.number()?,
            2 => read.name = value.number()?,
            3 => read.system_name = value.number()?,
            4 => read.file = value.number()?,
            _ => {}
        }
    }
    Ok((id, read))
}

fn location(value: Value<'_>) -> Result<(u64, RawLocation), PprofError> {
    let mut id = 0;
    let mut read = RawLocation::default();
    let mut fields = Fields::new(value.bytes()?);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => id = value.number()?,
            2 => read.mapping = value.number()?,
            3 => read.address = value.number()?,
            4 => read.lines.push(line(value)?),
            _ => {}
        }
    }
    Ok((id, read))
}

/// A function's id and a line in it.
fn line(value: Value<'_>) -> Result<(u64, u64), PprofError> {
    let mut read = (0, 0);
    let mut fields = Fields::new(value.bytes()?);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => read.0 = value.number()?,
            2 => read.1 = value.number()?,
            _ => {}
        }
    }
    Ok(read)
}
