//! The words for several replicas of one workload that grow at once: told together, the worst first.

use std::cmp::Ordering;

use watchdog_core::incident::{Incident, State};
use watchdog_core::verdict::Kind;

use super::{MAX_NAME, clean, forecast, growing, memory, soon, summary, truncated};

/// How bad a state is, the worst highest. A kill that is near comes before one that happened: it can still be averted.
fn danger(state: State) -> u8 {
    match state {
        State::Imminent => 5,
        State::Confirmed => 4,
        State::Suspected => 3,
        State::Killed => 2,
        State::Gone => 1,
        State::Recovered => 0,
    }
}

/// The more dangerous first; of two alike the one that is killed sooner, then the fuller one.
pub fn by_danger(a: &Incident, b: &Incident) -> Ordering {
    let soon = |incident: &Incident| incident.kill.map_or(f64::INFINITY, |kill| kill.estimate.0);
    let full = |incident: &Incident| match incident.limit {
        Some(limit) => incident.used.fraction_of(limit),
        None => 0.0,
    };
    danger(b.state)
        .cmp(&danger(a.state))
        .then_with(|| soon(a).total_cmp(&soon(b)))
        .then_with(|| full(b).total_cmp(&full(a)))
}

/// All of them, the most dangerous first.
pub fn ranked(incidents: &[Incident]) -> Vec<&Incident> {
    let mut ranked: Vec<&Incident> = incidents.iter().collect();
    ranked.sort_by(|a, b| by_danger(a, b));
    ranked
}

/// What the replicas share.
pub fn workload(incident: &Incident) -> String {
    let workload = incident.target.workload.as_deref().unwrap_or(&incident.target.name);
    let workload = truncated(clean(workload).trim(), MAX_NAME);
    if workload.is_empty() { "a process".into() } else { workload }
}

/// What tells a replica from the others: its pod, else its name.
pub fn replica(incident: &Incident) -> String {
    let pod = incident.target.pod.as_deref().map(|pod| truncated(clean(pod).trim(), MAX_NAME));
    pod.filter(|pod| !pod.is_empty()).unwrap_or_else(|| super::name(incident))
}

/// What happens to whom, in one line. Of one incident its own title; of several
/// `3 of shop leak memory: the first is killed in 3 min 10 s (2 min 40 s – 4 min)`.
pub fn title(incidents: &[Incident]) -> String {
    let ranked = ranked(incidents);
    let Some(worst) = ranked.first() else { return String::new() };
    if ranked.len() == 1 {
        return super::title(worst);
    }
    let (workload, all) = (workload(worst), ranked.len());
    let open = ranked.iter().filter(|incident| !incident.state.is_closed()).count();
    if open == 0 {
        return format!("{workload}: {}", endings(incidents));
    }
    let kind = worst.verdict.kind;
    let verb = if open == 1 { growing(kind) } else { growing_plural(kind) };
    let (who, next) = if open == all {
        (format!("{all} of {workload} {verb}"), "the first")
    } else {
        (format!("{open} of {all} of {workload} still {verb}"), "the next")
    };
    match forecast(worst) {
        Some(forecast) => format!("{who}: {next} is {forecast}"),
        None => who,
    }
}

/// `2 of 3 were killed for their memory, 1 recovered`.
fn endings(incidents: &[Incident]) -> String {
    let count = |state| incidents.iter().filter(|incident| incident.state == state).count();
    let all = incidents.len();
    let counts = [State::Killed, State::Recovered, State::Gone].map(|state| (state, count(state)));
    let words = counts.into_iter().filter(|(_, count)| *count > 0).enumerate();
    let words: Vec<String> = words
        .map(|(index, (state, count))| {
            let of = if index == 0 { format!(" of {all}") } else { String::new() };
            let verb = match (state, count) {
                (State::Killed, 1) => "was killed for its memory",
                (State::Killed, _) => "were killed for their memory",
                (State::Recovered, _) => "recovered",
                (_, 1) => "ended while it was growing",
                _ => "ended while they were growing",
            };
            format!("{count}{of} {verb}")
        })
        .collect();
    words.join(", ")
}

/// As [`growing`], of several.
fn growing_plural(kind: Kind) -> &'static str {
    match kind {
        Kind::HeapLeak => "leak memory",
        Kind::Fragmentation => "lose memory to fragmentation",
        Kind::OffHeap => "grow outside their allocator",
        Kind::Tmpfs => "fill their tmpfs",
        Kind::Undecided | Kind::Steady | Kind::PageCache | Kind::Load => "grow",
    }
}

/// One replica in a list, after its name: `70 % · killed in 3 min 10 s`, or how it ended: `100 % · killed`.
pub fn line(incident: &Incident) -> String {
    let full = match incident.limit {
        Some(limit) => format!("{:.0} %", incident.used.fraction_of(limit) * 100.0),
        None => incident.used.to_string(),
    };
    let what = soon(incident).unwrap_or_else(|| word(incident).into());
    format!("{full} · {what}")
}

