//! The page in a real browser: it shows what the API says, as text.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;
use watchdog_web::serve;
use watchdog_web::status::Status;

use crate::fixed::{CULPRIT, SENTENCE, context, status};

async fn served(status: Status) -> (SocketAddr, tempfile::TempDir) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (context, dir) = context(status, None);
    tokio::spawn(serve(listener, context, std::future::pending()));
    (address, dir)
}

/// The document after the page's code has run for some seconds of the browser's own time.
async fn dom(status: Status) -> String {
    let (address, _dir) = served(status).await;
    let profile = tempfile::tempdir().expect("a directory");
    let child = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--virtual-time-budget=4000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{address}/"))
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
        "/api/v1/heap-dumps/recommendations-41-1794999990",
    ] {
        assert!(dom.contains(text), "{text} in {dom}");
    }
    assert!(dom.contains("class=\"wedge\"") && dom.contains("class=\"used-line\""), "{dom}");
    assert!(!dom.contains("does not answer"), "{dom}");
}

#[tokio::test]
async fn a_hostile_target_name_is_shown_as_text() {
    let mut hostile = status();
    hostile.targets[1].identity.name = "<img src=x onerror=\"document.title='owned'\">/".into();
    let dom = dom(hostile).await;
    assert!(dom.contains("&lt;img src=x onerror="), "{dom}");
    assert!(!dom.contains("<img") && !dom.contains("<title>owned"), "{dom}");
}
