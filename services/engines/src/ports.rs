//! Ports that stay free between being found and being listened on.

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below what the kernel gives to connections that go out (`ip_local_port_range` begins at 32768): one of those may
/// take a port that nobody listens on yet.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;

/// Ports that were free a moment ago; this process gets none twice until it had all.
///
/// # Errors
/// When too few are free.
pub(crate) fn free(count: usize) -> io::Result<Vec<u16>> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes beside us begin elsewhere.
    let begin = std::process::id() * 40;
    let next = || FIRST + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
    let found: Vec<u16> = (0..COUNT)
        .filter_map(|_| u16::try_from(next()).ok())
        .filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .take(count)
        .collect();
    if found.len() < count {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "too few ports are free"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_handed_out_twice_or_is_one_of_those_for_connections() {
        let mut all: Vec<u16> = (0..20).flat_map(|_| free(14).unwrap()).collect();
        assert!(all.iter().all(|port| (10_000..32_768).contains(port)));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 20 * 14);
    }
}
