//! Whose code a frame is: the program's own, a library's, or the allocator's.

use crate::profile::Frame;

/// Whether a function belongs to the allocator or to what Rust puts right in front of it.
fn is_allocator(function: &str) -> bool {
    const PREFIXES: [&str; 16] = [
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
        "irallocx",
        "ixallocx",
        "imallocx",
        "ialloc",
        "arena_",
    ];
    let name = function.trim_start_matches('<');
    PREFIXES.iter().any(|prefix| function.starts_with(prefix) || name.starts_with(prefix))
        || function.starts_with("<alloc::alloc::Global")
}

/// Whether a frame belongs to the allocator. Where a call was inlined, line tables give its name without its module
/// (`alloc`), and then the file tells.
pub fn is_allocator_frame(frame: &Frame) -> bool {
    const PATHS: [&str; 4] = [
        "tikv-jemalloc",
        "/library/alloc/src/alloc.rs",
        "/library/alloc/src/raw_vec",
        "/jemalloc/",
    ];
    is_allocator(&frame.function)
        || frame.file.as_ref().is_some_and(|file| PATHS.iter().any(|part| file.contains(part)))
}

/// The first frame of a stack that is the program's own code rather than the standard library, a runtime or a
/// dependency; the stack is given from the inside out. Where some frames have a source file, those without are of
/// libraries that were built without line tables. A copy is not named where the one who wanted it can be.
pub fn first_own(frames: &[Frame]) -> Option<usize> {
    let find = |is_wanted: &dyn Fn(&Frame) -> bool| {
        frames.iter().position(|frame| is_wanted(frame) && is_own_code(frame))
    };
    find(&|frame| frame.file.is_some() && !is_copy(frame))
        .or_else(|| find(&|frame| frame.file.is_some()))
        .or_else(|| find(&|frame| !is_copy(frame)))
        .or_else(|| find(&|_| true))
}

/// `clone` and its like, mostly derived: what they allocate is kept by whoever asked for it.
fn is_copy(frame: &Frame) -> bool {
    let name = frame.function.rsplit("::").next().unwrap_or_default();
    matches!(name, "clone" | "clone_from" | "to_owned")
}

/// The source path decides where there is one: cargo unpacks registry crates under `registry/src` and git ones
/// under `git/checkouts`, and builds what is not Rust under `build/CRATE-HASH/out`; rustc's library sits under
/// `/rustc/HASH/`, and Go's under its module cache or GOROOT. Without line tables only the name is left, and only
/// well-known libraries can be told by it.
fn is_own_code(frame: &Frame) -> bool {
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
    match &frame.file {
        Some(file) => {
            let is_built = file.contains("/build/") && file.contains("/out/");
            let is_foreign = FOREIGN_PATHS.iter().any(|part| file.contains(part));
            !is_foreign && (!is_built || file.ends_with(".rs")) && !is_glue(&frame.function)
        }
        None => !frame.function.contains("+0x") && !is_library(&frame.function),
    }
}

/// Names that nobody else gives: jemalloc's own, whatever path its source had when it was built, and what `rustc` makes
/// of `#[global_allocator]`, at the place where that stands.
fn is_glue(function: &str) -> bool {
    const PREFIXES: [&str; 5] = ["_rjem_", "je_", "jemalloc_", "__rust", "__rg_"];
    PREFIXES.iter().any(|prefix| function.starts_with(prefix))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str, file: Option<&str>) -> Frame {
        Frame { function: function.into(), file: file.map(Into::into), line: None }
    }

    #[test]
    fn jemalloc_built_by_cargo_is_foreign_and_generated_rust_is_own() {
        let built = "/src/target/release/build/tikv-jemalloc-sys-1/out/build/src/jemalloc.c";
        assert!(!is_own_code(&frame("irallocx_prof", Some(built))));
        assert!(!is_own_code(&frame("__rust_alloc", Some("/app/src/main.rs"))));
        let generated = "/src/target/release/build/shop-1/out/schema.rs";
        assert!(is_own_code(&frame("Schema::decode", Some(generated))));
    }

    #[test]
    fn own_functions_may_be_called_as_those_of_libraries_are() {
        for function in ["clone", "arena_grow", "prof_of_concept", "malloc_pool"] {
            assert!(is_own_code(&frame(function, Some("/app/src/pool.c"))), "{function}");
        }
        assert!(!is_own_code(&frame("clone", None)));
    }

    #[test]
    fn a_library_without_line_tables_is_passed_over_when_others_have_them() {
        let stack = [
            frame("prometheus::vec::MetricVec<T>::with_label_values", None),
            frame("shop::metrics::count", Some("/app/src/metrics.rs")),
        ];
        assert_eq!(first_own(&stack), Some(1));
        assert_eq!(first_own(&stack[..1]), Some(0), "the only one there is");
        assert_eq!(first_own(&[frame("libx.so+0x10", None)]), None);
    }

    #[test]
    fn whoever_wants_a_copy_is_named_and_not_the_copying() {
        let own = |name: &str| frame(name, Some("/app/src/entry.rs"));
        let stack = [own("clone"), own("shop::entry::append")];
        assert_eq!(first_own(&stack), Some(1));
        assert_eq!(first_own(&[own("<shop::Entry as core::clone::Clone>::clone")]), Some(0));
    }

    #[test]
    fn inlined_allocator_frames_are_told_by_their_file() {
        let file = Some("/rustc/abc/library/alloc/src/alloc.rs");
        assert!(is_allocator_frame(&frame("alloc", file)));
        assert!(is_allocator_frame(&frame("_rjem_je_malloc_default", None)));
        assert!(!is_allocator_frame(&frame("alloc", Some("/app/src/pool.rs"))));
    }
}
