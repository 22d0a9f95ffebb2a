//! A service as it is before anything happens to it: its limit, its habits, and what of it can be seen.
//!
//! All amounts are fractions of the limit unless they say bytes.

use super::dice::Dice;

const MIB: f64 = 1024.0 * 1024.0;

/// Memory that requests hold while they are served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// How much: the median is `TYPICAL` of it, bursts go up to `BURST` times it.
    pub(super) scale: f64,
    /// Spread of its logarithm.
    pub(super) spread: f64,
    /// Seconds over which it forgets itself.
    pub(super) memory: f64,
}

impl Work {
    /// The median as a share of the scale.
    pub(super) const TYPICAL: f64 = 0.4;
    /// Where bursts end, in scales: no service takes more requests at a time than it has workers.
    pub(super) const BURST: f64 = 2.5;
}

/// One service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// Bytes; whole mebibytes, as people write limits.
    pub(super) limit: f64,
    /// All unreclaimable memory once it is warm and idle.
    pub(super) base: f64,
    /// Of the base: stacks, the binary's data, everything anonymous that is not the allocator's.
    pub(super) outside: f64,
    /// Of the base: what the allocator uses for itself.
    pub(super) metadata: f64,
    /// Of the base: shared memory.
    pub(super) shmem: f64,
    /// Mapped files: the binary and its libraries. Not part of the base.
    pub(super) file: f64,
    /// By how much active pages exceed allocated bytes.
    pub(super) slack: f64,
    /// Seconds after which freed pages have mostly gone back to the kernel.
    pub(super) decay: f64,
    /// How much of fragmentation the allocator counts as active, the rest only as resident.
    pub(super) scattered: f64,
    /// Request memory.
    pub(super) work: Work,
    /// Share of the heap's base that is there at start.
    pub(super) cold: f64,
    /// Seconds of the warm-up's time constant.
    pub(super) warm_up: f64,
    /// How far the base wanders by itself, as a standard deviation.
    pub(super) wander: f64,
    /// Seconds over which the wandering forgets itself.
    pub(super) wander_memory: f64,
    /// Requests a second on average.
    pub(super) requests: f64,
    /// The allocator is read on every n-th sample, if at all.
    pub(super) reads_allocator: Option<usize>,
    /// Whether a request counter is known.
    pub(super) shows_load: bool,
    /// Whether the allocator says that heap profiling is on.
    pub(super) profiling: bool,
}

impl Service {
    /// A pod as clusters have them: 64 MiB to 16 GiB, a tenth to a half of it in use.
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let limit = (dice.scale(64.0, 16_384.0)).round() * MIB;
        // A quarter at most, or the smallest pods would hold nothing but their binary.
        let outside = (dice.between(3.0, 20.0) * MIB / limit).min(0.25);
        let base = dice.between(0.1, 0.5).max(1.5 * outside);
        let heap = base - outside;
        Self {
            limit,
            base,
            outside,
            metadata: heap * dice.between(0.01, 0.04),
            shmem: if dice.chance(0.2) { heap * dice.between(0.01, 0.1) } else { 0.0 },
            file: (dice.scale(5.0, 80.0) * MIB / limit).min(0.2),
            slack: dice.between(0.025, 0.095),
            decay: dice.scale(5.0, 600.0),
            scattered: dice.between(0.3, 1.0),
            work: Work {
                scale: dice.scale(0.002, 0.04),
                spread: dice.between(0.5, 1.0),
                memory: dice.scale(2.0, 120.0),
            },
            cold: dice.between(0.2, 0.7),
            warm_up: dice.scale(5.0, 120.0),
            wander: dice.between(0.0, 0.006),
            wander_memory: dice.scale(600.0, 21_600.0),
            requests: dice.scale(5.0, 3000.0),
            reads_allocator: dice.chance(0.7).then(|| dice.pick(&[1, 3], 1)),
            shows_load: dice.chance(0.5),
            profiling: dice.chance(0.5),
        }
    }
}
