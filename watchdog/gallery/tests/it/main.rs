//! The gallery as whoever starts it sees it.

#[cfg(test)]
mod program;
