//! States on a disk: restored, refused, set aside, forgotten.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::context::PROC;
use crate::workload::Process;

const NOW: WallTime = WallTime(1.8e9);

fn process() -> Process {
    Process { pid: 41, start_ticks: 4711, exe: None }
}

fn workload(seen: f64) -> Workload {
    let mut workload = Workload::new(DetectorConfig::default(), WallTime(NOW.0 - seen));
    workload.take_over(process());
    workload
}

fn saved(seen: &[f64]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let workloads =
        seen.iter().enumerate().map(|(index, seen)| (format!("w{index}"), workload(*seen)));
    let stamp = Clock::new(Path::new(PROC)).stamp(NOW);
    save(dir.path(), &stamp, workloads).expect("saved");
    dir
}

fn restored(dir: &tempfile::TempDir) -> Restored {
    restore(dir.path(), 4, DetectorConfig::default(), Path::new(PROC), NOW)
}

fn names(dir: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(dir.path().join(DIRECTORY)).expect("a directory");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_saved_is_restored_and_nobody_else_may_read_it() {
    let dir = saved(&[5.0, 60.0]);
    save(
        dir.path(),
        &Clock::new(Path::new(PROC)).stamp(NOW),
        [("w0".into(), workload(1.0))].into_iter(),
    )
    .expect("saved again");
    let restored = restored(&dir);
    assert_eq!(restored.workloads.len(), 1);
    assert!(restored.workloads[0].1.was(&process()));
    assert_eq!(names(&dir), [NAME]);
    let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&dir.path().join(DIRECTORY)), 0o700);
    assert_eq!(mode(&dir.path().join(DIRECTORY).join(NAME)), 0o600);
}

#[test]
fn nothing_there_is_a_cold_start_and_no_fault() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(restored(&dir).workloads.is_empty());
    assert!(!dir.path().join(DIRECTORY).exists());
}

#[test]
fn what_is_refused_is_set_aside_and_only_the_last_is_kept() {
    let dir = saved(&[5.0]);
    for damage in ["one", "another"] {
        fs::write(dir.path().join(DIRECTORY).join(NAME), damage).expect("damaged");
        assert!(restored(&dir).workloads.is_empty());
        assert_eq!(names(&dir), [REFUSED]);
        let kept = fs::read_to_string(dir.path().join(DIRECTORY).join(REFUSED)).expect("kept");
        assert_eq!(kept, damage);
    }
}

#[test]
fn a_detector_of_other_windows_starts_cold_and_the_others_go_on() {
    let mut form = serde_json::to_value(workload(5.0)).expect("a form");
    form["detector"]["windows"] = serde_json::json!([]);
    let foreign: Workload = serde_json::from_value(form).expect("a workload");
    let dir = tempfile::tempdir().expect("a directory");
    let workloads = [("foreign".to_owned(), foreign), ("own".to_owned(), workload(5.0))];
    save(dir.path(), &Clock::new(Path::new(PROC)).stamp(NOW), workloads.into_iter())
        .expect("saved");
    let names: Vec<_> = restored(&dir).workloads.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["own"]);
}

#[test]
fn a_pipe_or_a_directory_in_its_place_is_refused_and_not_waited_for() {
    let dir = saved(&[]);
    let path = dir.path().join(DIRECTORY).join(NAME);
    fs::remove_file(&path).expect("removed");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success());
    assert!(restored(&dir).workloads.is_empty());
    assert_eq!(names(&dir), [REFUSED]);
    fs::create_dir(&path).expect("a directory");
    assert!(restored(&dir).workloads.is_empty());
    save(dir.path(), &Clock::new(Path::new(PROC)).stamp(NOW), std::iter::empty())
        .expect_err("a directory is in the way");
    assert!(!names(&dir).contains(&UNFINISHED.to_owned()), "{:?}", names(&dir));
}

#[test]
fn what_was_not_seen_for_two_weeks_is_forgotten() {
    let dir = saved(&[REMEMBERED - 60.0, REMEMBERED + 60.0, -9999.0]);
    let names: Vec<_> = restored(&dir).workloads.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["w0", "w2"], "a wall clock that was set back forgets nothing");
}

#[test]
fn after_another_boot_every_process_is_another_and_the_clock_goes_on() {
    let dir = saved(&[5.0]);
    let machine = tempfile::tempdir().expect("a directory");
    let later = WallTime(NOW.0 + 60.0);
    let restored = restore(dir.path(), 4, DetectorConfig::default(), machine.path(), later);
    assert_eq!(restored.workloads.len(), 1);
    assert!(!restored.workloads[0].1.was(&process()));
    let gone = restored.clock.now().since(Clock::new(Path::new(PROC)).now());
    assert!((55.0..=60.0).contains(&gone), "{gone} s are taken to have passed");
}

#[test]
fn a_directory_that_cannot_be_written_is_an_error_that_leaves_nothing() {
    save(
        Path::new("/proc/no-directory"),
        &Clock::new(Path::new(PROC)).stamp(NOW),
        std::iter::empty(),
    )
    .expect_err("no directory can be made there");
}
