//! The functions that keep the memory: what the first does in words, and its stack and the others as a block of code.

use watchdog_core::culprit::{Culprit, MAX_SUSPECTS};
use watchdog_core::incident::Incident;
use watchdog_core::units::BytesPerSecond;

use super::blocks::Detail;
use super::text::{code, foreign, joined, range, words};
use crate::message;

/// A short name that is longer is no short name.
const SHORT: usize = 60;

/// The functions that were named with share, rate and bytes, and the stack of the first; `None` while none is named.
pub(super) fn suspects(incident: &Incident, detail: &Detail) -> Option<String> {
    let mut suspects = message::suspects(incident);
    let over = incident.state.is_closed();
    let first = suspects.next()?;
    let mut lines = stack(first, detail);
    for culprit in suspects.by_ref().take(MAX_SUSPECTS - 1) {
        lines.push(String::new());
        lines.push(format!("also {}", named(culprit, detail)));
        lines.push(format!("  {}", words(&message::share(culprit), detail.line)));
        lines.extend(rate(culprit, over).map(|rate| format!("  {}", words(&rate, detail.line))));
    }
    let more = suspects.count();
    if more > 0 {
        lines.push(format!("\n… {more} more functions"));
    }
    // Three backticks in a name would end the block.
    let text = joined(&lines, 0).trim_end().replace("```", "'''");
    Some(format!("{}\n```\n{text}\n```", sentence(first, over, detail.line)))
}

/// What it does, or did until it was `over`, under a name short enough for a line of a phone.
pub(super) fn sentence(culprit: &Culprit, over: bool, most: usize) -> String {
    let name = code(&message::short(&culprit.frame.function), SHORT);
    let mut about = message::share(culprit);
    if let Some(rate) = rate(culprit, over) {
        about.push_str("; it ");
        about.push_str(&rate);
    }
    format!("🔎 {name} {}", words(&about, most))
}

fn rate(culprit: &Culprit, over: bool) -> Option<String> {
    let [rate, low, high] = [culprit.rate, culprit.rate_low, culprit.rate_high].map(BytesPerSecond);
    let verb = if over { "grew" } else { "grows" };
    (rate.0 > 0.0).then(|| format!("{verb} {rate} (90 %: {})", range(&low, &high)))
}

/// The function in full and where it stands.
fn named(culprit: &Culprit, detail: &Detail) -> String {
    let name = foreign(&culprit.frame.function, detail.name);
    match message::place(&culprit.frame) {
        Some(place) => format!("{name} ({})", foreign(&place, detail.line)),
        None => name,
    }
}

/// The function, and the stack that leads to it, innermost first. Where that begins with the function itself, it is not
/// told twice.
fn stack(culprit: &Culprit, detail: &Detail) -> Vec<String> {
    let mut lines = vec![named(culprit, detail)];
    let frames = match culprit.stack.split_first() {
        Some((first, callers)) if *first == culprit.frame => callers,
        Some(_) => {
            lines.push(String::new());
            &culprit.stack
        }
        None => &[],
    };
    let shown = frames.iter().take(detail.frames);
    lines.extend(shown.map(|frame| foreign(&message::frame(frame), detail.line)));
    let more = frames.len().saturating_sub(detail.frames);
    if more > 0 {
        lines.push(format!("… {more} more"));
    }
    lines
}
