//! `oomen heap` on real files: what a gallery program's probe and Go's own endpoint give.

use std::io::pipe;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::{
    Exhibit, Outcome, Program, SOON, eventually, get_bytes, go_top, rows, share_of, shipped,
};

/// Bytes a second.
const RATE: u64 = 20_000_000;

/// Two dumps of a program that leaks, in a directory for what is made of them.
struct Files {
    /// Part of the name of the function that leaks.
    culprit: String,
    directory: TempDir,
}

impl Files {
    /// Takes both from a running program of the gallery; between them it leaks as much again.
    async fn of(name: &str) -> Self {
        let exhibit = Exhibit::start(name, RATE).await;
        let files = Self {
            culprit: exhibit.culprit().to_owned(),
            directory: tempfile::tempdir().expect("a directory"),
        };
        for (file, least) in [("before.heap", 20), ("after.heap", 60)] {
            eventually("the leak has grown", SOON, async || {
                let profile = get_bytes(&exhibit.heap_url()).await?;
                std::fs::write(files.path(file), profile).expect("written");
                (resident_mib(exhibit.program.pid()) >= least).then_some(())
            })
            .await;
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file with this content.
    fn with(&self, name: &str, content: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), content).expect("written");
        self.path(name)
    }

    /// `oomen heap` with these arguments, in the files' directory.
    async fn heap(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command(arguments);
        Program::run(&mut command, SOON).await
    }

    /// The same where it must succeed; returns what it printed.
    async fn printed(&self, arguments: &[&str]) -> String {
        let outcome = self.heap(arguments).await;
        assert_eq!(outcome.code(), Some(0), "{arguments:?}: {outcome:?}");
        outcome.stdout
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(shipped("oomen"));
        command.arg("heap").args(arguments).current_dir(self.directory.path());
        command.env_remove("RUST_LOG");
        command
    }

    /// The function has nearly all, in a table of all functions.
    async fn assert_names_the_leak(&self, arguments: &[&str]) {
        let table = self.printed(&[arguments, &["--rows=1000"]].concat()).await;
        assert!(share_of(&table, &self.culprit) > 80.0, "{} in {table}", self.culprit);
    }
}

fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("its memory");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib >> 10
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_dump_names_the_function_that_leaks() {
    let files = Files::of("unbounded-cache").await;
    files.assert_names_the_leak(&["top", "after.heap"]).await;
    files.printed(&["convert", "-o", "after.pb.gz", "after.heap"]).await;
    files.assert_names_the_leak(&["top", "after.pb.gz"]).await;
    // Names that are in a file are kept.
    files.assert_names_the_leak(&["top", "--no-symbols", "after.pb.gz"]).await;
    files.printed(&["convert", "--to=raw", "-o", "again.heap", "after.pb.gz"]).await;
    files.assert_names_the_leak(&["top", "again.heap"]).await;
    let collapsed = files.printed(&["convert", "--to=collapsed", "after.heap"]).await;
    assert!(collapsed.contains(&files.culprit), "{collapsed}");
    let picture = files.printed(&["flamegraph", "after.heap"]).await;
    assert!(picture.contains(&files.culprit.replace('<', "&lt;")), "{} is missing", files.culprit);

    let total = |table: &str| rows(table).iter().map(|row| row.flat).sum::<f64>();
    let table = files.printed(&["top", "--rows=1000", "again.heap"]).await;
    assert!((99.0..101.0).contains(&total(&table)), "{table}");
    let unnamed = files.printed(&["top", "--no-symbols", "after.heap"]).await;
    assert!(rows(&unnamed)[0].place.starts_with("gallery+0x"), "{unnamed}");
    assert!(!unnamed.contains(&files.culprit), "{unnamed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_that_leaks_is_in_the_table_as_it_is_printed_unasked() {
    let files = Files::of("unbounded-cache").await;
    for arguments in [&["top", "after.heap"] as &[&str], &["diff", "before.heap", "after.heap"]] {
        let table = files.printed(arguments).await;
        assert!(share_of(&table, &files.culprit) > 80.0, "{} in {table}", files.culprit);
        assert!(!table.contains("_rjem_"), "the allocator's own frames are rows: {table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_difference_of_two_dumps_is_the_leak() {
    let files = Files::of("unbounded-cache").await;
    let diff = ["diff", "before.heap", "after.heap"];
    files.assert_names_the_leak(&diff).await;
    let table = files.printed(&diff).await;
    let first = &rows(&table)[0];
    assert!(first.flat > 80.0 && table.lines().nth(1).expect("a row").contains('+'), "{table}");
    let same = files.printed(&["top", "--base", "before.heap", "after.heap"]).await;
    assert_eq!(same, table);
    files.printed(&["diff", "--to=pprof", "-o", "growth.pb.gz", "before.heap", "after.heap"]).await;
    let growth = files.path("growth.pb.gz");
    let top = go_top(&[text(&growth)]).await;
    assert!(top.cumulative(&files.culprit) * 10 > top.total() * 8, "{top:?}");
    for arguments in [
        ["diff", "--to=flamegraph", "before.heap", "after.heap"],
        ["flamegraph", "--base", "before.heap", "after.heap"],
    ] {
        assert!(files.printed(&arguments).await.contains("</svg>"), "{arguments:?}");
    }
    // One is converted and one is not: the same addresses under the same names.
    files.printed(&["convert", "-o", "before.pb.gz", "before.heap"]).await;
    files.assert_names_the_leak(&["diff", "before.pb.gz", "after.heap"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_of_go_is_read_with_the_names_that_it_brings() {
    let files = Files::of("go-map-cache").await;
    let table = files.printed(&["top", "after.heap"]).await;
    assert!(rows(&table)[0].place.contains(&files.culprit), "{table}");
    files.printed(&["convert", "-o", "after.pb.gz", "after.heap"]).await;
    assert_eq!(files.printed(&["top", "after.pb.gz"]).await, table);
    let diff = files.printed(&["diff", "before.heap", "after.heap"]).await;
    assert!(rows(&diff)[0].place.contains(&files.culprit), "{diff}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_may_come_through_a_pipe_and_the_reader_of_the_result_may_leave() {
    let files = Files::of("unbounded-cache").await;
    let mut command = files.command(&["top", "-"]);
    let dump = std::fs::File::open(files.path("after.heap")).expect("a file");
    let piped = command.stdin(dump).output().expect("started");
    assert!(piped.status.success(), "{piped:?}");
    let table = files.printed(&["top", "after.heap"]).await;
    assert_eq!(String::from_utf8_lossy(&piped.stdout), table);

    for arguments in [
        &["top", "after.heap"] as &[&str],
        &["convert", "after.heap"],
        &["diff", "before.heap", "after.heap"],
        &["flamegraph", "after.heap"],
    ] {
        let outcome = with_reader_gone(&mut files.command(arguments));
        assert_eq!(outcome.status.code(), Some(0), "{arguments:?}: {outcome:?}");
        let complaint = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert!(!complaint.contains("ipe"), "{arguments:?}: {complaint}");
    }
}

/// Runs it with a standard output that nobody reads.
fn with_reader_gone(command: &mut Command) -> Output {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let child = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).spawn();
    child.expect("started").wait_with_output().expect("ended")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_an_error_that_names_it_and_says_what_is_wrong() {
    let files = Files::of("unbounded-cache").await;
    let dump = std::fs::read(files.path("after.heap")).expect("a dump");
    files.printed(&["convert", "-o", "whole.pb.gz", "after.heap"]).await;
    let profile = std::fs::read(files.path("whole.pb.gz")).expect("a profile");
    let bad = [
        (files.with("empty.heap", b""), "the file is empty"),
        (files.with("page.heap", b"<!DOCTYPE html><html>502 Bad Gateway</html>"), "HTML"),
        (files.with("text.heap", b"no heap profile at all, only words\n"), "not a heap profile"),
        (files.with("cut.heap", &dump[..dump.len() / 2]), ""),
        (files.with("cut.pb.gz", &profile[..profile.len() / 2]), ""),
        (files.path("nowhere.heap"), "No such file"),
        (files.directory.path().to_owned(), "directory"),
    ];
    for (path, what) in &bad {
        for arguments in [
            &["top", text(path)] as &[&str],
            &["convert", "-o", "never", text(path)],
            &["flamegraph", text(path)],
            &["diff", "after.heap", text(path)],
        ] {
            let outcome = files.heap(arguments).await;
            assert_eq!(outcome.code(), Some(2), "{arguments:?}: {outcome:?}");
            assert!(outcome.stderr.contains(text(path)), "{arguments:?}: {outcome:?}");
            assert!(outcome.stderr.contains(what), "`{what}` of {arguments:?}: {outcome:?}");
            assert_eq!(outcome.stdout, "", "{arguments:?}");
        }
    }
    assert!(!files.path("never").exists(), "a result of nothing was written");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path")
}
