//! What passed and what failed, libtest's tests and our own checks together.

use std::process::ExitCode;

use anyhow::Result;

/// How much of what a failed test printed is told again at the end.
const LINES: usize = 20;

/// The count, with the failures' messages for the end.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
    section: Option<Section>,
}

/// What libtest shows of one failed test: a heading, what it printed, its panic.
#[derive(Debug)]
struct Section {
    name: String,
    lines: Vec<String>,
    panicked: bool,
}

impl Tally {
    /// Counts one check of our own, printed as libtest prints its tests.
    pub(crate) fn check(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => {
                println!("test {name} ... ok");
                self.passed += 1;
            }
            Err(error) => {
                println!("test {name} ... FAILED\n{error:#}");
                self.fail(format!("{name}: {error:#}"));
            }
        }
    }

    /// Counts what a `test result:` line of libtest says, and keeps for the end what failed tests said.
    pub(crate) fn libtest(&mut self, line: &str) {
        let heading = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"));
        let result = line.trim_start().strip_prefix("test result: ");
        if heading.is_some() || result.is_some() || line == "failures:" {
            self.failures.extend(self.section.take().map(Section::told));
        }
        if let Some(name) = heading {
            self.section = Some(Section::new(name));
        } else if let Some(section) = &mut self.section {
            section.see(line);
        }
        if let Some(result) = result {
            self.passed += count(result, "passed");
            self.failed += count(result, "failed");
        }
    }

    /// Runs a step. One that counted nothing itself is one check; one that failed without saying so is one failure.
    pub(crate) fn step(&mut self, name: &str, run: fn(&mut Self) -> Result<()>) -> bool {
        let (passed, failed) = (self.passed, self.failed);
        match run(self) {
            Ok(()) if (passed, failed) == (self.passed, self.failed) => self.passed += 1,
            Ok(()) => {}
            Err(error) => {
                println!("{name}: {error:#}");
                if failed == self.failed {
                    self.fail(format!("{name}: {error:#}"));
                }
            }
        }
        failed == self.failed
    }

    /// Prints the failures and the closing line.
    pub(crate) fn close(&self) -> ExitCode {
        if !self.failures.is_empty() {
            println!("\nfailures:");
        }
        for failure in &self.failures {
            println!("  {}", failure.replace('\n', "\n  "));
        }
        println!("\n{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn fail(&mut self, why: String) {
        self.failed += 1;
        self.failures.push(why);
    }
}

impl Section {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), lines: Vec::new(), panicked: false }
    }

    /// Keeps the panic's message and what follows it, or without a panic the first lines.
    fn see(&mut self, line: &str) {
        if !self.panicked && line.contains(" panicked at ") {
            self.panicked = true;
            self.lines.clear();
        }
        if self.lines.len() < LINES && !line.trim().is_empty() {
            self.lines.push(line.to_owned());
        }
    }

    /// The test's name and what it said.
    fn told(self) -> String {
        let until = self.lines.iter().position(|line| line == "stack backtrace:");
        let lines = &self.lines[..until.unwrap_or(self.lines.len())];
        format!("{}: {}", self.name, lines.join("\n"))
    }
}

/// The number before `word` in `ok. 3 passed; 0 failed; …`.
fn count(result: &str, word: &str) -> u64 {
    result
        .split([';', '.'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn lines_of_libtest_are_added_up_and_others_ignored() {
        let mut tally = Tally::default();
        tally.libtest("running 4 tests");
        tally.libtest("test passed ... ok");
        tally.libtest(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s",
        );
        tally.libtest("test result: FAILED. 10 passed; 2 failed; 0 ignored; finished in 1.50s");
        assert_eq!((tally.passed, tally.failed), (13, 2));
    }

    #[test]
    fn what_failed_tests_said_is_kept_for_the_end() {
        let mut tally = Tally::default();
        let lines = "failures:\n\n---- store::is_kept stdout ----\nseed 7\nthread 'store::is_kept' (12) panicked at \
                     src/store.rs:3:9:\nleft: 1\nright: 2\nstack backtrace:\n   0: core::panicking\n\n\
                     ---- ends stdout ----\nError: \"not found\"\n\n\nfailures:\n    store::is_kept\n    ends\n\n\
                     test result: FAILED. 1 passed; 2 failed; 0 ignored; finished in 1.50s";
        lines.lines().for_each(|line| tally.libtest(line));
        let [kept, ends] = &tally.failures[..] else { panic!("{:?}", tally.failures) };
        assert_eq!(
            kept,
            "store::is_kept: thread 'store::is_kept' (12) panicked at src/store.rs:3:9:\nleft: 1\nright: 2"
        );
        assert_eq!(ends, "ends: Error: \"not found\"");
        assert_eq!((tally.passed, tally.failed), (1, 2));
    }

    #[test]
    fn what_a_failed_test_said_is_kept_to_a_bound() {
        let mut tally = Tally::default();
        tally.libtest("---- talks stdout ----");
        (0..1000).for_each(|line| tally.libtest(&format!("line {line}")));
        tally.libtest("test result: FAILED. 0 passed; 1 failed;");
        assert_eq!(tally.failures[0].lines().count(), LINES);
    }

    #[test]
    fn a_step_that_counts_nothing_is_one_check() {
        let mut tally = Tally::default();
        assert!(tally.step("quiet", |_| Ok(())));
        assert_eq!((tally.passed, tally.failed), (1, 0));
    }

    #[test]
    fn a_failure_is_counted_once_whether_or_not_the_step_counted_it() {
        let mut tally = Tally::default();
        assert!(!tally.step("does not compile", |_| bail!("error[E0308]")));
        assert!(!tally.step("tests fail", |tally| {
            tally.libtest("test result: FAILED. 1 passed; 1 failed;");
            bail!("cargo test: exit status 101")
        }));
        assert_eq!((tally.passed, tally.failed), (1, 2));
        assert_eq!(tally.close(), ExitCode::FAILURE);
    }

    #[test]
    fn a_failed_check_does_not_stop_the_step() {
        let mut tally = Tally::default();
        let passed = tally.step("two checks", |tally| {
            tally.check("one", bail_with("broken"));
            tally.check("two", Ok(()));
            Ok(())
        });
        assert!(!passed);
        assert_eq!((tally.passed, tally.failed), (1, 1));
    }

    fn bail_with(why: &str) -> Result<()> {
        bail!("{why}")
    }
}
