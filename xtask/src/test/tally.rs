//! What passed and what failed, libtest's tests and our own checks together.

use std::process::ExitCode;

use anyhow::Result;

/// The count, with the failures' messages for the end.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
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

    /// Counts what a `test result:` line of libtest says; other lines say nothing.
    pub(crate) fn libtest(&mut self, line: &str) {
        let Some(result) = line.trim_start().strip_prefix("test result: ") else { return };
        self.passed += count(result, "passed");
        let failed = count(result, "failed");
        if failed > 0 {
            self.failed += failed;
            self.failures.push(format!("{failed} tests of a crate; see above"));
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
