//! What these tests share: the shipped programs, waiting with a deadline, and HTTP.

mod exhibit;
mod gate;
mod heap;
pub(crate) mod learned;
mod program;
mod service;
mod watchdog;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

pub(crate) use exhibit::{Exhibit, gallery, go_tool};
pub(crate) use gate::Gate;
pub(crate) use heap::{GoTop, go_top, held_by_function, rows, share_of};
pub(crate) use program::{Outcome, Program};
pub(crate) use service::{CULPRIT, Idle, Service, Shop, place, set_fault};
pub(crate) use watchdog::{Watchdog, value};

/// Long for anything these tests wait for, even while the machine does other things too.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Between two looks at a foreign process.
const LOOK: Duration = Duration::from_millis(50);

/// A shipped program; `cargo xtask test` builds them and says where.
pub(crate) fn shipped(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directory = std::env::var_os("OOMEN_TEST_BIN_DIR")
        .map_or_else(|| workspace.join("target/release"), PathBuf::from);
    let path = directory.join(name);
    assert!(path.is_file(), "{} is missing: run cargo xtask test", path.display());
    path
}

/// Cgroups can only be made by root.
pub(crate) fn needs_root() {
    assert!(rustix::process::getuid().is_root(), "this test makes cgroups: run it as root");
}

/// Looks until there is something to see, and returns it.
pub(crate) async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "not within {deadline:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A client without certificates, as everything here is on loopback; one per use, as each test has its own runtime.
pub(crate) fn http() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(SOON);
    builder.build().expect("a client")
}

/// The body of an answer, `None` where there is no answer or it is none of success.
pub(crate) async fn get(url: &str) -> Option<String> {
    let answer = http().get(url).send().await.ok()?.error_for_status().ok()?;
    answer.text().await.ok()
}

/// The body where it is no text.
pub(crate) async fn get_bytes(url: &str) -> Option<Vec<u8>> {
    let answer = http().get(url).send().await.ok()?.error_for_status().ok()?;
    Some(answer.bytes().await.ok()?.to_vec())
}

/// The same as JSON.
pub(crate) async fn get_json(url: &str) -> Option<Value> {
    serde_json::from_str(&get(url).await?).ok()
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
