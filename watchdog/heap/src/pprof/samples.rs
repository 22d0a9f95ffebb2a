//! The samples of a profile, once it is known what they refer to.

use watchdog_core::profile::{Label, LabelValue, Labelled, StackSample};
use watchdog_core::units::Bytes;

use super::error::{Malformed, Missing, PprofError};
use super::message::{Tables, ValueType, room};
use super::read::{ReadLimits, Texts};
use super::wire::{Fields, Value, numbers};
use crate::addresses::{AddressMap, StackIndex};
use crate::jemalloc::sampled_objects;

/// Bytes between two samples that Go and jemalloc both take unless they are told otherwise. Only used to estimate
/// how many samples stand behind a figure when the profile does not say its period.
const USUAL_PERIOD: u64 = 512 << 10;

/// Which value of a sample is which figure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    count: usize,
    inuse_space: Option<usize>,
    inuse_objects: Option<usize>,
    alloc_space: Option<usize>,
    alloc_objects: Option<usize>,
}

impl Columns {
    pub(super) fn find(tables: &Tables<'_>) -> Result<Self, PprofError> {
        let text = |index| tables.text("a type of value", index);
        let mut types = Vec::new();
        for ValueType { name, unit } in &tables.sample_types {
            types.push((text(*name)?, text(*unit)?));
        }
        let column = |names: [&str; 2], unit: &str| {
            names.iter().find_map(|name| {
                types.iter().position(|(n, u)| *n == name.as_bytes() && *u == unit.as_bytes())
            })
        };
        let columns = Self {
            count: types.len(),
            inuse_space: column(["inuse_space", "space"], "bytes"),
            inuse_objects: column(["inuse_objects", "objects"], "count"),
            alloc_space: column(["alloc_space"; 2], "bytes"),
            alloc_objects: column(["alloc_objects"; 2], "count"),
        };
        if columns.inuse_space.is_none() && columns.alloc_space.is_none() {
            return Err(PprofError::NotAHeapProfile { found: listed(&types) });
        }
        Ok(columns)
    }

    /// The figures of one sample, without its stack.
    fn figures(&self, values: &[u64]) -> Result<Labelled, PprofError> {
        if values.len() != self.count {
            let (found, wanted) = (values.len(), self.count);
            return Err(Malformed::Values { found, wanted }.into());
        }
        let value = |column: Option<usize>| {
            let value = column.and_then(|column| values.get(column)).copied().unwrap_or(0);
            if value > i64::MAX as u64 {
                return Err(PprofError::Negative(value as i64));
            }
            Ok(value)
        };
        Ok(Labelled {
            labels: Vec::new(),
            inuse_space: Bytes(value(self.inuse_space)?),
            inuse_objects: value(self.inuse_objects)?,
            alloc_space: Bytes(value(self.alloc_space)?),
            alloc_objects: value(self.alloc_objects)?,
        })
    }
}

/// `cpu/nanoseconds, samples/count` for an error, printable and short.
fn listed(types: &[(&[u8], &[u8])]) -> String {
    const SHOWN: usize = 8;
    if types.is_empty() {
        return "nothing".to_owned();
    }
    let short = |text: &[u8]| text.get(..40).unwrap_or(text).escape_ascii().to_string();
    let mut listed: Vec<String> = types
        .iter()
        .take(SHOWN)
        .map(|(name, unit)| format!("{}/{}", short(name), short(unit)))
        .collect();
    listed.extend((types.len() > SHOWN).then(|| "…".to_owned()));
    listed.join(", ")
}

/// Reads samples and merges those with the same stack.
pub(super) struct Samples<'a> {
    pub(super) merged: Vec<StackSample>,
    columns: Columns,
    period: u64,
    addresses: &'a AddressMap<u64>,
    limits: &'a ReadLimits,
    index: StackIndex,
    frames: usize,
    labels: usize,
    stack: Vec<u64>,
    values: Vec<u64>,
}

