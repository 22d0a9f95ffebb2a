//! Incidents to report.

use watchdog_core::incident::{Incident, State};

/// A confirmed leak with everything known.
pub(crate) fn confirmed() -> Incident {
    serde_json::from_str(include_str!("confirmed.json")).expect("the sample incident")
}

/// The same with another id and state.
pub(crate) fn incident(id: &str, state: State) -> Incident {
    Incident { id: id.into(), state, ..confirmed() }
}
