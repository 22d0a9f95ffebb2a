//! Which function keeps the memory: the difference of two profiles, and the first frame of the user's own code.
//!
//! Statistic: growth of `inuse_space` per raw stack between the first profile of a ramp and the last. Not the
//! largest stack: a big cache that was there from the start is no news. Addresses are compared first and only
//! the winners get names, because naming is what costs.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::profile::{Frame, Profile, StackSample};
use crate::units::Bytes;

/// A stack is only named on at least this many sampled allocations of growth. The relative error of n samples is
/// about 1/sqrt(n): 25 % here. Fewer would accuse on noise; more would be silent while a small limit is filled
/// (16 samples at jemalloc's default period of 512 KiB are 8 MiB).
pub const MIN_SAMPLES: u64 = 16;

/// Stacks whose growth is symbolized; the rest of a long tail cannot change who is first.
pub const MAX_NAMED_STACKS: usize = 10;

/// Frames kept of the culprit's stack: who called it is answered by the first few; async runtimes stack up dozens.
pub const MAX_FRAMES: usize = 24;

/// How much one stack grew between two profiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Growth {
    /// Return addresses, innermost first.
    pub stack: Vec<u64>,
    /// Bytes held now and not before.
    pub bytes: Bytes,
    /// Sampled allocations that this growth rests on.
    pub samples: u64,
}

/// Growth per stack from `first` to `last`, largest first. Stacks that shrank or stayed are left out.
pub fn growth(first: &Profile, last: &Profile) -> Vec<Growth> {
    let before: HashMap<&[u64], &StackSample> =
        first.stacks.iter().map(|stack| (stack.stack.as_slice(), stack)).collect();
    let mut grown: Vec<Growth> = last
        .stacks
        .iter()
        .filter_map(|now| {
            let then = before.get(now.stack.as_slice());
            let bytes = now.inuse_space - then.map_or(Bytes(0), |then| then.inuse_space);
            let samples = now.samples.saturating_sub(then.map_or(0, |then| then.samples));
            (bytes.0 > 0).then(|| Growth { stack: now.stack.clone(), bytes, samples })
        })
        .collect();
    grown.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.stack.cmp(&b.stack)));
    grown
}

/// The function that keeps the memory, and what the accusation rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Culprit {
    /// The first frame of the user's own code.
    pub frame: Frame,
    /// Bytes it holds more than in the first profile.
    pub growth: Bytes,
    /// That growth as a share of all growth between the two profiles, 0 to 1.
    pub share: f64,
    /// Sampled allocations that the growth rests on.
    pub samples: u64,
    /// Seconds between the two profiles.
    pub over_seconds: f64,
    /// The stack of it that grew most, from the accused frame outwards, at most [`MAX_FRAMES`] frames.
    pub stack: Vec<Frame>,
}

/// Why nobody is accused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum NotYet {
    /// The profiles do not differ enough.
    #[error(
        "no function named yet: the growth rests on {samples} sampled allocations, {needed} are needed"
    )]
    TooFewSamples {
        /// Samples there are.
        samples: u64,
        /// Samples needed.
        needed: u64,
    },
    /// Nothing in the profile grew.
    #[error("no function named yet: no stack holds more than in the first profile")]
    NothingGrew,
    /// Every stack that grew is library code or could not be resolved.
    #[error(
        "no function named: no frame of the stacks that grew is the program's own code; is the binary stripped?"
    )]
    NoOwnFrame,
}

