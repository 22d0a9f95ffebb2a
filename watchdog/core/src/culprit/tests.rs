//! Who is named, in which order, and when nobody is.

use super::*;
use crate::profile::StackSample;
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

/// One profile every 30 s; each stack with its mebibytes at each, two samples a mebibyte.
fn series(stacks: &[(&[u64], &[u64])]) -> Vec<Profile> {
    let profiles = stacks.first().map_or(0, |(_, course)| course.len());
    (0..profiles)
        .map(|at| {
            let held: Vec<(&[u64], u64, u64)> =
                stacks.iter().map(|(stack, course)| (*stack, course[at], course[at] * 2)).collect();
            profile(at as f64 * 30.0, &held)
        })
        .collect()
}

fn name(profiles: &[&Profile]) -> Result<Vec<Culprit>, NotYet> {
    let (last, earlier) = profiles.split_last().expect("a profile");
    let earlier: Vec<Digest> = earlier.iter().map(|profile| Digest::of(profile)).collect();
    name_culprits(&earlier.iter().collect::<Vec<_>>(), last, resolve)
}

fn named(stacks: &[(&[u64], &[u64])]) -> Result<Vec<Culprit>, NotYet> {
    let profiles = series(stacks);
    name(&profiles.iter().collect::<Vec<_>>())
}

fn frame(function: &str, file: &str) -> Frame {
    Frame { function: function.into(), file: Some(file.into()), line: Some(1) }
}

fn resolve(stacks: &[&[u64]]) -> Vec<Vec<Frame>> {
    stacks.iter().map(|stack| frames(stack)).collect()
}

fn frames(stack: &[u64]) -> Vec<Frame> {
    stack
        .iter()
        .map(|address| match address {
            1 => frame("_rjem_je_prof_backtrace", "src/prof.c"),
            2 => frame(
                "<alloc::vec::Vec<T> as core::clone::Clone>::clone",
                "/rustc/abc/library/alloc/src/vec.rs",
            ),
            3 => frame("shop::cache::remember", "services/shop/src/cache.rs"),
            4 => frame("tokio::runtime::task::poll", "/root/.cargo/registry/src/x/tokio/task.rs"),
            5 => frame("shop::cart::add", "services/shop/src/cart.rs"),
            other @ 100..200 => frame(&format!("shop::f{other}"), "services/shop/src/many.rs"),
            _ => Frame { function: "libx.so+0x10".into(), file: None, line: None },
        })
        .collect()
}

#[test]
fn the_culprit_is_the_first_own_frame_of_the_stack_that_grew_most() {
    let culprits =
        named(&[(&[1, 2, 3, 4], &[1, 16, 31]), (&[1, 5, 4], &[90, 91, 92])]).expect("a culprit");
    let [culprit] = culprits.as_slice() else { panic!("{culprits:?}") };
    assert_eq!(culprit.frame.function, "shop::cache::remember");
    assert_eq!(culprit.growth, Bytes::from_mib(30));
    assert!((culprit.share - 30.0 / 32.0).abs() < 1e-9);
    assert_eq!(culprit.stack[0].function, "shop::cache::remember");
    assert_eq!(culprit.stack.len(), 2, "the allocator's frames are left out");
    assert_eq!((culprit.profiles, culprit.over_seconds), (3, 60.0));
    assert!((culprit.rate - 0.5 * 1_048_576.0).abs() < 1.0, "{}", culprit.rate);
    assert!(culprit.rate_low < culprit.rate && culprit.rate < culprit.rate_high);
}

#[test]
fn stacks_that_end_in_the_same_function_are_summed() {
    let stacks: [(&[u64], &[u64]); 3] =
        [(&[3, 4], &[0, 5, 10]), (&[2, 3], &[0, 5, 10]), (&[5], &[0, 8, 15])];
    let culprits = named(&stacks).expect("a culprit");
    assert_eq!(culprits[0].frame.function, "shop::cache::remember");
    assert_eq!((culprits[0].samples, culprits[0].growth), (40, Bytes::from_mib(20)));
}

#[test]
fn two_leaks_are_both_named_and_the_larger_first() {
    let culprits = named(&[(&[5], &[0, 10, 20]), (&[3, 4], &[0, 30, 60])]).expect("culprits");
    let names: Vec<_> = culprits.iter().map(|c| c.frame.function.as_str()).collect();
    assert_eq!(names, ["shop::cache::remember", "shop::cart::add"]);
    assert!((culprits[0].share - 0.75).abs() < 1e-9);
}

