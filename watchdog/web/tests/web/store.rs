//! A store with two dumps of one process, and others that are not listed and go wrong, each in its own way.

use std::path::PathBuf;
use std::time::Duration;

use inferno::flamegraph;
use watchdog_core::units::{Bytes, WallTime};
use watchdog_core::verdict::Kind;
use watchdog_web::dumps::{
    CaptureError, CaptureFuture, Dump, Dumps, Encoding, Format, Live, RenderError, RenderFuture,
    Rendered,
};

use crate::fixed::{CULPRIT, DUMP, FIRST, HEAP, NOW, incident};

/// A capture or profile of `orders` never ends, unless one over some seconds; one of `payments` fails.
pub(crate) struct TwoDumps(pub(crate) PathBuf);

/// A dump that came from a Go program; not listed.
pub(crate) const GO: &str = "go-7-1";
/// Dumps that cannot be rendered; not listed.
pub(crate) const UNAVAILABLE: &str = "unavailable";
pub(crate) const BUSY: &str = "busy";
pub(crate) const BROKEN: &str = "broken";
pub(crate) const REMOVED: &str = "removed";

pub(crate) fn dump() -> Dump {
    Dump {
        id: DUMP.into(),
        target: "recommendations".into(),
        pid: 41,
        taken: WallTime(NOW - 10.0),
        size: Bytes(HEAP.len() as u64),
        incident: Some(incident().id),
        reason: Some("memory reached a new height".into()),
        verdict: Some(Kind::HeapLeak),
        inuse_space: Some(Bytes::from_mib(110)),
        used: Some(Bytes::from_mib(120)),
        limit: Some(Bytes::from_mib(256)),
        source: Some("recorder".into()),
        build_id: Some("8f3a".into()),
        encoding: Some(Encoding::JemallocText),
    }
}

/// Of the earlier dump little is known.
fn first() -> Dump {
    Dump {
        id: FIRST.into(),
        target: "recommendations".into(),
        pid: 41,
        taken: WallTime(NOW - 40.0),
        size: Bytes(HEAP.len() as u64),
        ..Dump::default()
    }
}

impl Dumps for TwoDumps {
    fn list(&self, target: Option<&str>) -> Vec<Dump> {
        let wanted = |dump: &Dump| target.is_none_or(|target| dump.target == target);
        vec![dump(), first()].into_iter().filter(wanted).collect()
    }

    fn path(&self, id: &str) -> Option<(Dump, PathBuf)> {
        let file = match id {
            DUMP => dump(),
            FIRST => first(),
            GO => Dump { encoding: Some(Encoding::Pprof), ..dump() },
            UNAVAILABLE | BUSY | BROKEN | REMOVED => dump(),
            _ => return None,
        };
        Some((Dump { id: id.into(), ..file }, self.0.clone()))
    }

    fn capture(&self, target: String) -> CaptureFuture<'_> {
        Box::pin(async move {
            match target.as_str() {
                "orders" => std::future::pending().await,
                "payments" => Err(CaptureError::Unavailable("profiling is off".into())),
                _ => Ok(dump()),
            }
        })
    }

    fn render(&self, id: String, format: Format, base: Option<String>) -> RenderFuture<'_> {
        Box::pin(async move {
            match id.as_str() {
                UNAVAILABLE => Err(RenderError::Unavailable("the symbols are being read".into())),
                BUSY => Err(RenderError::Busy),
                BROKEN => Err(RenderError::Failed("line 3 is cut short".into())),
                REMOVED => Err(RenderError::UnknownDump(id)),
                _ => Ok(rendered(format, &format!("{id} since {base:?}"))),
            }
        })
    }

    fn profile(&self, target: String, wanted: Live) -> RenderFuture<'_> {
        Box::pin(async move {
            match (target.as_str(), wanted.seconds) {
                ("payments", _) => Err(RenderError::Unavailable("profiling is off".into())),
                ("orders", None) => std::future::pending().await,
                (_, seconds) => {
                    tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(0).into())).await;
                    let since = wanted.base.as_deref();
                    Ok(rendered(wanted.format, &format!("{target} {seconds:?} {since:?}")))
                }
            }
        })
    }
}

/// The words that a fake profile consists of, or a real flamegraph.
fn rendered(format: Format, what: &str) -> Rendered {
    let bytes = match format {
        Format::Flamegraph => svg(),
        _ => format!("{}: {what}", format.as_str()).into_bytes(),
    };
    Rendered { bytes, taken: WallTime(NOW), encoding: Encoding::JemallocText }
}

/// As inferno draws it, with its script.
fn svg() -> Vec<u8> {
    let stacks = [format!("main;serve;{CULPRIT} 900"), "main;serve;parse 100".to_owned()];
    let mut svg = Vec::new();
    let mut options = flamegraph::Options::default();
    options.deterministic = true;
    flamegraph::from_lines(&mut options, stacks.iter().map(String::as_str), &mut svg)
        .expect("a flamegraph");
    svg
}
