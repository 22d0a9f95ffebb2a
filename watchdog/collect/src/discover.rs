//! Finds the processes to watch: by name, or one per container of the pod.

use std::collections::BTreeMap;
use std::path::Path;

use crate::CollectError;
use crate::cgroup::membership;
use crate::process::{ProcessReader, Stat};

/// The kernel cuts a command's name after this many bytes (`TASK_COMM_LEN` less its end).
const COMM_MAX: usize = 15;
/// The container that holds a pod's namespaces and does nothing else.
const PAUSE: &str = "pause";

/// A process that may be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub start_ticks: u64,
    /// The name of its binary where that can be read, else the command's name.
    pub name: String,
    /// Its memory cgroup as `/proc/PID/cgroup` shows it; empty where it has none.
    pub cgroup: String,
}

/// Every process of that name, oldest first: the command's name, or the last part of its binary's path
/// or of its first argument.
pub fn by_name(proc_root: &Path, name: &str) -> Result<Vec<Found>, CollectError> {
    let mut found: Vec<Found> = candidates(proc_root)?
        .into_iter()
        .filter(|candidate| candidate.is_called(name))
        .map(|candidate| candidate.found)
        .collect();
    found.sort_by_key(|found| (found.start_ticks, found.pid));
    Ok(found)
}

/// The oldest process of every container that shares this pid namespace, oldest first, without the
/// pause container and without the container of `own_pid`.
pub fn top_of_containers(proc_root: &Path, own_pid: u32) -> Result<Vec<Found>, CollectError> {
    let own_cgroup = membership(proc_root, own_pid)?.path;
    let mut oldest: BTreeMap<String, Found> = BTreeMap::new();
    for Candidate { found, comm, .. } in candidates(proc_root)? {
        if found.pid == own_pid || found.cgroup == own_cgroup || comm == PAUSE {
            continue;
        }
        let rank = |found: &Found| (found.start_ticks, found.pid);
        match oldest.get(&found.cgroup) {
            Some(known) if rank(known) <= rank(&found) => {}
            _ => drop(oldest.insert(found.cgroup.clone(), found)),
        }
    }
    let mut found: Vec<Found> = oldest.into_values().collect();
    found.sort_by_key(|found| (found.start_ticks, found.pid));
    Ok(found)
}

struct Candidate {
    found: Found,
    comm: String,
    exe: Option<String>,
    argv0: Option<String>,
}

impl Candidate {
    fn read(proc_root: &Path, pid: u32) -> Result<Option<Self>, CollectError> {
        let mut process = ProcessReader::attach(proc_root, pid)?;
        let Stat { comm, start_ticks, address_space, .. } = process.stat()?;
        if address_space == 0 {
            return Ok(None);
        }
        let exe = process.exe().ok().and_then(|path| base_name(&path));
        let argv0 = process.argv0().ok().and_then(|path| base_name(&path));
        let cgroup = membership(proc_root, pid).map(|place| place.path).unwrap_or_default();
        let name = exe.clone().unwrap_or_else(|| comm.clone());
        Ok(Some(Self { found: Found { pid, start_ticks, name, cgroup }, comm, exe, argv0 }))
    }

    fn is_called(&self, name: &str) -> bool {
        let full = [&self.exe, &self.argv0];
        if self.comm == name || full.iter().any(|known| known.as_deref() == Some(name)) {
            return true;
        }
        // A script longer than the cut is known by its cut name alone, unless another full name explains it.
        name.len() > COMM_MAX
            && self.comm.len() == COMM_MAX
            && name.starts_with(&self.comm)
            && !full.iter().any(|known| known.as_ref().is_some_and(|k| k.starts_with(&self.comm)))
    }
}

fn base_name(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// Every process with memory of its own. One that vanishes meanwhile or may not be read is left out.
fn candidates(proc_root: &Path) -> Result<Vec<Candidate>, CollectError> {
    let io = |error| CollectError::io(proc_root, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(proc_root).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        match Candidate::read(proc_root, pid) {
            Ok(candidate) => found.extend(candidate),
            Err(error) if error.is_vanished() => {}
            Err(error) => tracing::debug!(pid, %error, "left a process out of the search"),
        }
    }
    Ok(found)
}