#[test]
fn a_cache_that_has_filled_up_is_not_accused_beside_a_leak() {
    let culprits = named(&[(&[5], &[0, 80, 80]), (&[3, 4], &[0, 30, 60])]).expect("the leak alone");
    assert_eq!(culprits.len(), 1);
    assert_eq!(culprits[0].frame.function, "shop::cache::remember");
    assert_eq!(named(&[(&[5], &[0, 80, 80])]), Err(NotYet::Settled));
}

#[test]
fn two_profiles_accuse_nobody() {
    let missing = NotYet::TooFewProfiles { profiles: 2, needed: MIN_PROFILES };
    assert_eq!(named(&[(&[3, 4], &[0, 60])]), Err(missing.clone()));
    assert!(missing.to_string().contains("2 of the 3"), "{missing}");
}

#[test]
fn too_few_samples_accuse_nobody() {
    assert_eq!(
        named(&[(&[3, 4], &[0, 1, 2])]),
        Err(NotYet::TooFewSamples { samples: 4, needed: MIN_SAMPLES })
    );
}

#[test]
fn growth_that_is_spread_over_many_functions_accuses_none() {
    let addresses: Vec<[u64; 1]> = (100..130).map(|address| [address]).collect();
    let stacks: Vec<(&[u64], &[u64])> =
        addresses.iter().map(|stack| (&stack[..], &[0, 10, 20][..])).collect();
    assert_eq!(named(&stacks), Err(NotYet::Spread { percent: 3 }));
}

#[test]
fn a_profile_that_did_not_grow_accuses_nobody() {
    assert_eq!(named(&[(&[3, 4], &[50, 50, 50])]), Err(NotYet::NothingGrew));
}

#[test]
fn stacks_without_own_code_accuse_nobody_and_say_why() {
    let error = named(&[(&[2, 4, 9], &[0, 25, 50])]).expect_err("nobody");
    assert_eq!(error, NotYet::NoOwnFrame);
    assert!(error.to_string().contains("stripped"));
}

#[test]
fn of_growth_outside_the_heap_no_profile_is_blamed() {
    assert_eq!(NotYet::NoOwnFrame.of(Kind::OffHeap), NotYet::OutsideHeap);
    assert_eq!(NotYet::Settled.of(Kind::HeapLeak), NotYet::Settled);
}

#[test]
fn of_a_single_profile_those_who_hold_most_are_named() {
    let last = profile(9.0, &[(&[1, 2, 3, 4], 150, 300), (&[1, 5], 40, 80), (&[5, 4], 10, 20)]);
    let named = name_holders(&last, resolve).expect("holders");
    let names: Vec<_> = named.iter().map(|c| c.frame.function.as_str()).collect();
    assert_eq!(names, ["shop::cache::remember", "shop::cart::add"]);
    assert_eq!((named[0].profiles, named[0].rate), (1, 0.0));
    assert!((named[0].share - 0.75).abs() < 1e-9);
    let little = profile(9.0, &[(&[3], 2, 4)]);
    assert!(matches!(name_holders(&little, resolve), Err(NotYet::TooFewSamples { .. })));
}

#[test]
fn an_inlined_closure_is_told_by_the_function_around_it() {
    let file = |name: &str| frame(name, "services/shop/src/lines.rs");
    let stack = vec![
        file("{{closure}}"),
        frame("for_each", "/rustc/abc/library/core/src/iter.rs"),
        file("{impl#0}"),
        file("shop::lines::keep"),
    ];
    assert_eq!(outwards(stack, 0)[0].function, "shop::lines::keep::{{closure}}");
    let alone = outwards(vec![file("{{closure}}")], 0);
    assert_eq!(alone[0].function, "{{closure}}", "nobody is around it");
}

#[test]
fn functions_of_one_name_in_two_files_are_two() {
    let growths = series(&[(&[1], &[0, 20, 40]), (&[2], &[0, 20, 40])]);
    let profiles: Vec<&Profile> = growths.iter().collect();
    let (last, earlier) = profiles.split_last().expect("a profile");
    let earlier: Vec<Digest> = earlier.iter().map(|profile| Digest::of(profile)).collect();
    let resolve = |stacks: &[&[u64]]| {
        stacks.iter().map(|s| vec![frame("handle", &format!("src/{}.rs", s[0]))]).collect()
    };
    let named = name_culprits(&earlier.iter().collect::<Vec<_>>(), last, resolve).expect("two");
    assert_eq!(named.len(), 2);
}
