//! What the demo can show: each leak of the shop, what only looks like one, and nothing at all.

use services_engines::fault::{Fault, LEAKS};

/// Every service has the innocents; one of them shows them.
static INNOCENTS: [Fault; 5] = [
    Fault::innocent("bounded-cache", "recommendations"),
    Fault::innocent("diurnal-load", "recommendations"),
    Fault::innocent("batch-sawtooth", "recommendations"),
    Fault::innocent("page-cache", "recommendations"),
    NONE,
];

/// Nothing is injected.
const NONE: Fault = Fault::innocent("none", "recommendations");

/// Whether nothing is injected at all.
pub(crate) fn is_none(fault: &Fault) -> bool {
    *fault == NONE
}

/// The fault of that name.
pub(crate) fn find(name: &str) -> Result<&'static Fault, String> {
    let faults = || LEAKS.iter().chain(&INNOCENTS);
    faults().find(|fault| fault.name == name).ok_or_else(|| {
        let names: Vec<_> = faults().map(|fault| fault.name).collect();
        format!("there is no such fault; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_fault_is_told_those_there_are() {
        assert_eq!(find("native-mmap").map(|fault| fault.service), Ok("users"));
        let error = find("bad-luck").expect_err("unknown");
        assert!(error.contains("reference-cycle") && error.contains("none"), "{error}");
    }
}
