//! A real Alertmanager with the example configuration, its receivers led to our own.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::lab::{Folder, free_port};
use crate::sh::{self, Background};
use crate::{http, root};

const EXAMPLE: &str = "alerts/alertmanager.example.yaml";
const START: Duration = Duration::from_secs(20);
/// What Debian calls it and what its makers do.
const PROGRAMS: [&str; 2] = ["prometheus-alertmanager", "alertmanager"];
/// The files that the example reads secrets from.
const SLACK_FILE: &str = "/etc/alertmanager/slack-webhook-url";
const PAGERDUTY_FILE: &str = "/etc/alertmanager/pagerduty-key";
/// Who is told, by the example's names for them.
const RECEIVERS: [&str; 2] = ["chat", "pager"];

/// The server; it ends when this is dropped.
pub(super) struct Alertmanager {
    pub(super) addr: SocketAddr,
    _server: Background,
    _folder: Folder,
}

impl Alertmanager {
    /// Starts it on a free port. Slack's messages go to `/slack` of `receiver`, PagerDuty's to `/pagerduty`, and both
    /// once more with all labels to `/chat` and `/pager`.
    pub(super) fn start(receiver: SocketAddr) -> Result<Self> {
        let folder = Folder::new("alertmanager")?;
        let example = fs::read_to_string(root().join(EXAMPLE)).context(EXAMPLE)?;
        let file = folder.path().join("alertmanager.yml");
        fs::write(&file, redirected(&example, receiver, folder.path()).context(EXAMPLE)?)?;
        fs::write(secret(folder.path(), SLACK_FILE), format!("http://{receiver}/slack"))?;
        fs::write(secret(folder.path(), PAGERDUTY_FILE), "key")?;
        let program = PROGRAMS.into_iter().find(|program| sh::on_path(program));
        let addr = free_port()?;
        let mut server = Background::start(
            Command::new(program.context("no alertmanager on the PATH")?)
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address={addr}"))
                .args(["--cluster.listen-address=", "--log.level=warn"]),
            &folder.path().join("alertmanager.log"),
        )?;
        server
            .wait_until("ready", START, || matches!(http::get(addr, "/-/ready"), Ok((200, _))))?;
        Ok(Self { addr, _server: server, _folder: folder })
    }
}

/// The example as it is, but for where it delivers.
fn redirected(example: &str, receiver: SocketAddr, folder: &Path) -> Result<String> {
    let mut text = example.to_owned();
    for file in [SLACK_FILE, PAGERDUTY_FILE] {
        ensure!(text.contains(file), "no secret is read from {file}");
        text = text.replace(file, &secret(folder, file));
    }
    let pagerduty = "- routing_key_file:";
    ensure!(text.contains(pagerduty), "no receiver of PagerDuty");
    text = text
        .replace(pagerduty, &format!("- url: http://{receiver}/pagerduty\n    routing_key_file:"));
    for name in RECEIVERS {
        let line = format!("\n- name: {name}\n");
        ensure!(text.contains(&line), "no receiver {name}");
        let webhook = format!(
            "{line}  webhook_configs:\n  - url: http://{receiver}/{name}\n    send_resolved: true\n"
        );
        text = text.replace(&line, &webhook);
    }
    Ok(text)
}

fn secret(folder: &Path, file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    folder.join(name).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "receivers:\n- name: nobody\n- name: chat\n  slack_configs:\n  \
        - api_url_file: /etc/alertmanager/slack-webhook-url\n- name: pager\n  pagerduty_configs:\n  \
        - routing_key_file: /etc/alertmanager/pagerduty-key\n";

    #[test]
    fn every_receiver_is_led_here_and_the_rest_is_kept() {
        let here = SocketAddr::from(([127, 0, 0, 1], 1));
        let text = redirected(SMALL, here, Path::new("/d")).expect("the example");
        assert!(text.starts_with("receivers:\n- name: nobody\n- name: chat\n  webhook_configs:\n"));
        for part in ["/d/slack-webhook-url\n", "/d/pagerduty-key\n", ":1/pagerduty\n", ":1/pager\n"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("/etc/"));
    }

    #[test]
    fn an_example_that_delivers_elsewhere_is_refused() {
        for missing in ["slack-webhook-url", "pagerduty-key", "name: chat", "routing_key_file"] {
            let text = SMALL.replace(missing, "other");
            let here = SocketAddr::from(([127, 0, 0, 1], 1));
            assert!(redirected(&text, here, Path::new("/d")).is_err(), "{missing}");
        }
    }
}
