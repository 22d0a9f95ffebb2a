//! A chain of handlers behind one trait; one of them keeps what passes through it.

use crate::catalogue::{Entry, Expected, Language};
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = Entry {
    name: "trait-object",
    language: Language::Rust,
    leaks: true,
    what: "One handler of a chain keeps each request for a replay that nobody asks for.",
    culprits: &[Expected { function: "ReplayBuffer", file: "gallery/src/leaks/trait_object.rs" }],
    make: Some(|| Ok(Box::new(Chain::default()))),
};

trait Handler: Send {
    fn pass(&mut self, request: &Request) -> usize;
}

/// Works on a copy and frees it.
struct Sanitizer;

impl Handler for Sanitizer {
    fn pass(&mut self, request: &Request) -> usize {
        let clean = request.body.to_ascii_lowercase();
        usize::from(clean.is_empty())
    }
}

/// Has no end.
#[derive(Default)]
struct ReplayBuffer {
    requests: Vec<(u64, Vec<u8>)>,
}

impl Handler for ReplayBuffer {
    fn pass(&mut self, request: &Request) -> usize {
        self.requests.push((request.id, request.body.clone()));
        request.body.len()
    }
}

struct Chain {
    handlers: Vec<Box<dyn Handler>>,
}

impl Default for Chain {
    fn default() -> Self {
        Self { handlers: vec![Box::new(Sanitizer), Box::new(ReplayBuffer::default())] }
    }
}

impl Program for Chain {
    fn handle(&mut self, request: &Request) -> usize {
        self.handlers.iter_mut().map(|handler| handler.pass(request)).sum()
    }
}
