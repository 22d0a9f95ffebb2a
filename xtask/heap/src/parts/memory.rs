//! The watchdog's memory from the attachment to the report about a kill, beside small and large programs.

mod stage;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Settings;
use crate::figures::bytes;
use crate::machine::status_bytes;
use crate::report::Report;
use stage::Stage;

/// The sidecar's limit.
const MOST: u64 = 32 << 20;
const LOOK: Duration = Duration::from_millis(10);
/// Before the leak: the detector's warm-up, the first profile, and a calm stretch.
const CALM: Duration = Duration::from_secs(20);
/// From the leak to the kill it takes a quarter of this.
const PATIENCE: Duration = Duration::from_secs(120);

/// Adds the table and bounds of this part.
pub(super) fn measure(settings: &Settings, report: &mut Report) -> Result<()> {
    let programs = [
        ("recommendations as it is shipped", settings.release.join("recommendations")),
        ("recommendations with all debug information", settings.debug.join("recommendations")),
    ];
    let mut rows = Vec::new();
    for (number, (what, program)) in (0..).zip(&programs) {
        eprintln!("memory: beside {what}");
        let size = std::fs::metadata(program)?.len() as f64;
        let scratch = settings.scratch(&format!("memory-{number}"))?;
        let seen = incident(settings, program, &scratch)
            .with_context(|| format!("its files are in {}", scratch.display()))?;
        rows.push(vec![
            format!("{what} ({})", bytes(size)),
            bytes(seen.calm as f64),
            bytes(seen.peak as f64),
            bytes(seen.downloads as f64),
            seen.function.clone(),
        ]);
        report.bound(
            &format!("anonymous memory of oomen watch beside {what}, from attachment to the report of the kill"),
            &bytes(seen.peak as f64),
            &format!("less than {}", bytes(MOST as f64)),
            seen.peak < MOST,
        );
    }
    let head = [
        "beside",
        "calm",
        "peak through the incident",
        "peak while dumps are downloaded after it",
        "function reported",
    ];
    report.table("Anonymous memory of oomen watch", &head, rows);
    report.note("Memory: RssAnon, looked at every 10 ms; recorder, probe and Slack are on. The service is under load, leaks 20 MB/s and is killed at 256 MiB.");
    Ok(())
}

/// Bytes of anonymous memory.
struct Seen {
    calm: u64,
    peak: u64,
    downloads: u64,
    function: String,
}

fn incident(settings: &Settings, program: &Path, scratch: &Path) -> Result<Seen> {
    let mut stage = Stage::set(settings, program, scratch)?;
    let watchdog = stage.watchdog_pid();
    let (over, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                peak.fetch_max(status_bytes(watchdog, "RssAnon:").unwrap_or(0), Ordering::Relaxed);
                thread::sleep(LOOK);
            }
        });
        let seen = play(&mut stage, &peak);
        over.store(true, Ordering::Relaxed);
        seen
    })
}

/// Calm, leak, kill, report; then people download what there is.
fn play(stage: &mut Stage, peak: &AtomicU64) -> Result<Seen> {
    let end = Instant::now() + CALM;
    while Instant::now() < end {
        stage.must_live()?;
        thread::sleep(LOOK);
    }
    let calm = status_bytes(stage.watchdog_pid(), "RssAnon:")?;
    stage.leak(20_000_000)?;
    stage.wait_until("the kill", PATIENCE, |stage| Ok(stage.is_killed()?.then_some(())))?;
    let function = stage.wait_until("the report of the kill", PATIENCE, |stage| {
        let incidents: Value = stage.ask("/api/v1/incidents")?;
        Ok(function_of_a_kill(&incidents))
    })?;
    // What comes after the last word is part of it.
    thread::sleep(Duration::from_secs(3));
    let incident = peak.swap(0, Ordering::Relaxed);
    let dumps: Value = stage.ask("/api/v1/heap-dumps")?;
    let ids = ids(&dumps);
    ensure!(!ids.is_empty(), "no heap dump that holds anything was kept");
    for id in &ids {
        for form in ["pprof", "flamegraph"] {
            stage.download(&format!("/api/v1/heap-dumps/{id}?format={form}"))?;
        }
    }
    let downloads = peak.load(Ordering::Relaxed);
    Ok(Seen { calm, peak: incident, downloads, function })
}

/// The function that is named in an incident whose process was killed.
fn function_of_a_kill(incidents: &Value) -> Option<String> {
    let list = incidents.get("incidents").unwrap_or(incidents).as_array()?;
    let ended = list.iter().find(|one| one["state"] == "killed")?;
    let function = ended.pointer("/culprit/frame/function")?.as_str()?;
    Some(function.to_owned())
}

/// The dumps that hold something: of a process that has just started, nothing may have been sampled yet.
fn ids(dumps: &Value) -> Vec<String> {
    let all = dumps.get("heap_dumps").and_then(Value::as_array).into_iter().flatten();
    let held = all.filter(|one| one["inuse_space"].as_u64().is_some_and(|bytes| bytes > 0));
    held.filter_map(|one| Some(one.get("id")?.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_incident_that_ended_in_a_kill_and_names_a_function_is_the_report() {
        let culprit = json!({ "frame": { "function": "shop::remember" } });
        let over = json!({ "state": "killed", "culprit": culprit });
        let goes_on = json!({ "state": "confirmed", "culprit": culprit });
        let unnamed = json!({ "state": "killed", "culprit": null });
        let found = |one: &Value| function_of_a_kill(&json!({ "incidents": [one] }));
        assert_eq!(found(&over).as_deref(), Some("shop::remember"));
        assert_eq!((found(&goes_on), found(&unnamed)), (None, None));
    }

    #[test]
    fn dumps_that_hold_nothing_are_passed_over() {
        let list = json!({ "heap_dumps": [
            { "id": "a-1", "inuse_space": 0 },
            { "id": "a-2", "inuse_space": 4096 },
        ] });
        assert_eq!(ids(&list), ["a-2"]);
        assert!(ids(&json!({})).is_empty());
    }
}
