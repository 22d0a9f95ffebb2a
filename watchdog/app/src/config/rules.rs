//! What of the configuration is about rules fitted to the targets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use watchdog_report::rules::Selector;

use super::Config;
use super::section::Section;
use crate::rules::RulesConfig;

/// Labels of a selector.
const MAX_LABELS: usize = 16;

impl Config {
    pub(super) fn read_rules(&mut self, root: &mut Section) {
        let mut section = root.section("rules");
        let default = RulesConfig::default();
        let span = |seconds: Option<f64>, default| seconds.map_or(default, Duration::from_secs_f64);
        self.rules = RulesConfig {
            file: section.string("file").map(PathBuf::from),
            reload: section.parsed("reload_url"),
            selector: read_selector(&mut section),
            interval: span(section.seconds("interval", 1.0..=3600.0), default.interval),
            gone_after: span(section.seconds("gone_after", 1.0..=86_400.0), default.gone_after),
        };
        if self.rules.reload.is_some() && self.rules.file.is_none() {
            section.mistake("reload_url", "is asked after `file` was written: name that as well");
        }
        if self.rules.file.as_ref().is_some_and(|file| file.file_name().is_none()) {
            section.mistake("file", "must be the path of a file");
        }
        root.absorb(section);
    }
}

fn read_selector(section: &mut Section) -> Selector {
    let metric = section.string("metric");
    let labels: BTreeMap<_, _> = section.pairs("labels", MAX_LABELS).into_iter().collect();
    let (key, selector) = match metric {
        Some(metric) => ("metric", Selector::new(&metric, labels)),
        None if labels.is_empty() => return Selector::default(),
        None => ("labels", Selector::default().with(labels)),
    };
    selector.unwrap_or_else(|error| {
        section.mistake(key, &error.to_string());
        Selector::default()
    })
}
