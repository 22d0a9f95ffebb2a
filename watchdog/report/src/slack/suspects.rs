//! The functions that keep the memory, as a block of code.

use watchdog_core::culprit::{Culprit, MAX_SUSPECTS};
use watchdog_core::incident::Incident;

use super::blocks::Detail;
use super::text::{foreign, joined};
use crate::message;

/// The functions that were named with share, rate and bytes, and the stack of the first; `None` while none is named.
pub(super) fn code_block(incident: &Incident, detail: &Detail) -> Option<String> {
    let mut lines = Vec::new();
    let suspects: Vec<&Culprit> = message::suspects(incident).collect();
    let first = *suspects.first()?;
    for culprit in suspects.iter().take(MAX_SUSPECTS) {
        lines.extend(about(culprit, detail));
        lines.push(String::new());
    }
    let more = suspects.len().saturating_sub(MAX_SUSPECTS);
    if more > 0 {
        lines.push(format!("… {more} more functions"));
        lines.push(String::new());
    }
    lines
        .extend(message::stack(first, detail.frames).iter().map(|line| foreign(line, detail.line)));
    // Three backticks in a name would end the block.
    let text = joined(&lines, 0).trim_end().replace("```", "'''");
    Some(format!("```\n{text}\n```"))
}

fn about(culprit: &Culprit, detail: &Detail) -> Vec<String> {
    let mut lines = vec![foreign(&culprit.frame.function, detail.name)];
    let place = message::location(&culprit.frame);
    lines.extend(place.map(|at| format!("  at {}", foreign(&at, detail.line))));
    lines.push(format!("  {}", foreign(&message::share(culprit), detail.line)));
    lines.extend(message::rate(culprit).map(|rate| format!("  {}", foreign(&rate, detail.line))));
    lines
}
