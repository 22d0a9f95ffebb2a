//! Claiming, keeping, and what others put into the directory.

use std::os::unix::fs::symlink;
use std::sync::Barrier;
use std::thread;

use super::*;
use crate::{Geometry, Identity, RecorderError};
use name::Name;

const GEOMETRY: Geometry = Geometry::SMALL;

fn names(directory: &std::path::Path) -> Vec<Name> {
    name::list(directory).unwrap()
}

#[test]
fn a_name_has_one_way_to_be_written() {
    let claimed = Name::Claimed(Identity { pid: 7, start_ticks: 99 });
    assert_eq!(Name::parse("claimed-7-99.rec"), Some(claimed));
    assert_eq!(Name::parse("spare-3.rec"), Some(Name::Spare(3)));
    for other in [
        "spare-.rec",
        "spare-+3.rec",
        "spare-03.rec",
        "spare-3.rec.rec",
        "spare-3",
        "claimed-7.rec",
        "claimed-7-99-1.rec",
        "claimed--7-99.rec",
        ".unfinished.rec",
        "",
        "spare-99999999999999999999.rec",
    ] {
        assert_eq!(Name::parse(other), None, "{other}");
    }
}

#[test]
fn what_a_process_claims_is_its_own_and_replaced_by_a_new_spare() {
    let directory = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(directory.path(), GEOMETRY, 2).unwrap();
    assert_eq!(names(directory.path()).len(), 2);
    let writer = claim(directory.path(), 19).unwrap().expect("a spare");
    writer.record(0x1000, 64, &[1, 2, 3]);
    let claimed = keeper.claimed().unwrap();
    let [own] = &claimed[..] else { panic!("{claimed:?}") };
    assert_eq!(own.identity, Identity::of_self().unwrap());
    assert_eq!(keeper.refill().unwrap(), 1);
    assert_eq!(keeper.refill().unwrap(), 0);

    let snapshot = own.open().unwrap().snapshot().unwrap();
    assert_eq!(snapshot.writer, Some(own.identity));
    assert_eq!(snapshot.period, 1 << 19);
    assert_eq!(snapshot.frames(&snapshot.stacks[0]), [1, 2, 3]);
    assert!(snapshot.claimed_at.is_some());

    keeper.remove(own).unwrap();
    keeper.remove(own).unwrap();
    assert!(keeper.claimed().unwrap().is_empty());
}

#[test]
fn of_many_that_race_for_few_each_spare_goes_to_one() {
    let directory = tempfile::tempdir().unwrap();
    let _keeper = Keeper::open(directory.path(), GEOMETRY, 3).unwrap();
    let barrier = Barrier::new(8);
    // Threads of one process claim under one name, so what is left in the directory is not counted; that each rename
    // succeeds once is what this shows.
    let won: usize = thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    usize::from(matches!(claim(directory.path(), 19), Ok(Some(_))))
                })
            })
            .collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    assert!((1..=3).contains(&won), "{won}");
    assert!(names(directory.path()).iter().all(|name| matches!(name, Name::Claimed(_))));
}

#[test]
fn without_spares_there_is_nothing_to_claim_and_no_error() {
    let directory = tempfile::tempdir().unwrap();
    assert!(claim(directory.path(), 19).unwrap().is_none());
    assert!(matches!(claim(&directory.path().join("missing"), 19), Err(RecorderError::Io { .. })));
}

#[test]
fn a_second_keeper_is_refused_and_the_next_adopts_what_the_first_left() {
    let directory = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(directory.path(), GEOMETRY, 2).unwrap();
    let second = Keeper::open(directory.path(), GEOMETRY, 2);
    assert!(matches!(second, Err(RecorderError::Kept { .. })));
    let _writer = claim(directory.path(), 19).unwrap().unwrap();
    let before = keeper.claimed().unwrap();
    drop(keeper);
    std::fs::write(directory.path().join(name::UNFINISHED), "half").unwrap();
    std::fs::write(directory.path().join("spare-9.rec"), "of another version").unwrap();
    let next = Keeper::open(directory.path(), GEOMETRY, 2).unwrap();
    assert_eq!(next.claimed().unwrap(), before);
    assert!(!directory.path().join(name::UNFINISHED).exists());
    assert!(!directory.path().join("spare-9.rec").exists());
}

#[test]
fn spares_of_another_size_are_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    drop(Keeper::open(directory.path(), GEOMETRY, 1).unwrap());
    let larger = Geometry { stack_slots: 128, ..GEOMETRY };
    let _keeper = Keeper::open(directory.path(), larger, 1).unwrap();
    let _writer = claim(directory.path(), 19).unwrap().unwrap();
    let reader = _keeper.claimed().unwrap()[0].open().unwrap();
    assert_eq!(*reader.geometry(), larger);
}

#[test]
fn tables_have_a_bound_that_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(directory.path(), GEOMETRY, 2).unwrap();
    for pid in 0..16 {
        keeper.refill().unwrap();
        let spare =
            names(directory.path()).into_iter().find(|n| matches!(n, Name::Spare(_))).unwrap();
        let claimed = Name::Claimed(Identity { pid, start_ticks: 1 });
        let path = |name: Name| directory.path().join(name.to_string());
        std::fs::rename(path(spare), path(claimed)).unwrap();
    }
    assert!(matches!(keeper.refill(), Err(RecorderError::TooMany { tables: 16, .. })));
    keeper.remove(&keeper.claimed().unwrap()[0]).unwrap();
    assert_eq!(keeper.refill().unwrap(), 1);
}

#[test]
fn a_link_a_directory_and_a_pipe_under_our_names_are_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = directory.path().join("elsewhere");
    std::fs::write(&elsewhere, "precious").unwrap();
    symlink(&elsewhere, directory.path().join("spare-0.rec")).unwrap();
    let pipe =
        std::process::Command::new("mkfifo").arg(directory.path().join("spare-1.rec")).status();
    assert!(pipe.unwrap().success());
    std::fs::create_dir(directory.path().join("spare-2.rec")).unwrap();
    let mut keeper = Keeper::open(directory.path(), GEOMETRY, 4).unwrap();
    keeper.refill().unwrap();
    let writer = claim(directory.path(), 19).unwrap();
    assert!(writer.is_some(), "the sound spare is found");
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"precious");
}
