//! The process's side: taking a spare recorder.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::name::{self, Name};
use crate::error::RecorderError;
use crate::identity::Identity;
use crate::writer::Writer;

/// Takes a spare recorder from the directory for this process. `None` when there is none (yet). `lg_period` is
/// jemalloc's `lg_prof_sample`.
///
/// # Errors
/// When the directory cannot be read, or of all spares that could be taken none is sound: the first reason.
pub fn claim(directory: &Path, lg_period: u32) -> Result<Option<Writer>, RecorderError> {
    let identity = Identity::of_self()?;
    let own = directory.join(Name::Claimed(identity).to_string());
    let mut first_error = None;
    for spare in name::list(directory)?.into_iter().filter(|name| matches!(name, Name::Spare(_))) {
        // Renamed before it is opened: nobody else takes it from then on, and what it was in between does not matter.
        // A recorder that this process claimed before it called exec is replaced; whoever has it open keeps it.
        match fs::rename(directory.join(spare.to_string()), &own) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(source) => {
                first_error.get_or_insert(RecorderError::Io {
                    action: "claim",
                    path: own.clone(),
                    source,
                });
                continue;
            }
        }
        match Writer::open(&own, identity, lg_period) {
            Ok(writer) => return Ok(Some(writer)),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(None), Err)
}
