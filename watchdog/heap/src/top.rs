//! The functions that hold most, as a table.

mod text;

use watchdog_core::profile::{Frame, Profile};
use watchdog_core::units::Bytes;

use crate::difference::Difference;
use crate::functions::{Function, Functions, Owner, Place};
use crate::symbols::Symbols;
pub(crate) use text::signed;
pub use text::{difference_text, text};

/// What one function holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its name, or `module+0xoffset`.
    pub function: String,
    /// Source file of the place that holds most.
    pub file: Option<String>,
    /// Line of that place.
    pub line: Option<u32>,
    /// Bytes in use that it allocated itself or through libraries: it is the innermost frame of the program's own code,
    /// or, where a stack has none, the innermost outside the allocator.
    pub flat: Bytes,
    /// The same as a part of all bytes in use, 0 to 1.
    pub flat_share: f64,
    /// Bytes in use that it or what it called allocated.
    pub cumulative: Bytes,
    /// The same as a part of all bytes in use, 0 to 1.
    pub cumulative_share: f64,
    /// Objects in use that it allocated itself.
    pub objects: u64,
}

/// How what one function holds changed; negative where it shrank.
#[derive(Clone, Debug, PartialEq)]
pub struct DeltaRow {
    /// Its name, or `module+0xoffset`.
    pub function: String,
    /// Source file of the place that changed most.
    pub file: Option<String>,
    /// Line of that place.
    pub line: Option<u32>,
    /// As [`Row::flat`], after minus before.
    pub flat: i64,
    /// The same as a part of all change, growth and shrinkage added up; -1 to 1.
    pub flat_share: f64,
    /// As [`Row::cumulative`], after minus before.
    pub cumulative: i64,
    /// The same as a part of all change; -1 to 1.
    pub cumulative_share: f64,
    /// As [`Row::objects`], after minus before.
    pub objects: i64,
}

/// The functions that hold most by themselves, at most `limit`. What lies inside them on a stack, the allocator and the
/// containers they allocate through, has no row.
pub fn rows(profile: &Profile, symbols: &Symbols, limit: usize) -> Vec<Row> {
    let mut sums = Table::new(Functions::new(symbols, &profile.mappings));
    for sample in &profile.stacks {
        let (space, objects) = (i128::from(sample.inuse_space.0), i128::from(sample.inuse_objects));
        if space > 0 {
            sums.add(&sample.stack, space, objects);
        }
    }
    let total = sums.total.max(1) as f64;
    let row = |(function, sum): (String, Sum<'_>)| Row {
        function,
        file: sum.place.and_then(|place| place.file.clone()),
        line: sum.place.and_then(|place| place.line),
        flat: Bytes(clamped(sum.flat)),
        flat_share: sum.flat as f64 / total,
        cumulative: Bytes(clamped(sum.cumulative)),
        cumulative_share: sum.cumulative as f64 / total,
        objects: clamped(sum.objects),
    };
    sums.largest(limit).into_iter().map(row).collect()
}

/// The functions that grew most by themselves, at most `limit`; those that shrank come last.
pub fn difference_rows(difference: &Difference, symbols: &Symbols, limit: usize) -> Vec<DeltaRow> {
    let mut sums = Table::new(Functions::new(symbols, &difference.mappings));
    for row in &difference.stacks {
        sums.add(&row.stack, i128::from(row.inuse_space), i128::from(row.inuse_objects));
    }
    let total = sums.total.max(1) as f64;
    let row = |(function, sum): (String, Sum<'_>)| DeltaRow {
        function,
        file: sum.place.and_then(|place| place.file.clone()),
        line: sum.place.and_then(|place| place.line),
        flat: clamped(sum.flat),
        flat_share: sum.flat as f64 / total,
        cumulative: clamped(sum.cumulative),
        cumulative_share: sum.cumulative as f64 / total,
        objects: clamped(sum.objects),
    };
    sums.largest(limit).into_iter().map(row).collect()
}

/// The nearest number that fits.
fn clamped<T: TryFrom<i128> + Limits>(value: i128) -> T {
    T::try_from(value).unwrap_or(if value < 0 { T::LEAST } else { T::MOST })
}

