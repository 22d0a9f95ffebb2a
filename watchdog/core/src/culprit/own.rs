//! Whose code a frame is: the program's own, a library's, or the allocator's.

use crate::profile::Frame;

/// Whether a function belongs to the allocator or to what Rust puts right in front of it.
pub fn is_allocator(function: &str) -> bool {
    const PREFIXES: [&str; 13] = [
        "_rjem_",
        "prof_",
        "je_",
        "__rust_",
        "__rustc",
        "alloc::alloc::",
        "alloc::raw_vec::",
        "<tikv_jemallocator::",
        "tikv_jemallocator::",
        "imalloc",
        "do_rallocx",
        "ialloc",
        "arena_",
    ];
    let name = function.trim_start_matches('<');
    PREFIXES.iter().any(|prefix| function.starts_with(prefix) || name.starts_with(prefix))
        || function.starts_with("<alloc::alloc::Global")
}

/// Whether a frame is the program's own code rather than the standard library, a runtime or a dependency.
///
/// The source path decides where there is one: cargo unpacks registry crates under `registry/src` and git ones
/// under `git/checkouts`, rustc's library sits under `/rustc/HASH/`, and Go's under its module cache or GOROOT.
/// Without line tables only the name is left, and only well-known libraries can be told by it.
pub fn is_own_code(frame: &Frame) -> bool {
    const FOREIGN_PATHS: [&str; 9] = [
        "/registry/src/",
        "/git/checkouts/",
        "/rustc/",
        "/rustlib/src/",
        "/.rustup/",
        "/pkg/mod/",
        "/usr/local/go/src/",
        "/usr/lib/go",
        "/usr/src/",
    ];
    if frame.function.contains("+0x") && frame.file.is_none() {
        return false;
    }
    match &frame.file {
        Some(file) => {
            !FOREIGN_PATHS.iter().any(|part| file.contains(part)) && !is_library(&frame.function)
        }
        None => !is_library(&frame.function),
    }
}

fn is_library(function: &str) -> bool {
    const CRATES: [&str; 28] = [
        "std",
        "core",
        "alloc",
        "hashbrown",
        "tokio",
        "hyper",
        "hyper_util",
        "axum",
        "axum_core",
        "tower",
        "tower_http",
        "tower_service",
        "tower_layer",
        "futures_util",
        "futures_core",
        "serde",
        "serde_json",
        "bytes",
        "http",
        "http_body_util",
        "tracing",
        "rayon",
        "rayon_core",
        "crossbeam",
        "parking_lot",
        "reqwest",
        "backtrace",
        "tikv_jemallocator",
    ];
    const C_RUNTIME: [&str; 8] = [
        "_start",
        "__libc_start",
        "start_thread",
        "clone",
        "__clone",
        "malloc",
        "calloc",
        "realloc",
    ];
    if C_RUNTIME.iter().any(|name| function == *name || function.starts_with("__libc_start")) {
        return true;
    }
    if is_allocator(function) {
        return true;
    }
    // `<alloc::vec::Vec<T> as core::clone::Clone>::clone` belongs to the crate of its self type.
    let path = function.trim_start_matches(['<', '&', '*']).trim_start_matches("dyn ");
    let krate: &str = path.split("::").next().unwrap_or(path);
    path.contains("::") && CRATES.contains(&krate)
}
