//! Trace and span ids that follow from the incident, so that what is told before and after a restart of the watchdog is
//! one trace, and so that a span may name its parent before that one is exported.
//!
//! They are cut from SHA-256, because collectors sample by the bits of a trace id and expect them to be even, and because
//! the standard library's hash may change with the compiler.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use sha2::{Digest, Sha256};
use watchdog_core::incident::Incident;

/// Changes when anything of the derivation does.
const DERIVATION: &str = "oomen incident 1";

/// The ids of one incident's trace.
#[derive(Clone, Debug)]
pub(super) struct TraceIds {
    trace: TraceId,
    root: SpanId,
    /// What the spans' ids are derived from.
    seed: Sha256,
}

impl TraceIds {
    /// An incident's own id is unique within one watchdog only: two replicas may have a process of one number that grows
    /// in the same second. Their pods differ, or the ticks at which they started.
    pub(super) fn of(incident: &Incident) -> Self {
        let target = &incident.target;
        let mut seed = Sha256::new();
        add(&mut seed, DERIVATION);
        add(&mut seed, &incident.id);
        add(&mut seed, target.namespace.as_deref().unwrap_or_default());
        add(&mut seed, target.pod.as_deref().unwrap_or_default());
        add(&mut seed, &target.start_ticks.to_string());
        let hash: [u8; 32] = seed.clone().finalize().into();
        let trace = TraceId::from_bytes(first(&hash));
        let mut ids = Self { trace, root: SpanId::INVALID, seed };
        ids.root = ids.span(&["incident"]);
        ids
    }

    /// The root span's id.
    pub(super) fn root(&self) -> SpanId {
        self.root
    }

    /// The id of the span that these words tell apart within the trace.
    pub(super) fn span(&self, words: &[&str]) -> SpanId {
        let mut seed = self.seed.clone();
        words.iter().for_each(|word| add(&mut seed, word));
        let hash: [u8; 32] = seed.finalize().into();
        SpanId::from_bytes(first(&hash))
    }

    /// The context of the trace's span of this id. Always sampled: incidents are few.
    pub(super) fn context(&self, span: SpanId) -> SpanContext {
        SpanContext::new(self.trace, span, TraceFlags::SAMPLED, false, TraceState::NONE)
    }
}

/// With its length, so that no two lists of words run into one.
fn add(seed: &mut Sha256, word: &str) {
    seed.update((word.len() as u64).to_le_bytes());
    seed.update(word);
}

fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    std::array::from_fn(|at| hash[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchdog_core::incident::TargetIdentity;

    fn incident(id: &str, pod: Option<&str>) -> Incident {
        let target = TargetIdentity { pod: pod.map(Into::into), ..Default::default() };
        super::super::tests::incident(id, target)
    }

    #[test]
    fn an_incident_has_the_same_ids_in_every_run_of_the_watchdog() {
        let ids = TraceIds::of(&incident("shop-7-100", None));
        // Written down: another compiler, machine or version of the watchdog must come to the same.
        assert_eq!(ids.trace.to_string(), "54e62eab3679f621e5096bac29787220");
        assert_eq!(ids.root().to_string(), "4957fea2bdedc7c0");
        let later = Incident { revision: 9, ..incident("shop-7-100", None) };
        assert_eq!(TraceIds::of(&later).context(ids.root()), ids.context(ids.root()));
    }

    #[test]
    fn other_incidents_and_the_same_one_of_another_pod_have_other_ids() {
        let ids = [("a-1-1", None), ("a-1-11", None), ("a-1-1", Some("p")), ("a-1-1", Some("q"))]
            .map(|(id, pod)| TraceIds::of(&incident(id, pod)));
        for (at, one) in ids.iter().enumerate() {
            for other in &ids[at + 1..] {
                assert_ne!(one.trace, other.trace);
                assert_ne!(one.root(), other.root());
            }
        }
    }

    #[test]
    fn spans_of_one_trace_are_told_apart_by_their_words_not_by_their_letters() {
        let ids = TraceIds::of(&incident("shop-7-100", None));
        let spans = [&["ab", "c"][..], &["a", "bc"], &["abc"], &["abc", ""], &["incident"]];
        let spans = spans.map(|words| ids.span(words));
        for (at, one) in spans.iter().enumerate() {
            assert!(spans[at + 1..].iter().all(|other| other != one));
            assert_ne!(*one, SpanId::INVALID);
        }
        assert_eq!(spans[4], ids.root());
    }
}
