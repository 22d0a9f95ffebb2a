//! Made-up heap dumps of a real program: its own code addresses in stacks that nobody took.
//!
//! The same seed gives the same dump, so that every tool reads the same, and stacks of any number can be had without a
//! process that has as many. Addresses are spread over all functions of the program, which is the worst case for
//! whoever names them: those of real stacks are closer together.

mod code;

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) use code::Code;

/// Frames of each stack.
pub(crate) const DEPTH: usize = 42;
/// jemalloc's default period, `lg_prof_sample:19`.
const PERIOD: u64 = 512 << 10;
/// Sizes of sampled objects.
const SIZES: [u64; 6] = [64, 256, 1024, 4096, 14_336, 65_536];
/// Stacks that hold more in each later dump.
const GROWING: usize = 40;
/// Sampled objects that the first of them gains from dump to dump; each gains a tenth less than the one before.
const GAIN: f64 = 400.0;

/// How large a dump is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Distinct stacks.
    pub(crate) stacks: usize,
    /// Distinct addresses in them.
    pub(crate) addresses: usize,
}

impl Size {
    /// The sizes that are measured.
    pub(crate) const ALL: [Self; 3] = [
        Self { stacks: 1_000, addresses: 500 },
        Self { stacks: 10_000, addresses: 5_000 },
        Self { stacks: 100_000, addresses: 20_000 },
    ];

    /// As people say it.
    pub(crate) fn name(self) -> String {
        format!("{}k stacks", self.stacks / 1000)
    }
}

/// Dumps of one program.
pub(crate) struct Dumps<'a> {
    code: &'a Code,
    stacks: Vec<[u64; DEPTH]>,
    held: Vec<(u64, u64)>,
}

impl<'a> Dumps<'a> {
    /// The stacks that this seed gives.
    pub(crate) fn new(code: &'a Code, size: Size, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let addresses = addresses(code, size.addresses, &mut random);
        let stack = |random: &mut ChaCha8Rng| {
            std::array::from_fn(|_| addresses[random.random_range(0..addresses.len())])
        };
        let stacks = (0..size.stacks).map(|_| stack(&mut random)).collect();
        let held = (0..size.stacks)
            .map(|_| (random.random_range(1..20), SIZES[random.random_range(0..SIZES.len())]))
            .collect();
        Self { code, stacks, held }
    }

    /// Writes the dump of a round; from round to round some of the stacks hold more, and none less.
    pub(crate) fn write(&self, round: u32, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        let mut out = BufWriter::new(file);
        let rows = || self.held.iter().enumerate().map(|(at, held)| grown(at, *held, round));
        let objects: u64 = rows().map(|(objects, _)| objects).sum();
        let bytes: u64 = rows().map(|(objects, size)| objects * size).sum();
        writeln!(out, "heap_v2/{PERIOD}\n  t*: {objects}: {bytes} [0: 0]")?;
        writeln!(out, "  t0: {objects}: {bytes} [0: 0]")?;
        for (stack, (objects, size)) in self.stacks.iter().zip(rows()) {
            write!(out, "@")?;
            for address in stack {
                write!(out, " {address:#x}")?;
            }
            let bytes = objects * size;
            writeln!(out, "\n  t*: {objects}: {bytes} [0: 0]\n  t0: {objects}: {bytes} [0: 0]")?;
        }
        writeln!(out, "\nMAPPED_LIBRARIES:\n{}", self.code.mapping_line())?;
        out.flush().with_context(|| format!("writing {}", path.display()))
    }
}

/// Objects that a stack holds in a round, and their size.
fn grown(at: usize, (objects, size): (u64, u64), round: u32) -> (u64, u64) {
    let gain = if at < GROWING { (GAIN * 0.9_f64.powf(at as f64)) as u64 } else { 0 };
    (objects + gain * u64::from(round), size)
}

fn addresses(code: &Code, count: usize, random: &mut impl Rng) -> Vec<u64> {
    let mut seen = HashSet::new();
    let mut addresses = Vec::with_capacity(count);
    // Small programs may have fewer places than are asked for.
    for _ in 0..count * 50 {
        let address = code.place(random.random(), random.random());
        if seen.insert(address) {
            addresses.push(address);
        }
        if addresses.len() == count {
            break;
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use watchdog_core::units::WallTime;
    use watchdog_heap::jemalloc::{ParseLimits, parse};

    use super::*;

    #[test]
    fn a_dump_is_read_back_with_as_many_stacks_and_grows_from_round_to_round() {
        let code = Code::of(&std::env::current_exe().unwrap()).unwrap();
        let size = Size { stacks: 300, addresses: 100 };
        let dumps = Dumps::new(&code, size, 1);
        let directory = tempfile::tempdir().unwrap();
        let read = |round| {
            let path = directory.path().join(format!("{round}.heap"));
            dumps.write(round, &path).unwrap();
            parse(&std::fs::read(&path).unwrap(), WallTime(0.0), &ParseLimits::default()).unwrap()
        };
        let (first, second) = (read(0), read(1));
        assert_eq!((first.stacks.len(), second.stacks.len()), (300, 300));
        assert!(second.inuse_space() > first.inuse_space());
        let mapping = &first.mappings[0];
        let all: HashSet<u64> = first.stacks.iter().flat_map(|one| one.stack.clone()).collect();
        assert_eq!(all.len(), 100);
        assert!(all.iter().all(|address| (mapping.start..mapping.end).contains(address)));
    }

    #[test]
    fn the_same_seed_gives_the_same_dump() {
        let code = Code::of(&std::env::current_exe().unwrap()).unwrap();
        let size = Size { stacks: 10, addresses: 10 };
        let stacks = |seed| Dumps::new(&code, size, seed).stacks;
        assert_eq!(stacks(5), stacks(5));
        assert_ne!(stacks(5), stacks(6));
    }
}