/// Names the culprit of the growth from `first` to `last`. `resolve` turns one raw stack into frames, innermost
/// first, and is called for at most [`MAX_NAMED_STACKS`] stacks.
///
/// # Errors
/// [`NotYet`] when the evidence does not bear an accusation.
pub fn name_culprit(
    first: &Profile,
    last: &Profile,
    mut resolve: impl FnMut(&[u64]) -> Vec<Frame>,
) -> Result<Culprit, NotYet> {
    let grown = growth(first, last);
    let total: f64 = grown.iter().map(|growth| growth.bytes.as_f64()).sum();
    if grown.is_empty() {
        return Err(NotYet::NothingGrew);
    }
    let mut suspects: Vec<Culprit> = Vec::new();
    for growth in grown.iter().take(MAX_NAMED_STACKS) {
        let frames = resolve(&growth.stack);
        let Some(own) = frames.iter().position(is_own_code) else { continue };
        let frames = outwards(frames, own);
        // Several stacks that end in the same function are one suspect.
        match suspects.iter_mut().find(|s| s.frame.function == frames[0].function) {
            Some(suspect) => {
                suspect.growth = suspect.growth + growth.bytes;
                suspect.samples += growth.samples;
            }
            None => suspects.push(Culprit {
                frame: frames[0].clone(),
                growth: growth.bytes,
                share: 0.0,
                samples: growth.samples,
                over_seconds: (last.taken.0 - first.taken.0).max(0.0),
                stack: frames,
            }),
        }
    }
    let Some(mut winner) = suspects.into_iter().max_by_key(|suspect| suspect.growth) else {
        return Err(NotYet::NoOwnFrame);
    };
    if winner.samples < MIN_SAMPLES {
        return Err(NotYet::TooFewSamples { samples: winner.samples, needed: MIN_SAMPLES });
    }
    winner.share = winner.growth.as_f64() / total;
    Ok(winner)
}

/// The stack from the accused frame outwards. What lies inside it is the allocator and the containers it was called
/// through; naming them tells nobody anything.
fn outwards(mut frames: Vec<Frame>, own: usize) -> Vec<Frame> {
    frames.drain(..own);
    frames.truncate(MAX_FRAMES);
    frames
}

fn is_allocator(function: &str) -> bool {
    const PREFIXES: [&str; 13] = [
        "_rjem_",
        "prof_",
        "je_",
        "__rust_",
        "__rustc",
        "alloc::alloc::",
        "alloc::raw_vec::",
        "<tikv_jemallocator::",
        "tikv_jemallocator::",
        "imalloc",
        "do_rallocx",
        "ialloc",
        "arena_",
    ];
    let name = function.trim_start_matches('<');
    PREFIXES.iter().any(|prefix| function.starts_with(prefix) || name.starts_with(prefix))
        || function.starts_with("<alloc::alloc::Global")
}

/// Whether a frame is the program's own code rather than the standard library, a runtime or a dependency.
///
/// The source path decides where there is one: cargo unpacks registry crates under `registry/src` and git ones
/// under `git/checkouts`, rustc's library sits under `/rustc/HASH/`, and Go's under its module cache or GOROOT.
/// Without line tables only the name is left, and only well-known libraries can be told by it.
fn is_own_code(frame: &Frame) -> bool {
    const FOREIGN_PATHS: [&str; 9] = [
        "/registry/src/",
        "/git/checkouts/",
        "/rustc/",
        "/rustlib/src/",
        "/.rustup/",
        "/pkg/mod/",
        "/usr/local/go/src/",
        "/usr/lib/go",
        "/usr/src/",
    ];
    if frame.function.contains("+0x") && frame.file.is_none() {
        return false;
    }
    match &frame.file {
        Some(file) => {
            !FOREIGN_PATHS.iter().any(|part| file.contains(part)) && !is_library(&frame.function)
        }
        None => !is_library(&frame.function),
    }
}