/// What happens to one of several, in a word or two.
fn word(incident: &Incident) -> &'static str {
    match incident.state {
        State::Suspected => "may be leaking",
        State::Confirmed => growing(incident.verdict.kind),
        State::Imminent => "about to be killed",
        State::Recovered => "recovered",
        State::Killed => "killed",
        State::Gone => "ended",
    }
}

/// Everything that matters in one or two lines, as it is read on a lock screen.
pub fn lock_screen(incidents: &[Incident]) -> String {
    let ranked = ranked(incidents);
    let Some(worst) = ranked.first() else { return String::new() };
    if ranked.len() == 1 {
        return summary(worst);
    }
    let mut parts = vec![title(incidents), format!("{} at {}", replica(worst), memory(worst))];
    // The worst one may be too young to know the function that another is known to grow in.
    if let Some(culprit) = ranked.iter().find_map(|incident| incident.culprit.as_ref()) {
        let function = clean(&culprit.frame.function);
        parts.push(format!("culprit {function} ({:.0} %)", culprit.share * 100.0));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use watchdog_core::units::Bytes;

    use super::*;

    fn replicas(states: &[State]) -> Vec<Incident> {
        let sample: Incident =
            serde_json::from_str(include_str!("../../tests/report/confirmed.json"))
                .expect("the sample incident");
        let replica = |(index, state): (usize, &State)| {
            let mut incident = Incident { state: *state, ..sample.clone() };
            incident.id = format!("{}-{index}", incident.id);
            incident.target.pod = Some(format!("recommendations-{index}"));
            incident.target.workload = Some("shop".into());
            incident
        };
        states.iter().enumerate().map(replica).collect()
    }

    #[test]
    fn several_are_told_by_number_and_by_the_first_that_is_killed() {
        use State::{Confirmed, Imminent, Killed};
        let mut both = replicas(&[Confirmed, Confirmed]);
        both[1].kill = both[1].kill.map(|mut kill| {
            kill.estimate = kill.estimate.plus(-60.0);
            kill
        });
        assert_eq!(
            title(&both),
            "2 of shop leak memory: the first is killed in 2 min 10 s (2 min 40 s – 4 min)"
        );
        assert_eq!(replica(ranked(&both)[0]), "recommendations-1");
        assert_eq!(
            title(&replicas(&[Killed, Imminent, Killed])),
            "1 of 3 of shop still leaks memory: the next is killed in 3 min 10 s (2 min 40 s – 4 min)"
        );
        assert_eq!(title(&both[..1]), super::super::title(&both[0]), "one is told as itself");
    }

    #[test]
    fn when_all_is_over_it_says_how_it_went() {
        use State::{Gone, Killed, Recovered};
        let title = |states: &[State]| title(&replicas(states));
        assert_eq!(
            title(&[Recovered, Killed, Killed]),
            "shop: 2 of 3 were killed for their memory, 1 recovered"
        );
        assert_eq!(title(&[Recovered, Recovered]), "shop: 2 of 2 recovered");
        assert_eq!(
            title(&[Gone, Killed]),
            "shop: 1 of 2 was killed for its memory, 1 ended while it was growing"
        );
    }

    #[test]
    fn what_can_be_averted_comes_first_and_the_fuller_before_the_emptier() {
        use State::{Confirmed, Gone, Imminent, Killed, Recovered};
        let mut all = replicas(&[Recovered, Gone, Killed, Confirmed, Imminent, Imminent]);
        all[5].used = Bytes(all[5].used.0 + 1);
        let order: Vec<_> = ranked(&all).iter().map(|incident| replica(incident)).collect();
        let numbers: Vec<_> = order.iter().filter_map(|name| name.chars().last()).collect();
        assert_eq!(numbers, ['5', '4', '3', '2', '1', '0']);
    }

    #[test]
    fn a_line_tells_the_memory_and_the_forecast_or_the_end() {
        let [open, killed] = &replicas(&[State::Confirmed, State::Killed])[..] else { panic!() };
        assert_eq!(line(open), "70 % · killed in 3 min 10 s");
        assert_eq!(line(killed), "70 % · killed");
    }

    #[test]
    fn the_lock_screen_names_the_function_even_if_the_worst_does_not_know_it() {
        let mut both = replicas(&[State::Imminent, State::Confirmed]);
        both[0].culprit = None;
        assert_eq!(
            lock_screen(&both),
            "2 of shop leak memory: the first is killed in 3 min 10 s (2 min 40 s – 4 min) · \
             recommendations-0 at 180.0 MiB of 256.0 MiB (70 %) · \
             culprit services_recommendations::cache::remember (93 %)"
        );
    }
}
