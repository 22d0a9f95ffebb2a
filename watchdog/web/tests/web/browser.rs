//! The page in a real browser: it shows what the API says, as text.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;
use watchdog_web::serve;
use watchdog_web::status::Status;

use crate::fixed::{CULPRIT, DUMP, FIRST, SECOND, SENTENCE, context, status};

async fn served(status: Status) -> (SocketAddr, tempfile::TempDir) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (context, dir) = context(status, None);
    tokio::spawn(serve(listener, context, std::future::pending()));
    (address, dir)
}

/// The document after its code has run for some seconds of the browser's own time.
async fn dom(status: Status) -> String {
    let (address, _dir) = served(status).await;
    opened(&format!("http://{address}/")).await
}

async fn opened(url: &str) -> String {
    let profile = tempfile::tempdir().expect("a directory");
    let child = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--virtual-time-budget=4000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(120), child)
        .await
        .expect("the browser ends")
        .expect("chromium is missing: `cargo xtask test` installs it (Debian package chromium)");
    // Long paths carry places to break them.
    String::from_utf8_lossy(&output.stdout).replace("<wbr>", "")
}

#[tokio::test]
async fn the_page_shows_who_leaks_how_bad_it_is_and_which_function_keeps_the_memory() {
    let dom = dom(status()).await;
    for text in [
        "recommendations",
        "Kill imminent",
        SENTENCE,
        CULPRIT,
        "66 % of 256.0 MiB (cgroup)",
        "+5.0 MiB/s",
        "between 14 s and 22 s",
        "limit 256.0 MiB",
        "Not sampled yet",
        "The kernel killed it for its memory",
        "services/recommendations/src/faults/unbounded_cache.rs:38",
        "74.0 MiB more",
        "than 15 s before",
        "+17.6 GiB/h",
        "+14.9 GiB/h to +20.2 GiB/h, 90 % sure",
        "97 % of all growth",
        "seen in 148 samples in 4 profiles",
        SECOND,
        "services/recommendations/src/carts.rs:112",
    ] {
        assert!(dom.contains(text), "{text} in {dom}");
    }
    assert!(dom.contains("class=\"wedge\"") && dom.contains("class=\"used-line\""), "{dom}");
    assert!(!dom.contains("does not answer"), "{dom}");
}

#[tokio::test]
async fn an_address_with_a_targets_name_leads_to_its_card() {
    let (address, _dir) = served(status()).await;
    let page = opened(&format!("http://{address}/#payments")).await;
    let card = page.split("<article").find(|card| card.contains("data-wanted=\"yes\""));
    assert!(card.expect("the card").contains(">payments<"), "{page}");
    let none = opened(&format!("http://{address}/#%E0%A4%A")).await;
    assert!(!none.contains("data-wanted") && !none.contains("does not answer"), "{none}");
}

/// Addresses of the links whose label starts with `label`.
fn links(dom: &str, label: &str) -> Vec<String> {
    let parts = dom.split("<a href=\"").skip(1);
    let labelled = parts.filter(|part| {
        let tag = part.split('>').next().unwrap_or_default();
        tag.contains(&format!("aria-label=\"{label}"))
    });
    labelled.filter_map(|part| Some(part.split('"').next()?.replace("&amp;", "&"))).collect()
}

#[tokio::test]
async fn each_dump_is_listed_with_what_was_known_then_and_opens_as_a_flamegraph() {
    let (address, _dir) = served(status()).await;
    let page = opened(&format!("http://{address}/")).await;
    for text in [
        "120.0 MiB of 256.0 MiB used",
        "110.0 MiB in the heap",
        "memory reached a new height",
        "heap-leak",
        "Heap dumps, newest first",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let own = links(&page, "Flamegraph of the heap dump");
    let drawing = |id: &str| format!("/api/v1/heap-dumps/{id}?format=flamegraph");
    assert_eq!(own, [drawing(DUMP), drawing(FIRST)]);
    let growth = links(&page, "Flamegraph of the growth since");
    assert_eq!(growth, [format!("{}&base={FIRST}", drawing(DUMP))]);
    for (label, query) in [("pprof file", "?format=pprof"), ("Raw file", "")] {
        let wanted = [DUMP, FIRST].map(|id| format!("/api/v1/heap-dumps/{id}{query}"));
        assert_eq!(links(&page, label), wanted);
    }
    for link in own.iter().chain(&growth) {
        // What is searched for is part of the address, so that its script has something to do.
        let svg = opened(&format!("http://{address}{link}&s=remember")).await;
        assert!(svg.contains("<svg") && svg.contains(CULPRIT), "{svg}");
        assert!(svg.contains("Matched: 90.0%"), "its script ran: {svg}");
    }
}

#[tokio::test]
async fn a_hostile_target_name_is_shown_as_text() {
    let mut hostile = status();
    hostile.targets[1].identity.name = "<img src=x onerror=\"document.title='owned'\">/".into();
    let dom = dom(hostile).await;
    assert!(dom.contains("&lt;img src=x onerror="), "{dom}");
    assert!(!dom.contains("<img") && !dom.contains("<title>owned"), "{dom}");
}
