//! Each upload gets a task that waits for a virus scanner that never answers.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::catalogue::{Entry, Expected, Language};
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = Entry {
    name: "stuck-tasks",
    language: Language::Rust,
    leaks: true,
    what: "Tasks that hold an upload wait for an answer that never comes.",
    culprits: &[Expected { function: "scan_upload", file: "gallery/src/leaks/stuck_tasks.rs" }],
    make: Some(|| Ok(Box::new(Uploads::default()))),
};

#[derive(Default)]
struct Uploads {
    scanned: Arc<Notify>,
}

impl Program for Uploads {
    fn handle(&mut self, request: &Request) -> usize {
        // Few enough to be copied at once, and a task reads its upload when it runs.
        let upload: Arc<[u8]> = request.body.as_slice().into();
        let size = upload.len();
        tokio::spawn(scan_upload(upload, Arc::clone(&self.scanned)));
        size
    }
}

/// Holds a copy with a header while the scanner works. There is no deadline, and that is the mistake.
async fn scan_upload(upload: Arc<[u8]>, scanned: Arc<Notify>) -> usize {
    let mut message = Vec::with_capacity(upload.len() + 8);
    message.extend_from_slice(&(upload.len() as u64).to_be_bytes());
    message.extend_from_slice(&upload);
    drop(upload);
    scanned.notified().await;
    message.len()
}
