//! How the services' memory went over a phase: its latest figures, and its first quarter beside its last.

use std::collections::BTreeMap;
use std::fmt;

use super::judge::Target;

const MB: f64 = 1e6;

/// One phase.
#[derive(Debug)]
pub(super) struct Course {
    name: &'static str,
    /// Anonymous memory of each service at each look.
    anon: BTreeMap<String, Vec<u64>>,
    last: Vec<Target>,
}

impl Course {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, anon: BTreeMap::new(), last: Vec::new() }
    }

    /// Adds a look.
    pub(super) fn add(&mut self, targets: &[Target]) {
        for target in targets {
            if let Some(anon) = target.anon() {
                self.anon.entry(target.name.clone()).or_default().push(anon);
            }
        }
        self.last = targets.to_vec();
    }

    /// The newest figures, for one line: anonymous memory, what the watchdog thinks of it, how fast it grows.
    pub(super) fn latest(&self) -> String {
        let one = |target: &Target| {
            let anon = target.anon().map_or(f64::NAN, |anon| anon as f64 / MB);
            let calm = target.level() == "calm";
            let level = if calm { String::new() } else { format!(" {}!", target.level()) };
            let slope = target
                .slope()
                .map_or_else(String::new, |slope| format!(" {:+.2} kB/s", slope / 1e3));
            format!("{} {anon:.1} MB {}{level}{slope}", target.name, target.verdict())
        };
        self.last.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// Mean of the first quarter and of the last.
fn quarters(anon: &[u64]) -> Option<(f64, f64)> {
    let quarter = anon.len().div_ceil(4);
    let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / part.len() as f64;
    (quarter > 0).then(|| (mean(&anon[..quarter]), mean(&anon[anon.len() - quarter..])))
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (service, anon) in &self.anon {
            if let Some((first, last)) = quarters(anon) {
                let growth = last - first;
                writeln!(
                    f,
                    "{}: {service:<16} anonymous memory {:6.2} MB in the first quarter, {:6.2} MB in the last: {:+.2} MB ({:+.1} %)",
                    self.name,
                    first / MB,
                    last / MB,
                    growth / MB,
                    growth / first * 100.0,
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_quarter_is_compared_with_the_last() {
        assert_eq!(quarters(&[]), None);
        assert_eq!(quarters(&[4]), Some((4.0, 4.0)));
        assert_eq!(quarters(&[1, 3, 9, 9, 9, 9, 6, 8]), Some((2.0, 7.0)));
    }
}
