//! A callback that was registered for a debugging session keeps every request it sees.

use crate::catalogue::{Entry, Expected, Language};
use crate::drive::Program;
use crate::traffic::Request;

/// The truth about it.
pub(crate) const ENTRY: Entry = Entry {
    name: "closure",
    language: Language::Rust,
    leaks: true,
    what: "A callback keeps the lines of every request in what it has captured.",
    culprits: &[Expected { function: "keep_lines", file: "gallery/src/leaks/closure.rs" }],
    make: Some(|| Ok(Box::new(Server::new()))),
};

type Callback = Box<dyn FnMut(&Request) -> usize + Send>;

struct Server {
    callbacks: Vec<Callback>,
}

impl Server {
    fn new() -> Self {
        Self { callbacks: vec![count_routes(), keep_lines()] }
    }
}

impl Program for Server {
    fn handle(&mut self, request: &Request) -> usize {
        self.callbacks.iter_mut().map(|callback| callback(request)).sum()
    }
}

/// What a callback should be like: it holds one number a route.
fn count_routes() -> Callback {
    let mut counts = Vec::<(&'static str, u64)>::new();
    Box::new(move |request| {
        match counts.iter_mut().find(|(route, _)| *route == request.route) {
            Some((_, count)) => *count += 1,
            None => counts.push((request.route, 1)),
        }
        0
    })
}

fn keep_lines() -> Callback {
    let mut seen = Vec::new();
    Box::new(move |request| {
        seen.extend(
            request.body.chunks(1 << 10).map(|line| String::from_utf8_lossy(line).into_owned()),
        );
        request.body.len()
    })
}
