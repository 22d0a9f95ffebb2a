//! The shop, the watchdog over its seven processes, and the load, in one directory.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use services_engines::Shop;

use super::counts::{Bytes, Requests};
use super::judge::{self, Incident, Target};
use crate::demo::stage::{Owned, free_port, wait_for};
use crate::{http, packages, release, root};

/// Of each service, as the example in k8s/ has it.
pub(super) const LIMIT: &str = "256MiB";
const START: Duration = Duration::from_secs(20);
/// How much later than its time the load may end: users finish what they do.
const LOAD_ENDS: Duration = Duration::from_secs(60);
/// The load comes from one address.
const ENVIRONMENT: [(&str, &str); 2] = [("SHOP_CLIENT_RATE", "0"), ("SHOP_SIGN_IN_RATE", "0")];
/// Nineteen browse while one buys.
const USERS: &str = "20";

/// What runs; it stops when this is dropped, the load first.
pub(super) struct Stage {
    load: Option<Owned>,
    oomen: Owned,
    shop: Shop,
    programs: PathBuf,
    data: PathBuf,
    /// Where the watchdog listens.
    pub(super) watchdog: SocketAddr,
}

impl Stage {
    /// Opens the shop over new stores and waits until it is ready and watched.
    pub(super) fn set(data: &Path) -> Result<Self> {
        let [programs, recorders, stores, watchdog] =
            ["programs", "recorders", "shop", "watchdog"].map(|name| data.join(name));
        for directory in [&programs, &recorders, &stores, &watchdog] {
            anew(directory).with_context(|| format!("making {} anew", directory.display()))?;
        }
        copy_programs(&programs)?;
        let recorder_dir = recorders.to_string_lossy();
        let mut environment = ENVIRONMENT.to_vec();
        environment.push(("OOMEN_RECORDER_DIR", &recorder_dir));
        let mut shop = Shop::start(&programs, &stores, &environment)?;
        shop.wait_until_ready()?;
        let (oomen, watchdog) = watch(&programs, data, &shop)?;
        Ok(Self { load: None, oomen, shop, programs, data: data.to_owned(), watchdog })
    }

    /// Where customers ask.
    pub(super) fn door(&self) -> SocketAddr {
        self.shop.door()
    }

    /// Starts the load.
    pub(super) fn load(&mut self, rate: u32, minutes: u32) -> Result<()> {
        let mut command = Command::new(self.programs.join("loadtest"));
        command.args(["--host", &format!("http://{}", self.shop.door()), "--users", USERS]);
        command.args(["--scenarios", "shop*", "--no-reset-metrics"]);
        command.args(["--throttle-requests", &rate.to_string()]);
        command.args(["--run-time", &format!("{minutes}m")]);
        self.load = Some(start(&mut command, &self.data.join("load.log"))?);
        Ok(())
    }

    /// Waits for the end of the load: whether every endpoint answered as it should, and where its tables are.
    pub(super) fn load_ended(&mut self) -> Result<(ExitStatus, PathBuf)> {
        let load = self.load.as_mut().context("there was no load")?;
        let status = wait_for("the load's end", LOAD_ENDS, || Ok(load.0.try_wait()?))?;
        Ok((status, self.data.join("load.log")))
    }

    /// An error when the shop or the watchdog has ended, or the load in vain.
    pub(super) fn must_live(&mut self) -> Result<()> {
        self.shop.all_live()?;
        let [oomen, load] = ["oomen.log", "load.log"].map(|log| self.data.join(log));
        ensure!(self.oomen.0.try_wait()?.is_none(), "the watchdog ended; see {}", oomen.display());
        let ended = self.load.as_mut().map_or(Ok(None), |load| load.0.try_wait())?;
        let fine = ended.is_none_or(|status| status.success());
        ensure!(fine, "the load failed; see {}", load.display());
        Ok(())
    }

    /// What the watchdog thinks of each service.
    pub(super) fn look(&self) -> Result<Vec<Target>> {
        judge::targets(&ask(self.watchdog, "/api/v1/targets")?)
    }

    /// The watchdog's recent incidents.
    pub(super) fn incidents(&self) -> Result<Vec<Incident>> {
        judge::incidents(&ask(self.watchdog, "/api/v1/incidents")?)
    }

    /// What the gateway has served.
    pub(super) fn requests(&self) -> Result<Requests> {
        let gateway = self.shop.admins().find(|(service, _)| *service == "gateway");
        let (_, admin) = gateway.context("the shop has no gateway")?;
        Ok(Requests::counted(&String::from_utf8_lossy(&ask(admin, "/metrics")?)))
    }

    /// What stores and logs take on disk.
    pub(super) fn bytes(&self) -> Result<Bytes> {
        Bytes::of(&self.data.join("shop"))
    }
}

fn anew(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(directory),
    }
}

/// The programs, built unless OOMEN_TEST_BIN_DIR has the shop's, and copied: whoever builds meanwhile changes nothing here.
fn copy_programs(to: &Path) -> Result<()> {
    packages::ensure(&packages::BUILD)?;
    let given = std::env::var_os("OOMEN_TEST_BIN_DIR").map(PathBuf::from);
    if given.is_none() {
        release::build()?;
        release::loadtest("build", &[])?;
    }
    let built = given.unwrap_or_else(release::directory);
    let load = root().join("target/loadtest/release/loadtest");
    let programs = Shop::services().chain(["oomen"]).map(|program| built.join(program));
    for program in programs.chain([load]) {
        let name = program.file_name().context("a program has a name")?;
        fs::copy(&program, to.join(name))
            .with_context(|| format!("copying {}", program.display()))?;
    }
    Ok(())
}

/// One watchdog for all seven.
fn watch(programs: &Path, data: &Path, shop: &Shop) -> Result<(Owned, SocketAddr)> {
    let listen = free_port()?;
    let (store, recorders) = (data.join("watchdog"), data.join("recorders"));
    let mut configuration = format!(
        "listen = '{listen}'\ndata_dir = '{}'\nrecorder_dir = '{}'\n",
        store.display(),
        recorders.display()
    );
    for ((name, pid), (_, admin)) in shop.processes().zip(shop.admins()) {
        configuration += &format!(
            "[[target]]\nname = '{name}'\npid = {pid}\nprobe = 'http://{admin}'\nlimit = '{LIMIT}'\n\
             requests = {{ url = 'http://{admin}/metrics', counter = 'http_requests_total' }}\n"
        );
    }
    let file = data.join("oomen.toml");
    fs::write(&file, configuration)?;
    let mut command = Command::new(programs.join("oomen"));
    command.arg("watch").arg("--config").arg(&file);
    let oomen = start(&mut command, &data.join("oomen.log"))?;
    wait_for("the watchdog", START, || {
        Ok(matches!(http::get(listen, "/health/ready"), Ok((200, _))).then_some(()))
    })?;
    Ok((oomen, listen))
}

fn start(command: &mut Command, log: &Path) -> Result<Owned> {
    let log = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let program = command.get_program().to_string_lossy().into_owned();
    Ok(Owned(command.spawn().with_context(|| format!("starting {program}"))?))
}

fn ask(addr: SocketAddr, path: &str) -> Result<Vec<u8>> {
    let (status, body) = http::get(addr, path)?;
    ensure!(status == 200, "http://{addr}{path} answers {status}");
    Ok(body)
}
