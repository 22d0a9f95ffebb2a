//! What can go wrong in the probe, worded for the person who asked, with the way to mend it.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::configuration::CONFIGURATION;

/// Why the probe has no answer. Served as plain text.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// `install!` is missing.
    #[error(
        "this program does not allocate with jemalloc, so there is nothing to tell; add `oomen_probe::install!();` to its main.rs and remove any other #[global_allocator]"
    )]
    NotInstalled,
    /// `opt.prof` is false.
    #[error(
        "heap profiling is off (jemalloc's opt.prof is false), and it can only be turned on at start; `oomen_probe::install!()` compiles in `{CONFIGURATION}`, which the environment variable _RJEM_MALLOC_CONF overrides: remove `prof:false` from it, or set it to `prof:true`, and start again"
    )]
    ProfilingOff,
    /// `opt.prof` is true but `prof.active` is false.
    #[error(
        "heap profiling is compiled in but paused (jemalloc's prof.active is false), so a profile would miss what was allocated meanwhile; remove `prof_active:false` from the environment variable _RJEM_MALLOC_CONF and start again"
    )]
    ProfilingPaused,
    /// jemalloc refused to tell a value.
    #[error("jemalloc did not tell {key}: {source}")]
    Read {
        /// jemalloc's name of the value.
        key: &'static str,
        /// What jemalloc answered.
        source: tikv_jemalloc_ctl::Error,
    },
    /// The flight recorder could not be claimed.
    #[error(
        "the flight recorder that OOMEN_RECORDER_DIR promises cannot be used: {0}; the watchdog and this program must run as the same user and see the same directory"
    )]
    Recorder(#[source] oomen_recorder::RecorderError),
    /// jemalloc refused a function that it should call.
    #[error("jemalloc did not take {key}: {source}; the probe is made for jemalloc 5.3.1")]
    Hook {
        /// jemalloc's name of the hook.
        key: &'static str,
        /// What jemalloc answered.
        source: tikv_jemalloc_ctl::Error,
    },
    /// No directory takes the dump.
    #[error(
        "no directory takes a heap dump:{}; mount a writable one on disk and name it in OOMEN_DUMP_DIR",
        listed(tried)
    )]
    NoDirectory {
        /// Each directory that was tried, and why it failed.
        tried: Vec<(PathBuf, io::Error)>,
    },
    /// jemalloc could not write the dump.
    #[error(
        "jemalloc could not write a heap dump ({source}); is the disk of OOMEN_DUMP_DIR, /var/tmp or the temporary directory full?"
    )]
    Dump {
        /// What jemalloc answered.
        source: tikv_jemalloc_ctl::Error,
    },
    /// The dump was written but could not be read back.
    #[error("the heap dump could not be read back: {0}")]
    ReadBack(#[source] io::Error),
    /// Another dump is under way.
    #[error("another heap dump is under way; one at a time, ask again in a second")]
    Busy,
    /// The blocking task that did the work was lost.
    #[error("the task that reads the allocator ended early: {0}")]
    Lost(#[source] tokio::task::JoinError),
}

fn listed(tried: &[(PathBuf, io::Error)]) -> String {
    tried.iter().fold(String::new(), |mut text, (path, error)| {
        // Writing to a String cannot fail.
        let _ = write!(text, " {} ({error})", path.display());
        text
    })
}

impl ProbeError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotInstalled | Self::ProfilingOff | Self::ProfilingPaused => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Read { .. }
            | Self::Recorder(_)
            | Self::Hook { .. }
            | Self::NoDirectory { .. }
            | Self::Dump { .. }
            | Self::ReadBack(_)
            | Self::Lost(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ProbeError {
    fn into_response(self) -> Response {
        tracing::warn!(error = %self, "the probe could not answer");
        let mut response = (self.status(), format!("{self}\n")).into_response();
        if matches!(self, Self::Busy) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
