//! Heap profiles out of a flight recorder, from what it holds at one moment.

use oomen_recorder::{RecordedStack, Snapshot};
use watchdog_core::profile::{Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};

/// The profile in a snapshot of the process that has these mappings. Its figures are corrected for sampling one by one;
/// those in use are also brought to the sum that the allocator knows. Samples whose stack found no room stand under an
/// empty stack.
pub fn profile(snapshot: &Snapshot, mappings: Vec<Mapping>, taken: WallTime) -> Profile {
    let correction = correction(snapshot);
    let corrected = |value: u64| (value as f64 * correction).round() as u64;
    let sample = |recorded: &RecordedStack| StackSample {
        stack: snapshot.frames(recorded).to_vec(),
        inuse_space: Bytes(corrected(recorded.inuse_bytes)),
        inuse_objects: corrected(recorded.inuse_objects),
        alloc_space: Bytes(recorded.alloc_bytes),
        alloc_objects: recorded.alloc_objects,
        samples: recorded.inuse_samples,
        ..StackSample::default()
    };
    let mut stacks: Vec<StackSample> = snapshot.stacks.iter().map(sample).collect();
    stacks.sort_unstable_by(|a, b| a.stack.cmp(&b.stack));
    let drops = &snapshot.drops;
    Profile {
        taken,
        stacks,
        mappings,
        sample_period: Bytes(snapshot.period),
        lost_samples: drops.stacks_full.saturating_add(drops.live_full),
    }
}

/// What the allocator knew at its last statistics corrects what was sampled since as well, as nearly all of it is the
/// same objects. Where objects were lost the two sums differ for another reason.
fn correction(snapshot: &Snapshot) -> f64 {
    match snapshot.statistics {
        Some(statistics) if snapshot.drops.live_full == 0 => statistics.correction(snapshot.period),
        _ => 1.0,
    }
}
