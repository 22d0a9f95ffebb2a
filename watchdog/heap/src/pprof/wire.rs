//! Protobuf on the wire: numbers, and fields with their lengths.

use super::error::{Malformed, PprofError};

/// A field number and the kind of what follows, as protobuf puts them in front of every field.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED_32: u64 = 5;

/// A message that is being put together.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) bytes: Vec<u8>,
}

impl Message {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A number. Zero is what a missing field means, and is left out.
    pub(super) fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.raw(field << 3 | VARINT);
            self.raw(value);
        }
    }

    /// A signed number; negative ones take ten bytes, as `int64` does.
    pub(super) fn signed(&mut self, field: u64, value: i64) {
        self.number(field, value as u64);
    }

    pub(super) fn flag(&mut self, field: u64, value: bool) {
        self.number(field, u64::from(value));
    }

    /// Bytes: a text, a message, or numbers one after the other.
    pub(super) fn length_delimited(&mut self, field: u64, bytes: &[u8]) {
        self.raw(field << 3 | LENGTH);
        self.raw(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A float or a fixed number, which no field of a profile is.
    Other,
}

/// The fields of a message, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field's number and value; `None` at the end of the message.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, PprofError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = varint(&mut self.rest)?;
        let value = match key & 7 {
            VARINT => Value::Number(varint(&mut self.rest)?),
            LENGTH => {
                let length = varint(&mut self.rest)?;
                Value::Bytes(self.take(length)?)
            }
            FIXED_64 => self.take(8).map(|_| Value::Other)?,
            FIXED_32 => self.take(4).map(|_| Value::Other)?,
            kind => return Err(Malformed::Kind(kind).into()),
        };
        if key >> 3 == 0 {
            return Err(Malformed::FieldZero.into());
        }
        Ok(Some((key >> 3, value)))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], PprofError> {
        let (taken, rest) = usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length))
            .ok_or(Malformed::CutShort)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// A number of at most 64 bits in groups of seven, lowest first.
pub(super) fn varint(rest: &mut &[u8]) -> Result<u64, PprofError> {
    let mut value = 0_u64;
    for place in 0..10 {
        let Some((byte, tail)) = rest.split_first() else {
            return Err(Malformed::CutShort.into());
        };
        *rest = tail;
        // The tenth group has one bit left.
        if place == 9 && *byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed::EndlessNumber.into())
}

/// Numbers of a repeated field, which come one per field or packed into one: puts them all into `into`.
/// More than `most` are a `false`.
pub(super) fn numbers(
    value: Value<'_>,
    most: usize,
    into: &mut Vec<u64>,
) -> Result<bool, PprofError> {
    let mut packed = match value {
        Value::Number(number) => {
            into.push(number);
            return Ok(into.len() <= most);
        }
        Value::Bytes(packed) => packed,
        Value::Other => return Err(Malformed::WrongKind.into()),
    };
    while !packed.is_empty() {
        if into.len() == most {
            return Ok(false);
        }
        into.push(varint(&mut packed)?);
    }
    Ok(true)
}

impl<'a> Value<'a> {
    pub(super) fn number(self) -> Result<u64, PprofError> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(Malformed::WrongKind.into()),
        }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], PprofError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::WrongKind.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_read_as_written() {
        for value in (0..64).map(|bits| u64::MAX >> bits).chain([0, 127, 128, 300]) {
            let mut message = Message::default();
            message.raw(value);
            assert_eq!(varint(&mut message.bytes.as_slice()).expect("a number"), value);
        }
    }

    #[test]
    fn a_number_without_end_and_one_beyond_64_bits_are_refused() {
        for bytes in [[0xff; 20].as_slice(), &[0x80; 11], &[0xff; 9], &[]] {
            assert!(varint(&mut &*bytes).is_err(), "{bytes:?}");
        }
        let mut beyond = [0xff; 10];
        beyond[9] = 2;
        assert!(varint(&mut beyond.as_slice()).is_err());
    }
}
