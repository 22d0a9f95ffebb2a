//! What a path means, on a real file system.

use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;
use watchdog_collect::recording::{Listing, Recording, list};

/// A directory of files with these names; each holds one row unless a text is given.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let text = if text.is_empty() { "t_seconds,rss_bytes\n0,1e9\n" } else { text };
        std::fs::write(directory.path().join(name), text).expect("written");
    }
    directory
}

fn names(listing: &Listing) -> Vec<(String, Option<f64>)> {
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    listing.series.iter().map(|series| (name(&series.path), series.limit)).collect()
}

fn index_error(text: &str) -> String {
    let directory = directory(&[("a.csv", ""), ("index.csv", text)]);
    let error = list(directory.path()).expect_err("refused").to_string();
    let start = directory.path().join("index.csv").display().to_string();
    error.strip_prefix(&start).unwrap_or_else(|| panic!("{error}")).to_owned()
}

#[test]
fn a_directory_is_its_csv_files_in_the_order_of_their_names() {
    let directory =
        directory(&[("b.csv", ""), ("a.csv.gz", ""), ("c.txt", ""), (".d.csv", ""), ("a.csv", "")]);
    std::fs::create_dir(directory.path().join("deeper.csv")).expect("a directory");
    let listing = list(directory.path()).expect("listed");
    let none = |name: &str| (name.to_owned(), None);
    assert_eq!(names(&listing), [none("a.csv"), none("a.csv.gz"), none("b.csv")]);
    assert_eq!(listing.series[0].path, directory.path().join("a.csv"));
}

#[test]
fn the_index_gives_the_limits() {
    let index = "\u{feff}file, limit ,note\na.csv,100.5,\"x, \"\"y\"\"\nz\"\nb.csv,,\nc.csv,0,\nd.csv,-1,\n\
                 \"e.csv\",inf,\ngone.csv,7,\n";
    let directory = directory(&[
        ("a.csv", ""),
        ("b.csv", ""),
        ("c.csv", ""),
        ("d.csv", ""),
        ("e.csv", ""),
        ("f.csv", ""),
        ("index.csv", index),
    ]);
    let listing = list(directory.path()).expect("listed");
    let limits: Vec<_> = names(&listing).into_iter().map(|(_, limit)| limit).collect();
    assert_eq!(limits, [Some(100.5), None, None, None, None, None]);
    assert_eq!(listing.absent, ["gone.csv"]);
}

#[test]
fn beside_an_index_a_table_without_times_that_it_does_not_name_is_no_series() {
    let table = "pair,distance\na,1\n";
    let others = [("a.csv", ""), ("pairs.csv", table), ("rates.csv", "load\n1\n")];
    let bad = [("no-memory.csv", "t_seconds,load\n0,1\n"), ("nothing.csv", "\n")];
    let index = "file,limit\na.csv,1\n";
    let with_index = [&others[..], &bad, &[("index.csv", index)]].concat();
    let listing = list(directory(&with_index).path()).expect("listed");
    let listed: Vec<_> = names(&listing).into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, ["a.csv", "no-memory.csv", "nothing.csv"], "these are bad series");
    assert_eq!(listing.others, ["pairs.csv", "rates.csv"]);

    let listing = list(directory(&others).path()).expect("listed");
    assert_eq!((listing.series.len(), listing.others.len()), (3, 0), "without an index");
    let named = [&others[..], &[("index.csv", "file\npairs.csv\n")]].concat();
    let listing = list(directory(&named).path()).expect("listed");
    let listed: Vec<_> = names(&listing).into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, ["a.csv", "pairs.csv"]);
    assert_eq!(listing.others, ["rates.csv"]);

    let directory = directory(&[("pairs.csv", table), ("index.csv", "file\ngone.csv\n")]);
    let error = list(directory.path()).expect_err("refused").to_string();
    assert!(error.contains("index.csv: the index cannot be used: it names no file"), "{error}");
}

#[test]
fn limit_bytes_is_the_same_as_limit() {
    let directory = directory(&[("a.csv", ""), ("index.csv", "limit_bytes,file\n5e9,a.csv\n")]);
    let listing = list(directory.path()).expect("listed");
    assert_eq!(listing.series[0].limit, Some(5e9));
}

#[test]
fn an_index_that_cannot_be_used_is_refused_with_its_line() {
    for (text, expected) in [
        ("name,limit\na.csv,1\n", ":1: the index cannot be used: there is no column file"),
        ("file,limit\na.csv,1\nb.csv,much\n", ":3: the index cannot be used: `much` is no limit"),
        ("file,limit\na.csv,1\na.csv,2\n", ":3: the index cannot be used: a.csv is there twice"),
        ("file,limit\na.csv\n", ":2: the index cannot be used: "),
    ] {
        let found = index_error(text);
        assert!(found.starts_with(expected), "{text:?}: {found}");
    }
    let directory = directory(&[("a.csv", ""), ("index.csv", "")]);
    std::fs::write(directory.path().join("index.csv"), b"file,limit\n\xff,1\n").expect("written");
    assert!(list(directory.path()).expect_err("refused").to_string().contains("index.csv:2: "));
}

#[test]
fn what_is_not_there_or_holds_nothing_is_refused() {
    let directory = directory(&[("index.csv", "file,limit\n"), ("notes.txt", "")]);
    let error = list(directory.path()).expect_err("refused").to_string();
    assert!(error.contains(": this directory holds no *.csv"), "{error}");
    let path = directory.path().join("none.csv");
    let listing = list(&path).expect("any path may be a series");
    let error = Recording::open(&listing.series[0].path, None).expect_err("refused").to_string();
    assert!(error.starts_with(&format!("{}: cannot be read: No such", path.display())), "{error}");
    let error = Recording::open(directory.path(), None).expect_err("refused").to_string();
    assert!(error.contains(": cannot be read: Is a directory"), "{error}");
}

#[test]
fn a_link_that_leads_nowhere_is_listed_and_cannot_be_opened() {
    let directory = directory(&[("a.csv", "")]);
    symlink("nowhere", directory.path().join("b.csv")).expect("a link");
    symlink("a.csv", directory.path().join("c.csv")).expect("a link");
    let listing = list(directory.path()).expect("listed");
    let readable: Vec<_> =
        listing.series.iter().map(|series| Recording::open(&series.path, None).is_ok()).collect();
    assert_eq!(readable, [true, false, true]);
}
