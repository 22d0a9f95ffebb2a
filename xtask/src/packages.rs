//! Debian packages: installed when missing, so that a fresh machine needs nothing done before.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::sh;

const DEADLINE: Duration = Duration::from_secs(900);
/// Others may be installing: wait for them instead of failing on the lock.
const LOCK: &str = "DPkg::Lock::Timeout=600";

/// A Debian package and what it is needed for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package {
    /// Debian's name.
    pub(crate) name: &'static str,
    /// A command that succeeds where the package is not needed, whoever installed what it brings; when empty,
    /// dpkg is asked.
    pub(crate) probe: &'static [&'static str],
    /// What needs it, for the message when it cannot be installed.
    pub(crate) why: &'static str,
}

/// What building the workspace needs beside cargo and the linker that cargo itself needs.
pub(crate) const BUILD: [Package; 1] =
    [Package { name: "make", probe: &["make", "--version"], why: "builds jemalloc" }];

/// What the alerts that the watchdog pushes are tested against.
pub(crate) const ALERTMANAGER: Package = Package {
    name: "prometheus-alertmanager",
    probe: &["sh", "-c", "prometheus-alertmanager --version || alertmanager --version"],
    why: "takes, silences and inhibits the alerts that the watchdog pushes",
};

/// What alerts are evaluated with.
pub(crate) const PROMETHEUS: [Package; 1] = [Package {
    name: "prometheus",
    probe: &["promtool", "--version"],
    why: "evaluates alert rules",
}];

/// What makes pictures for documents small.
pub(crate) const PICTURES: [Package; 1] = [Package {
    name: "pngquant",
    probe: &["pngquant", "--version"],
    why: "gives the dashboards' pictures a palette",
}];

/// What the footprint is compared with.
pub(crate) const EXPORTERS: [Package; 2] = [
    Package { name: "prometheus-process-exporter", probe: &[], why: "the footprint's comparison" },
    Package { name: "prometheus-node-exporter", probe: &[], why: "the footprint's comparison" },
];

/// What the heap profiler is measured with and compared with.
pub(crate) const HEAP: [Package; 3] = [
    Package {
        name: "libjemalloc-dev",
        probe: &["jeprof", "--version"],
        why: "jeprof, the comparison",
    },
    Package {
        name: "binutils",
        probe: &["nm", "--version"],
        why: "lists functions; jeprof uses it",
    },
    Package { name: "time", probe: &["time", "--version"], why: "peak memory of a process" },
];

/// What the shop's stores, bus and cache are tested on; the tests start their own.
pub(crate) const ENGINES: [Package; 3] = [
    Package { name: "postgresql", probe: &[], why: "the shop's stores are tested on it" },
    Package { name: "rabbitmq-server", probe: &[], why: "the shop's bus is tested on it" },
    Package {
        name: "redis-server",
        probe: &["redis-server", "--version"],
        why: "the shop's cache is tested on it",
    },
];

/// What the shop is loaded with.
pub(crate) const LOAD: [Package; 1] =
    [Package { name: "wrk", probe: &[], why: "the shop's visitors, at little cost to themselves" }];

/// What a cluster's API server is built and run with.
pub(crate) const CLUSTER: [Package; 4] = [
    Package {
        name: "golang-go",
        probe: &["sh", "-c", "go version || /usr/local/go/bin/go version"],
        why: "builds the gallery's Go programs and the API server, and its pprof reads our profiles",
    },
    Package {
        name: "etcd-server",
        probe: &["etcd", "--version"],
        why: "keeps what the API server is told",
    },
    Package { name: "openssl", probe: &["openssl", "version"], why: "makes the API server's key" },
    Package {
        name: "kubernetes-client",
        probe: &["kubectl", "kustomize", "--help"],
        why: "renders k8s/",
    },
];

/// Units that Debian starts with the package, which nobody asked for.
const DAEMONS: [&str; 4] = ["etcd", "postgresql", "rabbitmq-server", "redis-server"];

/// Installs those that are missing.
pub(crate) fn ensure(packages: &[Package]) -> Result<()> {
    let missing: Vec<_> = packages.iter().filter(|package| !is_there(package)).collect();
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    if names.is_empty() {
        println!("packages: all {} are there", packages.len());
        return Ok(());
    }
    for package in &missing {
        println!("packages: {} is missing ({})", package.name, package.why);
    }
    install(&names).with_context(|| by_hand(&names))
}

fn is_there(package: &Package) -> bool {
    match package.probe {
        [program, arguments @ ..] => {
            sh::capture(Command::new(program).args(arguments), DEADLINE).is_ok()
        }
        [] => is_installed(package.name),
    }
}

fn is_installed(name: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    sh::capture(query.args(["-W", "-f", "${Status}", name]), DEADLINE)
        .is_ok_and(|status| status == "install ok installed")
}

/// Fetches the lists of packages anew; a fresh machine may have none.
pub(crate) fn update() -> Result<()> {
    if !sh::on_path("apt-get") {
        bail!("there is no apt-get here");
    }
    sh::run(apt(is_root()?).arg("update"), DEADLINE)
}

fn install(names: &[&str]) -> Result<()> {
    update()?;
    let install = ["install", "-y", "--no-install-recommends"];
    sh::run(apt(is_root()?).args(install).args(names), DEADLINE)?;
    quiet(names)
}

/// Stops what the installation started. Where there is no systemd, nothing was.
fn quiet(installed: &[&str]) -> Result<()> {
    let daemons: Vec<_> = DAEMONS.into_iter().filter(|unit| installed.contains(unit)).collect();
    if daemons.is_empty() || !Path::new("/run/systemd/system").exists() {
        return Ok(());
    }
    let words: &[&str] = if is_root()? { &[] } else { &["sudo", "-n"] };
    let words = [words, &["systemctl", "disable", "--now"], &daemons].concat();
    sh::run(Command::new(words[0]).args(&words[1..]), DEADLINE)
}

fn apt(root: bool) -> Command {
    // -n: no question is asked that nobody answers.
    let words: &[&str] = if root { &["env"] } else { &["sudo", "-n"] };
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", LOCK]);
    command
}

fn is_root() -> Result<bool> {
    Ok(sh::capture(Command::new("id").arg("-u"), DEADLINE)?.trim() == "0")
}

fn by_hand(names: &[&str]) -> String {
    format!(
        "cannot install what the tests need. By hand, as root: apt-get update && apt-get install -y {} \
         (or the same programs from elsewhere, on the PATH)",
        names.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_whose_probe_succeeds_is_there_whoever_installed_it() {
        let package = Package { name: "no-such-package", probe: &["true"], why: "a test" };
        assert!(is_there(&package));
        assert!(!is_there(&Package { probe: &["false"], ..package }));
        assert!(!is_there(&Package { probe: &["no-such-program-here"], ..package }));
        assert!(!is_there(&Package { probe: &[], ..package }));
    }

    #[test]
    fn the_way_out_by_hand_names_every_package() {
        let text = by_hand(&["one", "two"]);
        assert!(text.contains("apt-get install -y one two"), "{text}");
    }
}
