//! Much is allocated for each request and all of it is freed with the answer.

use std::collections::BTreeMap;

use super::innocent;
use crate::catalogue::Entry;
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry =
    innocent("churn", "Much is allocated for each request and freed with the answer.", || {
        Ok(Box::new(Reports::default()))
    });

#[derive(Default)]
struct Reports {
    longest: usize,
}

impl Program for Reports {
    fn handle(&mut self, request: &Request) -> usize {
        let mut fields = BTreeMap::new();
        for (place, field) in request.body.split(|byte| *byte == b',').enumerate() {
            fields.insert(place, String::from_utf8_lossy(field).into_owned());
        }
        let report: String = fields.values().map(|field| field.trim_matches('"')).collect();
        self.longest = self.longest.max(report.len());
        request.body.len() + report.len()
    }
}
