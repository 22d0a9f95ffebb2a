//! The probe as a service uses it: this test binary is a program with `install!` and `router`, asked over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use std::hint::black_box;
use std::process::Command;

use axum::Router;
use blazesym::symbolize::source::{Process, Source};
use blazesym::symbolize::{Input, Symbolized, Symbolizer};

oomen_probe::install!();

/// Sampled at one per 512 KiB, 256 KiB allocations are caught with p = 1 - exp(-1/2) = 0.39: 512 of them give about
/// 200 samples and a standard error of 5.5 % of the sum.
const LEAKED_OBJECT: usize = 256 << 10;
const LEAKED_OBJECTS: usize = 512;

#[inline(never)]
fn leak_on_purpose() -> Vec<Vec<u8>> {
    (0..LEAKED_OBJECTS).map(|_| black_box(Vec::with_capacity(LEAKED_OBJECT))).collect()
}

/// Serves the probe as an admin port would and returns its address.
async fn serve() -> String {
    // The shop and the watchdog use ring; a second call only says that it is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes: Router = Router::new().merge(oomen_probe::router());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

async fn fetch(url: String) -> (u16, String) {
    let response = reqwest::get(url).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

struct Stack {
    addresses: Vec<u64>,
    bytes: f64,
}

/// Reads `heap_v2`: `@ 0x.. 0x..` lines, each followed by `t*: objects: bytes [..]`, corrected for sampling as
/// jemalloc's manual asks of a reader.
fn parse(text: &str) -> Vec<Stack> {
    let mut lines = text.lines().peekable();
    let header = lines.next().unwrap();
    let period: f64 = header.strip_prefix("heap_v2/").unwrap().parse().unwrap();
    let mut stacks = Vec::new();
    while let Some(line) = lines.next() {
        let Some(addresses) = line.strip_prefix("@ ") else { continue };
        let addresses = addresses
            .split(' ')
            .map(|address| u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap())
            .collect();
        let total = lines.next().unwrap().trim().strip_prefix("t*: ").unwrap();
        let (objects, bytes) = total.split_once(": ").unwrap();
        let objects: f64 = objects.parse().unwrap();
        let bytes: f64 = bytes.split(' ').next().unwrap().parse().unwrap();
        let scale = 1.0 / (1.0 - (-bytes / objects.max(1.0) / period).exp());
        stacks.push(Stack { addresses, bytes: if objects > 0.0 { bytes * scale } else { 0.0 } });
    }
    stacks
}

fn functions(stack: &Stack) -> Vec<String> {
    let mut process = Process::new(blazesym::Pid::Slf);
    process.map_files = false;
    // Return addresses: one back lies in the call.
    let calls: Vec<u64> = stack.addresses.iter().map(|address| address - 1).collect();
    let symbolizer = Symbolizer::new();
    let symbols = symbolizer.symbolize(&Source::Process(process), Input::AbsAddr(&calls)).unwrap();
    symbols
        .iter()
        .filter_map(|symbol| match symbol {
            Symbolized::Sym(symbol) => Some(symbol.name.to_string()),
            Symbolized::Unknown(_) => None,
        })
        .collect()
}

#[tokio::test]
async fn a_leak_shows_in_both_endpoints_with_its_size_and_its_function() {
    let base = serve().await;
    let (_, before) = fetch(format!("{base}/debug/allocator")).await;
    let leaked = leak_on_purpose();
    let (status, after) = fetch(format!("{base}/debug/allocator")).await;
    assert_eq!(status, 200);
    let truth = (LEAKED_OBJECT * LEAKED_OBJECTS) as f64;
    let value = |text: &str, key: &str| {
        serde_json::from_str::<serde_json::Value>(text).unwrap()[key].as_f64().unwrap()
    };
    let grown = value(&after, "allocated") - value(&before, "allocated");
    assert!((0.98..1.05).contains(&(grown / truth)), "allocated grew by {grown} of {truth}");
    for key in ["active", "resident", "retained", "mapped", "metadata"] {
        assert!(value(&after, key) >= 0.0, "{after}");
    }
    assert_eq!(serde_json::from_str::<serde_json::Value>(&after).unwrap()["profiling"], true);

    let (status, dump) = fetch(format!("{base}/debug/pprof/heap")).await;
    assert_eq!(status, 200);
    assert!(dump.contains("MAPPED_LIBRARIES:"));
    let stacks = parse(&dump);
    let largest = stacks.iter().max_by(|a, b| a.bytes.total_cmp(&b.bytes)).unwrap();
    // Four and a half standard errors.
    assert!((0.75..1.25).contains(&(largest.bytes / truth)), "{} of {truth}", largest.bytes);
    let names = functions(largest);
    assert!(names.iter().any(|name| name.contains("leak_on_purpose")), "{names:#?}");
    drop(leaked);
}

/// The same program, started with another configuration: the parent's half of a test runs its own name again.
fn passes_with(test: &str, configuration: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("_RJEM_MALLOC_CONF", configuration)
        .env("PROBE_TEST_CHILD", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn is_child() -> bool {
    std::env::var_os("PROBE_TEST_CHILD").is_some()
}

#[tokio::test]
async fn with_profiling_off_the_errors_say_how_to_turn_it_on() {
    if !is_child() {
        return passes_with("with_profiling_off_the_errors_say_how_to_turn_it_on", "prof:false");
    }
    let base = serve().await;
    let (status, text) = fetch(format!("{base}/debug/allocator")).await;
    assert_eq!(status, 200);
    assert!(text.contains("\"profiling\":false"), "{text}");
    let (status, text) = fetch(format!("{base}/debug/pprof/heap")).await;
    assert_eq!(status, 503);
    for part in ["opt.prof", "_RJEM_MALLOC_CONF", "prof:true", "install!"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn with_profiling_paused_a_dump_is_refused_rather_than_misleading() {
    if !is_child() {
        return passes_with(
            "with_profiling_paused_a_dump_is_refused_rather_than_misleading",
            "prof_active:false",
        );
    }
    let base = serve().await;
    let (_, text) = fetch(format!("{base}/debug/allocator")).await;
    assert!(text.contains("\"profiling\":false"), "{text}");
    let (status, text) = fetch(format!("{base}/debug/pprof/heap")).await;
    assert_eq!(status, 503);
    assert!(text.contains("prof_active:false"), "{text}");
}
