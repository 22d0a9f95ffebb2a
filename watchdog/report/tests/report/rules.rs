//! The rules as Prometheus takes them: accepted by promtool whatever a target is called, and the example that the unit
//! tests of the alerts are about.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use watchdog_core::fit::{Fit, Scale};
use watchdog_core::units::Bytes;
use watchdog_report::rules::{Selector, TargetFit, group, plain};

/// A service of 256 MiB that has lived at 96 MiB with peaks of 20 MiB, known for two days.
fn orders() -> TargetFit {
    let mib = Bytes::from_mib;
    let scale = |window, step| Scale {
        window,
        lowest: mib(72),
        record: mib(96),
        step: mib(step),
        swing: mib(20),
    };
    let scales = vec![scale(4096.0, 2), scale(16_384.0, 3), scale(65_536.0, 6)];
    TargetFit {
        target: "orders".into(),
        workload: Some("orders".into()),
        limit: Some(mib(256)),
        fit: Fit { watched: 172_800.0, scales },
        ..TargetFit::default()
    }
}

fn promtool(rules: &Path) -> String {
    let output = Command::new("promtool").args(["check", "rules"]).arg(rules).output();
    let output = output.expect("promtool: install Debian's prometheus");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said.into_owned()
}

#[test]
fn the_example_that_the_alerts_tests_are_about_is_what_is_made() {
    let group = group(&orders(), &Selector::default()).expect("a group");
    let head = "# Rules fitted to a made-up service, for the alerts' tests: `oomen rules` makes those of yours. Generated;\n\
                # `UPDATE_GOLDEN=1 cargo test -p watchdog-report` writes it anew.\n";
    let text = format!("{head}{}", plain(&[group]).expect("rules"));
    let golden =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../alerts/fitted/example.rules.yaml");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(golden.parent().expect("a directory")).expect("a directory");
        std::fs::write(&golden, &text).expect("written");
    }
    let expected = std::fs::read_to_string(&golden).expect("run with UPDATE_GOLDEN=1 first");
    assert_eq!(text, expected, "if it is meant so, run again with UPDATE_GOLDEN=1");
    assert!(promtool(&golden).contains("3 rules found"));
}

#[test]
fn whatever_a_target_is_called_its_rules_are_accepted() {
    let hostile = [
        "a\"b'c\\d`e",
        "{{ .Values.secret }}{{ end }}{",
        "x\"} or vector(1) #",
        "line\nfeed\r\ttab",
        "- alert: X: y # z",
        "\u{0}\u{7f}\u{85}\u{2028}\u{feff}\u{1f980}",
        "%s %n ${HOME} $value *&!|>?@",
        "true",
        " ",
        "",
    ];
    let labels = BTreeMap::from([("container".to_owned(), "{workload}".to_owned())]);
    let selectors =
        [Selector::default(), Selector::new("container_memory_rss", labels).expect("one")];
    let mut groups = Vec::new();
    for name in hostile.into_iter().map(str::to_owned).chain(["long".repeat(5000)]) {
        for (selector, pod) in selectors.iter().zip(["", name.as_str()]) {
            let fit = TargetFit {
                target: format!("{name}{pod}"),
                workload: Some(name.clone()),
                pod: Some(pod.to_owned()),
                ..orders()
            };
            groups.push(group(&fit, selector).expect("a group"));
        }
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    groups.dedup_by(|a, b| a.name == b.name);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hostile.yaml");
    std::fs::write(&path, plain(&groups).expect("rules")).expect("written");
    let said = promtool(&path);
    assert!(said.contains(&format!("{} rules found", groups.len() * 3)), "{said}");
}
