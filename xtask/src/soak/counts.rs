//! What was served, and what it left on disk.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// Requests by how they were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Requests {
    all: f64,
    /// Answered with a status of 500 or more: what the shop could not do.
    failed: f64,
}

impl Requests {
    /// Sums up `http_requests_total` of a service's metrics.
    pub(super) fn counted(metrics: &str) -> Self {
        let mut counted = Self::default();
        for line in metrics.lines().filter(|line| line.starts_with("http_requests_total{")) {
            let count = line.rsplit(' ').next().and_then(|count| count.parse().ok());
            let count: f64 = count.unwrap_or_default();
            counted.all += count;
            if line.contains("status=\"5") {
                counted.failed += count;
            }
        }
        counted
    }

    /// Those since `earlier`, in words.
    pub(super) fn since(self, earlier: Self, span: Duration) -> String {
        let rate = (self.all - earlier.all) / span.as_secs_f64();
        format!("{rate:.1} requests/s, {} errors", self.failed - earlier.failed)
    }
}

/// Bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bytes {
    stores: u64,
    logs: u64,
}

impl Bytes {
    /// Of the databases in the shop's directory, with their write-ahead logs, and of the services' logs.
    pub(super) fn of(directory: &Path) -> Result<Self> {
        let logs = directory.join("logs");
        Ok(Self { stores: sum(directory)?, logs: sum(&logs)? })
    }

    /// What came since `earlier`, in words.
    pub(super) fn since(self, earlier: Self) -> String {
        let [stores, logs] = [self.stores, self.logs].map(|bytes| bytes as f64 / 1e6);
        let more = |now: f64, before: u64| now - before as f64 / 1e6;
        let (grown, written) = (more(stores, earlier.stores), more(logs, earlier.logs));
        format!("stores {stores:.1} MB ({grown:+.1} MB), logs {logs:.1} MB ({written:+.1} MB)")
    }
}

/// The files right in a directory.
fn sum(directory: &Path) -> Result<u64> {
    let files =
        std::fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    let mut sum = 0;
    for file in files {
        // A write-ahead log may go between two looks.
        if let Ok(about) = file?.metadata() {
            sum += if about.is_file() { about.len() } else { 0 };
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_summed_over_methods_and_routes_and_those_that_failed_are_known() {
        let metrics = "# HELP http_requests_total x\n# TYPE http_requests_total counter\n\
            http_requests_total{method=\"GET\",route=\"/a\",status=\"200\"} 1800\n\
            http_requests_total{method=\"GET\",route=\"/500\",status=\"404\"} 100\n\
            http_requests_total{method=\"POST\",route=\"/a\",status=\"503\"} 2\n\
            http_requests_totally{status=\"500\"} 9\n";
        let counted = Requests::counted(metrics);
        assert_eq!(counted, Requests { all: 1902.0, failed: 2.0 });
        let before = Requests { all: 102.0, failed: 1.0 };
        let minute = Duration::from_secs(60);
        assert_eq!(counted.since(before, minute), "30.0 requests/s, 1 errors");
    }

    #[test]
    fn stores_and_logs_are_told_apart() {
        let directory = std::env::temp_dir().join(format!("xtask-soak-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("logs")).expect("a directory");
        std::fs::write(directory.join("orders.db"), [0; 300]).expect("a store");
        std::fs::write(directory.join("logs/orders.log"), [0; 20]).expect("a log");
        let bytes = Bytes::of(&directory);
        std::fs::remove_dir_all(&directory).expect("removed");
        assert_eq!(bytes.expect("bytes"), Bytes { stores: 300, logs: 20 });
    }
}
