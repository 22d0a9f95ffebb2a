//! The program on a few seeds: every table, every bound, and a picture of every fault. No bound has to hold here.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use xtask_detect::generate::{Family, generate, to_csv};
use xtask_detect::rules::Rule;

const SEEDS: u64 = 3;

/// What the program prints, and whether it says that every bound holds.
fn measured(traces: &Path, pictures: &Path) -> (Value, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask-detect"))
        .args(["--seeds", &SEEDS.to_string(), "--first-seed", "500", "--targets", "20"])
        .arg("--traces")
        .arg(traces)
        .arg("--pictures")
        .arg(pictures)
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("made-up series: "), "no progress: {stderr}");
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no report ({error}): {stderr}"));
    (report, output.status.success())
}

/// Recorded series: a steady leak that the index calls benign, so that there is a false alarm to draw.
fn mislabelled(traces: &Path) {
    let leak = generate(Family::LeakSteady, 7);
    fs::write(traces.join("shop_cart.csv"), to_csv(&leak)).expect("written");
    fs::write(traces.join("shop_flat.csv"), to_csv(&generate(Family::Flat, 7))).expect("written");
    let index = "file,kind\nshop_cart.csv,benign\nshop_flat.csv,benign\n";
    fs::write(traces.join("index.csv"), index).expect("written");
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The first cells of the table whose title begins so; every row has a cell for every column.
fn rows<'a>(report: &'a Value, title: &str) -> Vec<&'a str> {
    let table = list(report, "tables").iter().find(|table| text(table, "title").starts_with(title));
    let table = table.unwrap_or_else(|| panic!("no table {title}"));
    let columns = list(table, "head").len();
    let rows = list(table, "rows").iter().map(|row| row.as_array().expect("cells"));
    rows.inspect(|row| assert_eq!(row.len(), columns, "{title}: {row:?}"))
        .map(|row| row[0].as_str().expect("text"))
        .collect()
}

#[test]
fn a_few_seeds_give_every_table_every_bound_and_a_picture_of_every_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let (traces, pictures) = (folder.path().join("traces"), folder.path().join("pictures"));
    fs::create_dir_all(&traces).expect("a folder");
    mislabelled(&traces);
    let (report, holds) = measured(&traces, &pictures);

    let families = |leaks| Family::ALL.iter().filter(move |family| family.is_leak() == leaks);
    for (title, leaks) in [("Made-up leaks", true), ("Made-up innocents", false)] {
        let told: BTreeSet<_> = rows(&report, title).into_iter().collect();
        assert_eq!(told, families(leaks).map(|family| family.name()).collect(), "{title}");
    }
    let compared = rows(&report, "The detector and the rules");
    assert!(Rule::ALL.iter().all(|rule| compared.contains(&rule.name())), "{compared:?}");
    assert_eq!(rows(&report, "Recorded series"), ["shop"]);
    assert_eq!(report["seeds"], serde_json::json!([500, 500 + SEEDS - 1]));

    let bounds = list(&report, "bounds");
    for bound in ["leaks caught", "innocents that", "kind of growth", "µs a sample", "KiB a target"]
    {
        let found = bounds.iter().any(|one| text(one, "what").starts_with(bound));
        assert!(found, "no bound {bound} in {bounds:?}");
    }
    let all_hold = bounds.iter().all(|bound| bound["holds"] == true);
    assert_eq!(holds, all_hold, "the exit status says another thing than {bounds:?}");

    let faults = list(&report, "faults");
    let series: Vec<_> = faults.iter().map(|fault| text(fault, "series")).collect();
    assert!(series.contains(&"shop cart") && !series.contains(&"shop flat"), "{series:?}");
    for fault in faults {
        let picture = fs::read_to_string(text(fault, "picture")).expect("a picture");
        assert!(picture.starts_with("<svg") && picture.contains("<polyline"), "{fault}");
        assert!(picture.contains(text(fault, "why")), "{fault}");
    }
    let drawn = fs::read_dir(&pictures).expect("pictures").count();
    assert_eq!(drawn, faults.len(), "a picture of what is no fault");
}