fn is_library(function: &str) -> bool {
    const CRATES: [&str; 28] = [
        "std",
        "core",
        "alloc",
        "hashbrown",
        "tokio",
        "hyper",
        "hyper_util",
        "axum",
        "axum_core",
        "tower",
        "tower_http",
        "tower_service",
        "tower_layer",
        "futures_util",
        "futures_core",
        "serde",
        "serde_json",
        "bytes",
        "http",
        "http_body_util",
        "tracing",
        "rayon",
        "rayon_core",
        "crossbeam",
        "parking_lot",
        "reqwest",
        "backtrace",
        "tikv_jemallocator",
    ];
    const C_RUNTIME: [&str; 8] = [
        "_start",
        "__libc_start",
        "start_thread",
        "clone",
        "__clone",
        "malloc",
        "calloc",
        "realloc",
    ];
    if C_RUNTIME.iter().any(|name| function == *name || function.starts_with("__libc_start")) {
        return true;
    }
    if is_allocator(function) {
        return true;
    }
    // `<alloc::vec::Vec<T> as core::clone::Clone>::clone` belongs to the crate of its self type.
    let path = function.trim_start_matches(['<', '&', '*']).trim_start_matches("dyn ");
    let krate: &str = path.split("::").next().unwrap_or(path);
    path.contains("::") && CRATES.contains(&krate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::WallTime;

    fn profile(taken: f64, stacks: &[(&[u64], u64, u64)]) -> Profile {
        Profile {
            taken: WallTime(taken),
            stacks: stacks
                .iter()
                .map(|(stack, mib, samples)| StackSample {
                    stack: stack.to_vec(),
                    inuse_space: Bytes::from_mib(*mib),
                    inuse_objects: *samples,
                    samples: *samples,
                    ..StackSample::default()
                })
                .collect(),
            mappings: Vec::new(),
            sample_period: Bytes(512 << 10),
            lost_samples: 0,
        }
    }

    fn frame(function: &str, file: &str) -> Frame {
        Frame { function: function.into(), file: Some(file.into()), line: Some(1) }
    }

    fn resolve(stack: &[u64]) -> Vec<Frame> {
        stack
            .iter()
            .map(|address| match address {
                1 => frame("_rjem_je_prof_backtrace", "src/prof.c"),
                2 => frame(
                    "<alloc::vec::Vec<T> as core::clone::Clone>::clone",
                    "/rustc/abc/library/alloc/src/vec.rs",
                ),
                3 => frame("shop::cache::remember", "services/shop/src/cache.rs"),
                4 => {
                    frame("tokio::runtime::task::poll", "/root/.cargo/registry/src/x/tokio/task.rs")
                }
                5 => frame("shop::cart::add", "services/shop/src/cart.rs"),
                _ => Frame { function: "libx.so+0x10".into(), file: None, line: None },
            })
            .collect()
    }

    #[test]
    fn the_culprit_is_the_first_own_frame_of_the_stack_that_grew_most() {
        let first = profile(0.0, &[(&[1, 2, 3, 4], 1, 2), (&[1, 5, 4], 90, 180)]);
        let last = profile(60.0, &[(&[1, 2, 3, 4], 31, 62), (&[1, 5, 4], 92, 184)]);
        let culprit = name_culprit(&first, &last, resolve).expect("a culprit");
        assert_eq!(culprit.frame.function, "shop::cache::remember");
        assert_eq!(culprit.growth, Bytes::from_mib(30));
        assert!((culprit.share - 30.0 / 32.0).abs() < 1e-9);
        assert_eq!(culprit.stack[0].function, "shop::cache::remember");
        assert_eq!(culprit.stack.len(), 2, "the allocator's frames are left out");
    }

    #[test]
    fn stacks_that_end_in_the_same_function_are_summed() {
        let last = profile(60.0, &[(&[3, 4], 10, 20), (&[2, 3], 10, 20), (&[5], 15, 30)]);
        let culprit = name_culprit(&Profile::default(), &last, resolve).expect("a culprit");
        assert_eq!(culprit.frame.function, "shop::cache::remember");
        assert_eq!(culprit.samples, 40);
    }

    #[test]
    fn too_few_samples_accuse_nobody() {
        let last = profile(60.0, &[(&[3, 4], 2, 4)]);
        assert_eq!(
            name_culprit(&Profile::default(), &last, resolve),
            Err(NotYet::TooFewSamples { samples: 4, needed: MIN_SAMPLES })
        );
    }

    #[test]
    fn a_profile_that_did_not_grow_accuses_nobody() {
        let same = profile(0.0, &[(&[3, 4], 50, 100)]);
        assert_eq!(name_culprit(&same, &same, resolve), Err(NotYet::NothingGrew));
    }

    #[test]
    fn stacks_without_own_code_accuse_nobody_and_say_why() {
        let last = profile(60.0, &[(&[2, 4, 9], 50, 100)]);
        let error = name_culprit(&Profile::default(), &last, resolve).expect_err("nobody");
        assert_eq!(error, NotYet::NoOwnFrame);
        assert!(error.to_string().contains("stripped"));
    }
}
