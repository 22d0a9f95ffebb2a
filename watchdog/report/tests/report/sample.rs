//! Incidents to report.

use watchdog_core::incident::{Incident, State};
use watchdog_report::sink::{Delivery, DeliveryError, Sink};

/// A confirmed leak with everything known.
pub(crate) fn confirmed() -> Incident {
    serde_json::from_str(include_str!("confirmed.json")).expect("the sample incident")
}

/// The same with another id and state; a later state is a later piece of news.
pub(crate) fn incident(id: &str, state: State) -> Incident {
    Incident { id: id.into(), state, revision: state as u32, ..confirmed() }
}

/// Lets the sink tell all there is to tell of one incident of which it remembers nothing.
pub(crate) async fn tell(sink: &impl Sink, incident: &Incident) -> Result<(), DeliveryError> {
    let mut memory = None;
    loop {
        let incidents = std::slice::from_ref(incident);
        let delivery = Delivery { incidents, memory: memory.as_ref(), unsure_since: None };
        let progress = sink.deliver(delivery).await?;
        if !progress.more {
            return Ok(());
        }
        memory = progress.memory;
    }
}
