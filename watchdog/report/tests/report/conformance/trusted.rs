//! Every sink over TLS to a receiver whose certificate is trusted.
//!
//! Whom the system trusts is read from the environment of the process, so the test starts itself again in another one.

use std::process::Stdio;

use tokio::process::Command;
use watchdog_fixtures::hostile::{HostileServer, Mode};

use super::sinks::{Case, Speaks, cases};
use crate::sample::confirmed;

const URL: &str = "OOMEN_TEST_TRUSTED_URL";
const NAME: &str = "conformance::trusted::what_the_system_trusts_is_told_over_tls";

fn over_http() -> impl Iterator<Item = Case> {
    cases().into_iter().filter(|case| case.speaks == Speaks::Http)
}

#[tokio::test]
async fn what_the_system_trusts_is_told_over_tls() {
    if let Ok(url) = std::env::var(URL) {
        for case in over_http() {
            let result = (case.sink)(&url).once(&confirmed()).await;
            assert_eq!(result, Ok(()), "{}", case.name);
        }
        return;
    }
    let server = HostileServer::start_tls(Mode::Status(200)).await.expect("a server");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), server.certificate().expect("a certificate")).expect("written");
    let again = Command::new(std::env::current_exe().expect("this program"))
        .args([NAME, "--exact", "--nocapture"])
        .env("SSL_CERT_FILE", file.path())
        .env(URL, server.url_at("localhost"))
        .stdin(Stdio::null())
        .output()
        .await
        .expect("started");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(server.requests(), over_http().count());
}
