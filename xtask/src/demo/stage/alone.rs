//! The recommendations service alone under its limit, with shoppers: what the benchmarks measure.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::{Owned, Scene, Setting, Target, cgroup, confined, free_port, wait_ready};

const NAME: &str = "recommendations";
const LOAD: [&str; 4] = ["--users", "4", "--scenarios", "recommendations"];

/// The service, and those who ask it; these end first.
pub(crate) struct Alone {
    load: Option<Owned>,
    service: Owned,
    public: SocketAddr,
    admin: SocketAddr,
}

impl Alone {
    /// Starts the service and waits until it answers.
    pub(super) fn start(setting: &Setting, limit: u64) -> Result<Self> {
        let (public, admin) = (free_port()?, free_port()?);
        let child = confined(&setting.binaries.oomen, &cgroup(&setting.name, NAME), limit)
            .arg(setting.binaries.services.join(NAME))
            .args(["--listen", &public.to_string(), "--admin-listen", &admin.to_string()])
            .env("OOMEN_RECORDER_DIR", setting.recorders())
            .env("SHOP_FAULTS", "on")
            .env("SHOP_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("the service does not start")?;
        let alone = Self { load: None, service: Owned(child), public, admin };
        wait_ready(admin)?;
        Ok(alone)
    }
}

impl Scene for Alone {
    fn targets(&self) -> Vec<Target> {
        let which = format!("pid = {}", self.service.0.id());
        vec![Target { name: NAME, which, admin: self.admin }]
    }

    fn open_doors(&mut self, setting: &Setting) -> Result<()> {
        self.load = Some(setting.load(self.public, &LOAD)?);
        Ok(())
    }

    fn load(&mut self) -> Option<&mut Owned> {
        self.load.as_mut()
    }

    fn leaker_ended(&mut self) -> Result<bool> {
        Ok(self.service.0.try_wait()?.is_some())
    }

    fn others_live(&mut self) -> Result<()> {
        Ok(())
    }
}