trait Limits {
    const LEAST: Self;
    const MOST: Self;
}

impl Limits for u64 {
    const LEAST: Self = Self::MIN;
    const MOST: Self = Self::MAX;
}

impl Limits for i64 {
    const LEAST: Self = Self::MIN;
    const MOST: Self = Self::MAX;
}

/// Sums of one function.
#[derive(Clone, Copy, Debug, Default)]
struct Sum<'a> {
    flat: i128,
    cumulative: i128,
    objects: i128,
    /// The frame of the stack that changed most, and by how much.
    place: Option<&'a Frame>,
    place_weight: u128,
    /// The stack that was counted last, so that a recursion counts once.
    counted: u64,
}

struct Table<'a> {
    functions: Functions<'a>,
    sums: Vec<Sum<'a>>,
    /// The frames of the stack at hand; its memory is used again.
    frames: Vec<Place<'a>>,
    /// Growth and shrinkage added up.
    total: u128,
    stacks: u64,
}

impl<'a> Table<'a> {
    fn new(functions: Functions<'a>) -> Self {
        Self { functions, sums: Vec::new(), frames: Vec::new(), total: 0, stacks: 0 }
    }

    fn add(&mut self, stack: &[u64], space: i128, objects: i128) {
        self.total += space.unsigned_abs();
        self.stacks += 1;
        let mut frames = std::mem::take(&mut self.frames);
        frames.clear();
        for address in stack {
            let (from, to) = self.functions.range(*address);
            frames.extend((from..to).filter_map(|place| self.functions.place(place)));
        }
        let find = |is_owner: &dyn Fn(Owner) -> bool| {
            frames.iter().position(|place| self.owner(place.function).is_some_and(is_owner))
        };
        let owner = find(&|owner| owner == Owner::Program)
            .or_else(|| find(&|owner| owner != Owner::Allocator))
            .unwrap_or(0);
        let (function, frame) = match frames.get(owner) {
            Some(place) => (place.function, place.frame),
            None => (self.functions.number("(no stack)", Owner::Nobody), None),
        };
        for place in frames.iter().skip(owner) {
            self.count(place.function, place.frame, space);
        }
        self.frames = frames;
        self.count(function, frame, space);
        if let Some(sum) = self.sums.get_mut(function as usize) {
            sum.flat += space;
            sum.objects += objects;
        }
    }

    fn owner(&self, function: u32) -> Option<Owner> {
        self.functions.get(function).map(|function| function.owner)
    }

    /// Adds to what a function and its callees hold, once per stack.
    fn count(&mut self, function: u32, frame: Option<&'a Frame>, space: i128) {
        if self.sums.len() < self.functions.len() {
            self.sums.resize(self.functions.len(), Sum::default());
        }
        let Some(sum) = self.sums.get_mut(function as usize) else { return };
        if sum.counted == self.stacks {
            return;
        }
        sum.counted = self.stacks;
        sum.cumulative += space;
        if sum.place.is_none() || space.unsigned_abs() > sum.place_weight {
            sum.place = frame;
            sum.place_weight = space.unsigned_abs();
        }
    }

    /// The rows with the largest flat sums, then the program's own with the largest cumulative ones, then the others'.
    fn largest(self, limit: usize) -> Vec<(String, Sum<'a>)> {
        let Self { functions, sums, .. } = self;
        let mut rows: Vec<_> = (0..)
            .zip(sums)
            .filter(|(_, sum)| sum.flat != 0 || sum.cumulative != 0)
            .filter_map(|(number, sum)| Some((functions.get(number)?, sum)))
            .collect();
        rows.sort_by(|(a_function, a), (b_function, b)| {
            let is_own = |function: &Function| function.owner == Owner::Program;
            let rank = |function, sum: &Sum<'_>| (sum.flat, is_own(function), sum.cumulative);
            rank(b_function, b)
                .cmp(&rank(a_function, a))
                .then_with(|| a_function.name.cmp(&b_function.name))
        });
        rows.truncate(limit);
        rows.into_iter().map(|(function, sum)| (function.name.clone(), sum)).collect()
    }
}
