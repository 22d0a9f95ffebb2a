//! Heap profiles out of a flight recorder, from what it holds at one moment.

use oomen_recorder::{RecordedStack, Snapshot};
use watchdog_core::profile::{Mapping, Profile, StackSample};
use watchdog_core::units::{Bytes, WallTime};

/// The profile in a snapshot of the process that has these mappings. Its figures are corrected for sampling one by one,
/// so nothing is corrected here. Samples whose stack found no room stand under an empty stack.
pub fn profile(snapshot: &Snapshot, mappings: Vec<Mapping>, taken: WallTime) -> Profile {
    let sample = |recorded: &RecordedStack| StackSample {
        stack: snapshot.frames(recorded).to_vec(),
        inuse_space: Bytes(recorded.inuse_bytes),
        inuse_objects: recorded.inuse_objects,
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
