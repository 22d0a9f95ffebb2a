//! The leaks that the shop's services have on purpose, and what a watchdog should say of each.

/// A fault, and what is to come of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// As the service's admin port calls it.
    pub name: &'static str,
    /// Who has it. Every service has the innocents.
    pub service: &'static str,
    /// The kind of growth that is to be told; of an innocent nothing is.
    pub verdict: Option<&'static str>,
    /// The function that is to be named, where the growth is the heap's.
    pub culprit: Option<&'static str>,
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

    /// What grows in a service and is no leak.
    pub const fn innocent(name: &'static str, service: &'static str) -> Self {
        Self { name, service, verdict: None, culprit: None, beside: "" }
    }

    /// Whether the right function is blamed, or none where none has to be.
    pub fn is_blamed_on(&self, culprit: Option<&str>) -> bool {
        match self.culprit {
            Some(_) => culprit == self.culprit,
            None => culprit.is_none_or(|function| function.starts_with(self.beside)),
        }
    }
}

/// The leak of the recommendations.
pub const UNBOUNDED_CACHE: Fault =
    Fault::leak("unbounded-cache", "recommendations", "services_recommendations::cache::remember");

/// A leak of each service.
pub static LEAKS: [Fault; 7] = [
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
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Shop;

    #[test]
    fn every_service_of_the_shop_leaks_in_its_own_way() {
        let services: BTreeSet<_> = LEAKS.iter().map(|fault| fault.service).collect();
        assert_eq!(services, Shop::services().collect());
    }

    #[test]
    fn a_function_beside_a_growth_that_is_not_the_heaps_must_be_the_faults_own() {
        let fragmentation = LEAKS.iter().find(|fault| fault.name == "fragmentation").unwrap();
        assert!(fragmentation.is_blamed_on(None));
        assert!(fragmentation.is_blamed_on(Some("services_inventory::fragmentation::burst")));
        assert!(!fragmentation.is_blamed_on(Some("services_inventory::search::find")));
        assert!(!UNBOUNDED_CACHE.is_blamed_on(None));
        assert!(UNBOUNDED_CACHE.is_blamed_on(UNBOUNDED_CACHE.culprit));
    }
}
