//! Latencies are measured by a label that is new with each request: one more series every time.

use std::collections::HashMap;

use crate::catalogue::{Entry, Expected, Language};
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = Entry {
    name: "label-explosion",
    language: Language::Rust,
    leaks: true,
    what: "Latencies are kept by a label that is different in every request.",
    culprits: &[Expected {
        function: "observe_latency",
        file: "gallery/src/leaks/label_explosion.rs",
    }],
    make: Some(|| Ok(Box::new(Latencies::default()))),
};

/// As many as a latency from a microsecond to a minute needs at this resolution.
const BUCKETS: usize = 120;

/// One series: how often which latency came.
struct Histogram {
    buckets: Box<[u64]>,
    total: u64,
}

#[derive(Default)]
struct Latencies {
    series: HashMap<String, Histogram>,
}

impl Latencies {
    fn observe_latency(&mut self, route: &str, request: u64, bucket: usize) -> usize {
        let labels = format!("route=\"{route}\",request_id=\"{request:032x}\"");
        let size = labels.len() + BUCKETS * size_of::<u64>();
        let series = self
            .series
            .entry(labels)
            .or_insert_with(|| Histogram { buckets: vec![1; BUCKETS].into(), total: 0 });
        if let Some(count) = series.buckets.get_mut(bucket) {
            *count += 1;
        }
        series.total += 1;
        size
    }
}

impl Program for Latencies {
    fn handle(&mut self, request: &Request) -> usize {
        self.observe_latency(request.route, request.id, request.body.len() % BUCKETS)
    }
}