impl<'a> Samples<'a> {
    pub(super) fn new(
        columns: Columns,
        period: u64,
        addresses: &'a AddressMap<u64>,
        limits: &'a ReadLimits,
    ) -> Self {
        Self {
            merged: Vec::new(),
            columns,
            period: if period > 0 { period } else { USUAL_PERIOD },
            addresses,
            limits,
            index: StackIndex::default(),
            frames: 0,
            labels: 0,
            stack: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(super) fn read(&mut self, profile: &[u8], texts: &mut Texts<'_>) -> Result<(), PprofError> {
        let mut seen = 0;
        let mut fields = Fields::new(profile);
        while let Some((field, value)) = fields.next()? {
            if field == 2 {
                room("samples", seen, self.limits.max_samples)?;
                seen += 1;
                self.sample(value, texts)?;
            }
        }
        for sample in &mut self.merged {
            // Labels that no part has are no labels.
            if sample.labelled.iter().all(|part| part.labels.is_empty()) {
                sample.labelled = Vec::new();
            }
            let (space, objects) = (sample.inuse_space.0, sample.inuse_objects);
            sample.samples = sampled_objects(space, objects, self.period);
        }
        Ok(())
    }

    fn sample(&mut self, value: Value<'_>, texts: &mut Texts<'_>) -> Result<(), PprofError> {
        self.stack.clear();
        self.values.clear();
        let mut labels = Vec::new();
        let mut fields = Fields::new(value.bytes()?);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 if !numbers(value, self.limits.max_depth, &mut self.stack)? => {
                    let limit = self.limits.max_depth;
                    return Err(PprofError::TooMany { what: "frames in one stack", limit });
                }
                2 => drop(numbers(value, self.columns.count + 1, &mut self.values)?),
                3 => {
                    room("labels", self.labels, self.limits.max_labels)?;
                    self.labels += 1;
                    labels.push(label(value, texts)?);
                }
                _ => {}
            }
        }
        let mut figures = self.columns.figures(&self.values)?;
        figures.labels = labels;
        for id in &mut self.stack {
            let address = self.addresses.get(id);
            *id = *address.ok_or(Missing { by: "a sample", what: "the location", id: *id })?;
        }
        self.merge(figures)
    }

    fn merge(&mut self, part: Labelled) -> Result<(), PprofError> {
        let nothing =
            part.inuse_space.0 | part.alloc_space.0 | part.inuse_objects | part.alloc_objects;
        if nothing == 0 {
            return Ok(());
        }
        let next = u32::try_from(self.merged.len()).unwrap_or(u32::MAX);
        let merged = &self.merged;
        let known = self.index.find_or_enter(&self.stack, next, |at| {
            merged.get(at as usize).map(|sample| sample.stack.as_slice())
        });
        if known.is_none() {
            self.frames += self.stack.len();
            if self.frames > self.limits.max_frames {
                let limit = self.limits.max_frames;
                return Err(PprofError::TooMany { what: "frames in all stacks", limit });
            }
            let stack = self.stack.clone();
            self.merged.push(StackSample { stack, ..StackSample::default() });
        }
        let at = known.unwrap_or(next) as usize;
        if let Some(sample) = self.merged.get_mut(at) {
            add(sample, part);
        }
        Ok(())
    }
}

fn add(sample: &mut StackSample, part: Labelled) {
    sample.inuse_space = sample.inuse_space + part.inuse_space;
    sample.inuse_objects = sample.inuse_objects.saturating_add(part.inuse_objects);
    sample.alloc_space = sample.alloc_space + part.alloc_space;
    sample.alloc_objects = sample.alloc_objects.saturating_add(part.alloc_objects);
    // Parts without labels are one, whatever their number: a profile without labels must not grow by them.
    match sample.labelled.last_mut() {
        Some(last) if last.labels.is_empty() && part.labels.is_empty() => {
            last.inuse_space = last.inuse_space + part.inuse_space;
            last.inuse_objects = last.inuse_objects.saturating_add(part.inuse_objects);
            last.alloc_space = last.alloc_space + part.alloc_space;
            last.alloc_objects = last.alloc_objects.saturating_add(part.alloc_objects);
        }
        _ => sample.labelled.push(part),
    }
}

fn label(value: Value<'_>, texts: &mut Texts<'_>) -> Result<Label, PprofError> {
    let (mut key, mut text, mut number, mut unit) = (0, 0, 0, 0);
    let mut fields = Fields::new(value.bytes()?);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => key = value.number()?,
            2 => text = value.number()?,
            3 => number = value.number()?,
            4 => unit = value.number()?,
            _ => {}
        }
    }
    let by = "a label";
    let key = texts.owned(by, key)?;
    let value = if text == 0 {
        LabelValue::Number { value: number as i64, unit: texts.owned(by, unit)? }
    } else {
        LabelValue::Text(texts.owned(by, text)?)
    };
    Ok(Label { key, value })
}
