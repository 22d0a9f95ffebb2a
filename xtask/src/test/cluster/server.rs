//! A real API server of Kubernetes with etcd: built from its Go modules at the first run, kept under target/ after that.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::go::Go;
use crate::sh::Background;
use crate::test::lab::{Folder, free_port};
use crate::{root, sh};

/// Six minutes of processor time; others may compile as well.
const BUILD: Duration = Duration::from_secs(2400);
const START: Duration = Duration::from_secs(120);
const DEADLINE: Duration = Duration::from_secs(60);
/// What is built, from which versions.
const MODULE: &str = "xtask/src/test/cluster/server";
const API_SERVER: &str = "k8s.io/kubernetes/cmd/kube-apiserver";
const TYPES: &str = "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1";
/// Of a server that only this test reaches, for as long as it runs.
pub(super) const ADMIN: &str = "cluster-admin-of-the-test";

/// What a cluster is made of.
pub(super) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds the server, and generates the schema of `PrometheusRule` from the Operator's types as the Operator does,
    /// unless they are there from these versions.
    pub(super) fn ensure() -> Result<Self> {
        let folder = root().join("target/xtask/cluster");
        let versions = fs::read_to_string(root().join(MODULE).join("go.sum")).context(MODULE)?;
        let made = folder.join("go.sum");
        let this = Self { folder };
        if fs::read_to_string(&made).is_ok_and(|text| text == versions) {
            return Ok(this);
        }
        fs::create_dir_all(&this.folder)?;
        let (go, module) = (Go::ensure()?, root().join(MODULE));
        let build = ["build", "-ldflags=-s -w", "-o"];
        sh::run(go.command(&module)?.args(build).arg(this.api_server()).arg(API_SERVER), BUILD)?;
        let to = format!("output:crd:dir={}", this.folder.display());
        let types = format!("paths={TYPES}");
        let generate = ["tool", "controller-gen", "crd", &types, &to];
        sh::run(go.command(&module)?.args(generate), BUILD)?;
        fs::write(made, versions)?;
        Ok(this)
    }

    fn api_server(&self) -> PathBuf {
        self.folder.join("kube-apiserver")
    }

    /// The Operator's definition of these resources.
    pub(super) fn definition(&self, resources: &str) -> PathBuf {
        self.folder.join(format!("monitoring.coreos.com_{resources}.yaml"))
    }
}

/// A cluster that has an API server and no node; it ends when this is dropped.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    _server: Background,
    _etcd: Background,
    folder: Folder,
}

impl Server {
    /// Starts both on free ports and waits until the server answers.
    pub(super) fn start(programs: &Programs) -> Result<Self> {
        let folder = Folder::new("cluster-run")?;
        let at = |name: &str| folder.path().join(name);
        let (client, peer) = (free_port()?, free_port()?);
        let etcd = Background::start(
            Command::new("etcd")
                // Nothing of it is kept, and a disk that others use as well would time it out.
                .arg("--unsafe-no-fsync")
                .arg(format!("--data-dir={}", at("etcd").display()))
                .arg(format!("--listen-client-urls=http://{client}"))
                .arg(format!("--advertise-client-urls=http://{client}"))
                .arg(format!("--listen-peer-urls=http://{peer}")),
            &at("etcd.log"),
        )?;
        let (key, tokens, addr) = (at("accounts.key"), at("tokens.csv"), free_port()?);
        sh::capture(Command::new("openssl").args(["genrsa", "-out"]).arg(&key), DEADLINE)?;
        fs::write(&tokens, format!("{ADMIN},admin,admin,system:masters\n"))?;
        let server = Background::start(
            Command::new(programs.api_server())
                .arg(format!("--etcd-servers=http://{client}"))
                .args(["--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24"])
                .args(["--bind-address=127.0.0.1", &format!("--secure-port={}", addr.port())])
                .arg("--service-account-issuer=https://kubernetes.default.svc")
                .arg(format!("--service-account-signing-key-file={}", key.display()))
                .arg(format!("--service-account-key-file={}", key.display()))
                .arg(format!("--token-auth-file={}", tokens.display()))
                .arg(format!("--cert-dir={}", at("certificates").display())),
            &at("api-server.log"),
        )?;
        let mut this = Self { addr, _server: server, _etcd: etcd, folder };
        let (addr, folder) = (this.addr, this.folder.path().to_owned());
        let ready =
            || sh::capture(kubectl(addr, &folder).args(["get", "--raw", "/readyz"]), DEADLINE);
        this._server.wait_until("ready", START, || ready().is_ok())?;
        Ok(this)
    }

    /// What may be left here while the server runs.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where clients find it.
    pub(super) fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// As the cluster's administrator.
    pub(super) fn kubectl(&self, words: &[&str]) -> Result<String> {
        sh::capture(kubectl(self.addr, self.folder.path()).args(words), DEADLINE)
    }

    /// Applies what is in a file, on the server, which validates it.
    pub(super) fn apply(&self, file: &Path) -> Result<()> {
        self.kubectl(&["apply", "--server-side", "-f", &file.to_string_lossy()]).map(drop)
    }

    /// Posts an object; returns what is made of it.
    pub(super) fn create(&self, path: &str, object: &Value) -> Result<Value> {
        let file = self.folder.path().join("object.json");
        fs::write(&file, object.to_string())?;
        let answer = self.kubectl(&["create", "--raw", path, "-f", &file.to_string_lossy()])?;
        Ok(serde_json::from_str(&answer)?)
    }

    /// The object or list at a path.
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.kubectl(&["get", "--raw", path])?)?)
    }

    /// What the kubelet would mount for a service account: its token, as the server gives it, and the certificates.
    pub(super) fn account(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = serde_json::json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {},
        });
        let given = self.create(&path, &request)?;
        let token = given["status"]["token"].as_str().context("no token was given")?;
        let folder = self.folder.path().join(format!("account-{name}"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("token"), token)?;
        fs::copy(certificates(self.folder.path()), folder.join("ca.crt"))?;
        ensure!(!token.is_empty(), "an empty token was given");
        Ok(folder)
    }
}

fn certificates(folder: &Path) -> PathBuf {
    folder.join("certificates/apiserver.crt")
}

fn kubectl(addr: SocketAddr, folder: &Path) -> Command {
    let mut kubectl = Command::new("kubectl");
    kubectl
        .arg(format!("--server=https://{addr}"))
        .arg(format!("--certificate-authority={}", certificates(folder).display()))
        .arg(format!("--token={ADMIN}"))
        // Neither a configuration nor a cache of whoever runs this.
        .env("KUBECONFIG", "/dev/null")
        .env("HOME", folder);
    kubectl
}
