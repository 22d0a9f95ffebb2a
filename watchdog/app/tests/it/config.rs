//! Bad configuration files given to the program: it refuses each and says every mistake at once.

use std::path::Path;
use std::process::Command;

use crate::support::{Program, SOON, shipped};

#[tokio::test]
async fn every_bad_configuration_is_refused_with_all_its_mistakes() {
    let gallery = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut seen = 0;
    for entry in std::fs::read_dir(gallery).expect("the gallery") {
        let path = entry.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("a file");
        let mut command = Command::new(shipped("oomen"));
        command.args(["watch", "--config"]).arg(&path).env_remove("OOMEN_SLACK_TOKEN");
        let outcome = Program::run(&mut command, SOON).await;
        assert_eq!(outcome.code(), Some(2), "{}: {outcome:?}", path.display());
        let expected: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
        for part in &expected {
            assert!(outcome.stderr.contains(part), "`{part}` in {outcome:?}");
        }
        let said = outcome.stderr.lines().filter(|line| line.starts_with("  - ")).count();
        assert_eq!(said, expected.len(), "{outcome:?}");
        seen += 1;
    }
    assert!(seen >= 5, "the gallery is missing");
}

#[tokio::test]
async fn a_configuration_file_that_cannot_be_read_is_named() {
    let mut command = Command::new(shipped("oomen"));
    command.args(["watch", "--config", "/no/such/oomen.toml"]);
    let outcome = Program::run(&mut command, SOON).await;
    assert_eq!(outcome.code(), Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("cannot read /no/such/oomen.toml"), "{outcome:?}");
}
