//! Finds the processes a target means, starts a watcher for each, and finds the next when one has ended.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use watchdog_collect::CollectError;
use watchdog_collect::collector::{Collector, CollectorOptions};
use watchdog_collect::discover::{self, Found};
use watchdog_collect::process::ProcessReader;
use watchdog_core::incident::TargetIdentity;
use watchdog_core::units::Bytes;

use crate::config::{TargetConfig, Which};
use crate::context::Context;
use crate::watcher::{Clients, Watcher};
use crate::workload::Process;

/// Processes that one target may mean; beyond it the name is too common.
pub const MAX_PROCESSES: usize = 16;
/// Pause between two searches while something is watched: walking /proc costs about a millisecond.
const SEARCH_CALM: Duration = Duration::from_secs(15);
/// Pause while nothing is: a service that restarts is to be seen from its first second.
const SEARCH_URGENT: Duration = Duration::from_millis(500);

/// The service's version, where the target's configuration does not say it: the Downward API fills it from a label.
const VERSION_VARIABLE: &str = "OOMEN_TARGET_VERSION";

/// What a configured target is called in the metrics.
fn selector(target: &TargetConfig) -> String {
    let of_processes = || match &target.which {
        Which::Process(name) | Which::Next(name, _) => name.clone(),
        Which::Pod => "pod".to_owned(),
        Which::Pid(_) | Which::Only(_) => "pid".to_owned(),
    };
    target.name.clone().unwrap_or_else(of_processes)
}

/// Keeps one configured target, the one at `place` in the configuration, watched until `stop`.
pub async fn supervise(
    context: Arc<Context>,
    place: usize,
    mut target: TargetConfig,
    stop: CancellationToken,
) {
    let selector = selector(&target);
    let mut watchers: JoinSet<()> = JoinSet::new();
    let mut watched: HashMap<Id, (u32, u64)> = HashMap::new();
    let mut complained = false;
    let single = !matches!(target.which, Which::Process(_) | Which::Pod);
    let only = matches!(target.which, Which::Only(_));
    loop {
        // Who is to follow a single process is only asked when it has ended.
        let found = if single && !watched.is_empty() {
            Ok(Vec::new())
        } else {
            search(&context.proc_root, &mut target)
        };
        match found {
            Ok(found) => {
                let meant = if single { watched.len().max(found.len()) } else { found.len() };
                context.selected(place, &selector, meant);
                let fresh = found
                    .into_iter()
                    .filter(|f| !watched.values().any(|w| *w == (f.pid, f.start_ticks)));
                for found in
                    fresh.take(MAX_PROCESSES.saturating_sub(watched.len())).collect::<Vec<_>>()
                {
                    // An address speaks for one process: its answers must not be taken for another's.
                    let clients = match watched.is_empty() {
                        true => Clients::of(&target),
                        false => Clients::default(),
                    };
                    if let Some(watcher) = attach(&context, &target, clients, &found) {
                        let handle = watchers.spawn(watcher.run(stop.child_token()));
                        watched.insert(handle.id(), (found.pid, found.start_ticks));
                    }
                }
                complained = false;
            }
            Err(error) if !complained => {
                tracing::warn!(%error, "the processes cannot be listed");
                complained = true;
            }
            Err(_) => {}
        }
        let pause = if watched.is_empty() { SEARCH_URGENT } else { SEARCH_CALM };
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(pause) => {}
            Some(ended) = watchers.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => {
                        tracing::error!(%error, "a watcher failed");
                        error.id()
                    }
                };
                watched.remove(&id);
                if only {
                    break;
                }
            }
        }
    }
    while watchers.join_next().await.is_some() {}
}

/// The processes the target means now. A pid that was found becomes the next process of its name.
pub fn search(root: &Path, target: &mut TargetConfig) -> Result<Vec<Found>, CollectError> {
    match &mut target.which {
        Which::Process(name) => discover::by_name(root, name),
        Which::Pod => discover::top_of_containers(root, std::process::id()),
        Which::Only(pid) => Ok(vec![by_pid(root, *pid)?]),
        Which::Pid(pid) => {
            let found = by_pid(root, *pid)?;
            tracing::info!(pid = found.pid, name = %found.name, "when this process ends, the next of its name is watched");
            // Those that run beside it now are other services or replicas.
            let beside = discover::by_name(root, &found.name)?;
            let newest = beside.last().map_or(0, |last| last.start_ticks).max(found.start_ticks);
            target.which = Which::Next(found.name.clone(), newest);
            Ok(vec![found])
        }
        Which::Next(name, after) => {
            let mut found = discover::by_name(root, name)?;
            found.retain(|found| found.start_ticks > *after);
            found.truncate(1);
            if let Some(next) = found.first() {
                *after = next.start_ticks;
            }
            Ok(found)
        }
    }
}

fn by_pid(root: &Path, pid: u32) -> Result<Found, CollectError> {
    let mut process = ProcessReader::attach(root, pid)?;
    let exe =
        process.exe().ok().and_then(|exe| Some(exe.file_name()?.to_string_lossy().into_owned()));
    let name = match exe {
        Some(name) => name,
        None => process.comm()?,
    };
    Ok(Found { pid, start_ticks: process.start_ticks(), name, cgroup: String::new() })
}

fn attach(
    context: &Arc<Context>,
    target: &TargetConfig,
    clients: Clients,
    found: &Found,
) -> Option<Watcher> {
    let options = CollectorOptions {
        proc_root: context.proc_root.clone(),
        pid: found.pid,
        limit_override: target.limit,
        downward_limit: downward_limit(),
    };
    let collector = match Collector::attach(options) {
        Ok(collector) => collector,
        Err(error) => {
            if !error.is_vanished() {
                tracing::warn!(pid = found.pid, %error, "the process cannot be watched");
            }
            return None;
        }
    };
    let base = target.name.as_deref().unwrap_or(&found.name);
    let (name, slot) = context.claim(base, Process::of(&collector));
    let environment = |variable| std::env::var(variable).ok().filter(|value| !value.is_empty());
    let identity = TargetIdentity {
        name,
        workload: Some(base.to_owned()),
        pid: collector.pid(),
        start_ticks: collector.start_ticks(),
        namespace: environment("POD_NAMESPACE"),
        pod: environment("POD_NAME"),
        version: target.version.clone().or_else(|| environment(VERSION_VARIABLE)),
    };
    Some(Watcher::new(Arc::clone(context), slot, identity, collector, clients))
}

/// The limit that Kubernetes' Downward API put into the environment.
pub fn downward_limit() -> Option<Bytes> {
    std::env::var(watchdog_collect::limit::DOWNWARD_VARIABLE).ok()?.parse().ok()
}
