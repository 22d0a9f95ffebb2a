//! The bytes of a file of kept names: magic, version, checksum, and a payload in which every text stands once.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::dwarf::Call;
use super::super::elf::Segment;
use super::super::resolve::Quality;
use super::Known;

const MAGIC: &[u8; 8] = b"OOMENSYM";

/// Raised whenever the payload or the way of naming changes: an old file is then found afresh.
const VERSION: u32 = 1;

/// Numbers of the function and the file in the table of texts, from one on, and the line; zero is none.
type StoredCall = (u32, u32, u32);

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    build_id: &'a str,
    quality: Quality,
    code: Vec<Segment>,
    #[serde(borrow)]
    texts: Vec<&'a str>,
    places: Vec<(u64, Vec<StoredCall>)>,
}

/// The file's bytes; `None` when they cannot be made.
pub(super) fn encode(build_id: &str, known: &Known) -> Option<Vec<u8>> {
    let mut texts = Texts::default();
    let mut places = Vec::with_capacity(known.places.len());
    for (offset, calls) in &known.places {
        let calls = calls.iter().map(|call| {
            (texts.number(&call.function), texts.number(&call.file), call.line.unwrap_or_default())
        });
        places.push((*offset, calls.collect()));
    }
    let Known { quality, code, .. } = known;
    let stored =
        Stored { build_id, quality: *quality, code: code.clone(), texts: texts.all, places };
    let payload = postcard::to_stdvec(&stored).ok()?;
    let mut bytes = Vec::with_capacity(payload.len() + 16);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(crc32fast::hash(&payload).to_le_bytes());
    bytes.extend(payload);
    Some(bytes)
}

/// What a file's bytes say of a build; `None` when they are damaged, of another version or of another build.
pub(super) fn decode(bytes: &[u8], build_id: &str) -> Option<Known> {
    let (version, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (checksum, payload) = rest.split_first_chunk()?;
    if u32::from_le_bytes(*version) != VERSION
        || u32::from_le_bytes(*checksum) != crc32fast::hash(payload)
    {
        return None;
    }
    let stored: Stored<'_> = postcard::from_bytes(payload).ok()?;
    if stored.build_id != build_id {
        return None;
    }
    let texts: Vec<Arc<str>> = stored.texts.into_iter().map(Arc::from).collect();
    let text = |number: u32| {
        let number = usize::try_from(number).ok()?.checked_sub(1)?;
        texts.get(number).cloned()
    };
    let call = |(function, file, line): StoredCall| Call {
        function: text(function),
        file: text(file),
        line: (line != 0).then_some(line),
    };
    let place =
        |(offset, calls): (u64, Vec<StoredCall>)| (offset, calls.into_iter().map(call).collect());
    let places = stored.places.into_iter().map(place).collect();
    Some(Known { quality: stored.quality, code: stored.code, places })
}

/// Texts in the order of their numbers.
#[derive(Default)]
struct Texts<'a> {
    all: Vec<&'a str>,
    numbers: HashMap<&'a str, u32>,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a Option<Arc<str>>) -> u32 {
        let Some(text) = text.as_deref() else {
            return 0;
        };
        let next = u32::try_from(self.all.len() + 1).unwrap_or_default();
        *self.numbers.entry(text).or_insert_with(|| {
            self.all.push(text);
            next
        })
    }
}
