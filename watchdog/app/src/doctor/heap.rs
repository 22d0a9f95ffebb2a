//! The checks on heap profiles: the flight recorders' directory, and the other ways to a profile.

use std::path::Path;

use watchdog_core::units::WallTime;
use watchdog_heap::capture::{DumpFiles, HeapClient};

use super::Finding::{self, Broken, Good, Lacking};
use crate::config::TargetConfig;
use crate::recorders::Recorders;

/// Whether flight recorders can be kept for the services that start.
pub(super) fn check_recorders(dir: Option<&Path>) -> Finding {
    let Some(dir) = dir else {
        return Lacking {
            what: "no flight recorder: after a kill only what was captured before is known".into(),
            mend: "name a directory that the services see as well with --recorder-dir, and in their OOMEN_RECORDER_DIR"
                .into(),
        };
    };
    match Recorders::open(dir) {
        Ok(_) => Good(format!("flight recorders can be kept in {}", dir.display())),
        Err(error) => Broken {
            what: format!("no flight recorders: {error}"),
            mend: "the directory must be writable for this user, and no other watchdog may tend it"
                .into(),
        },
    }
}

/// The ways to a profile of programs that do not link the probe.
pub(super) async fn check_others(target: &TargetConfig) -> Option<Finding> {
    if let Some(url) = &target.pprof {
        let answer = match HeapClient::new(url.clone()) {
            Ok(client) => client.capture(WallTime(0.0)).await,
            Err(error) => Err(error),
        };
        return Some(match answer {
            Ok(captured) => Good(format!(
                "the program serves heap profiles: {} in use in {} stacks",
                captured.profile.inuse_space(),
                captured.profile.stacks.len()
            )),
            Err(error) => Broken {
                what: format!("no heap profile from --pprof: {error}"),
                mend: "does the program import net/http/pprof, and is this the address it serves it on?"
                    .into(),
            },
        });
    }
    let prefix = target.dump_files.clone()?;
    let shown = prefix.display().to_string();
    Some(match DumpFiles::new(prefix) {
        Ok(_) => Good(format!("heap dumps named {shown}.* can be looked for")),
        Err(error) => Broken {
            what: format!("no heap dumps from files: {error}"),
            mend: "give what jemalloc's prof_prefix says, in a directory that this user may read"
                .into(),
        },
    })
}
