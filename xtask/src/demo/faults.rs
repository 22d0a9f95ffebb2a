//! The faults of the shop: which service has each, and what the watchdog should say of it.

/// What is injected and what is to come of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// As the service's admin port calls it.
    pub(crate) name: &'static str,
    /// Who has it. Every service has the innocents; one of them shows them.
    pub(crate) service: &'static str,
    /// The kind of growth that is to be told; of an innocent nothing is.
    pub(crate) verdict: Option<&'static str>,
    /// The function that is to be named, where the growth is the heap's.
    pub(crate) culprit: Option<&'static str>,
    /// Where it is not: what a function must begin with that is named beside, for what it keeps on the heap.
    beside: &'static str,
}

impl Fault {
    const fn leak(name: &'static str, service: &'static str, culprit: &'static str) -> Self {
        Self { name, service, verdict: Some("heap-leak"), culprit: Some(culprit), beside: "" }
    }

    const fn other(
        name: &'static str,
        service: &'static str,
        verdict: &'static str,
        beside: &'static str,
    ) -> Self {
        Self { name, service, verdict: Some(verdict), culprit: None, beside }
    }

    const fn innocent(name: &'static str) -> Self {
        Self { name, service: "recommendations", verdict: None, culprit: None, beside: "" }
    }

    /// Whether the right function is blamed, or none where none has to be.
    pub(crate) fn is_blamed_on(&self, culprit: Option<&str>) -> bool {
        match self.culprit {
            Some(_) => culprit == self.culprit,
            None => culprit.is_none_or(|function| function.starts_with(self.beside)),
        }
    }

    /// Whether nothing is injected at all.
    pub(crate) fn is_none(&self) -> bool {
        self.name == "none"
    }
}

/// The one that is measured.
pub(crate) const UNBOUNDED_CACHE: Fault =
    Fault::leak("unbounded-cache", "recommendations", "services_recommendations::cache::remember");

static FAULTS: [Fault; 12] = [
    UNBOUNDED_CACHE,
    Fault::leak(
        "forgotten-subscriber",
        "notifications",
        "services_notifications::bulletin::publish",
    ),
    Fault::leak("reference-cycle", "orders", "services_orders::reference_cycle::follow"),
    Fault::leak("label-explosion", "gateway", "services_gateway::labels::intern"),
    Fault::leak("stuck-tasks", "payments", "services_payments::confirmation::await_confirmation"),
    Fault::other(
        "fragmentation",
        "inventory",
        "fragmentation",
        "services_inventory::fragmentation::",
    ),
    Fault::other("native-mmap", "users", "off-heap", "services_users::native::"),
    Fault::innocent("bounded-cache"),
    Fault::innocent("diurnal-load"),
    Fault::innocent("batch-sawtooth"),
    Fault::innocent("page-cache"),
    Fault::innocent("none"),
];

/// The fault of that name.
pub(crate) fn find(name: &str) -> Result<&'static Fault, String> {
    FAULTS.iter().find(|fault| fault.name == name).ok_or_else(|| {
        let names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
        format!("there is no such fault; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use services_engines::Shop;

    use super::*;

    #[test]
    fn every_service_of_the_shop_leaks_in_its_own_way() {
        let leaks = FAULTS.iter().filter(|fault| fault.verdict.is_some());
        let services: BTreeSet<_> = leaks.map(|fault| fault.service).collect();
        assert_eq!(services, Shop::services().collect());
    }

    #[test]
    fn a_function_beside_a_growth_that_is_not_the_heaps_must_be_the_faults_own() {
        let fragmentation = find("fragmentation").expect("it is there");
        assert!(fragmentation.is_blamed_on(None));
        assert!(fragmentation.is_blamed_on(Some("services_inventory::fragmentation::burst")));
        assert!(!fragmentation.is_blamed_on(Some("services_inventory::search::find")));
        assert!(!UNBOUNDED_CACHE.is_blamed_on(None));
        assert!(UNBOUNDED_CACHE.is_blamed_on(UNBOUNDED_CACHE.culprit));
    }

    #[test]
    fn an_unknown_fault_is_told_those_there_are() {
        assert_eq!(find("native-mmap").map(|fault| fault.service), Ok("users"));
        let error = find("bad-luck").expect_err("unknown");
        assert!(error.contains("reference-cycle") && error.contains("none"), "{error}");
    }
}
