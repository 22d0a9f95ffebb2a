//! The whole shop on embedded stores, each service in a cgroup of its own, with customers who browse and order.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result};
use services_engines::Shop;

use super::{Owned, Scene, Setting, Target, cgroup, confined};

/// Of each service but the one that is to leak.
const LIMIT: u64 = 256 << 20;
/// What would put the shop on servers.
const SERVERS: [&str; 3] = ["DATABASE_URL", "REDIS_URL", "AMQP_URL"];
/// All come at once, and leave the processor to the services.
const LOAD: [&str; 6] = ["--users", "20", "--increase-rate", "10", "--throttle-requests", "40"];

/// The shop, and those in it; these go first.
pub(crate) struct TheShop {
    customers: Option<Owned>,
    shop: Shop,
    leaker: &'static str,
    stage: String,
}

impl TheShop {
    /// Starts all services and waits until they are ready.
    pub(super) fn start(setting: &Setting, leaker: &'static str, limit: u64) -> Result<Self> {
        let recorders = setting.recorders();
        let environment = [
            ("OOMEN_RECORDER_DIR", &*recorders.to_string_lossy()),
            ("SHOP_FAULTS", "on"),
            ("SHOP_LOG", "warn"),
            // All customers come from one address.
            ("SHOP_CLIENT_RATE", "0"),
            ("SHOP_SIGN_IN_RATE", "0"),
        ];
        let (stage, oomen) = (setting.name.clone(), setting.binaries.oomen.clone());
        let programs = programs(setting)?;
        let command = move |service: &str| {
            let limit = if service == leaker { limit } else { LIMIT };
            let mut command = confined(&oomen, &cgroup(&stage, service), limit);
            command.arg(programs.join(process(service, &stage)));
            SERVERS.iter().for_each(|name| {
                command.env_remove(name);
            });
            command
        };
        let mut shop = Shop::start_by(command, &setting.data.join("shop"), &environment)?;
        shop.wait_until_ready()?;
        Ok(Self { customers: None, shop, leaker, stage: setting.name.clone() })
    }

    /// Where the storefront is.
    pub(crate) fn door(&self) -> SocketAddr {
        self.shop.door()
    }

    /// Starts the leaker anew after its end and returns its pid.
    pub(crate) fn restart(&mut self) -> Result<u32> {
        self.shop.open(self.leaker)?;
        self.shop.wait_until_ready()?;
        let pid = self.shop.processes().find(|(service, _)| *service == self.leaker);
        pid.map(|(_, pid)| pid).context("it has ended again")
    }
}

/// What a service's process is called. No other shop on this machine has that name, so that the watchdog goes on with ours
/// after a kill.
fn process(service: &str, stage: &str) -> String {
    format!("{service}-{stage}")
}

/// The programs under those names.
fn programs(setting: &Setting) -> Result<PathBuf> {
    let programs = setting.data.join("programs");
    fs::create_dir_all(&programs)?;
    for service in Shop::services() {
        let program = setting.binaries.services.join(service);
        symlink(program, programs.join(process(service, &setting.name)))?;
    }
    Ok(programs)
}

impl Scene for TheShop {
    fn targets(&self) -> Vec<Target> {
        let target = |(name, admin)| {
            let which = format!("process = '{}'", process(name, &self.stage));
            Target { name, which, admin }
        };
        let mut targets: Vec<_> = self.shop.admins().map(target).collect();
        targets.sort_by_key(|target| target.name != self.leaker);
        targets
    }

    fn open_doors(&mut self, setting: &Setting) -> Result<()> {
        self.customers = Some(setting.load(self.shop.door(), &LOAD)?);
        Ok(())
    }

    fn load(&mut self) -> Option<&mut Owned> {
        self.customers.as_mut()
    }

    fn leaker_ended(&mut self) -> Result<bool> {
        let ended = !self.shop.is_alive(self.leaker);
        if ended {
            // What is left of it, so that only the end of another is still an error.
            self.shop.kill(self.leaker);
        }
        Ok(ended)
    }

    fn others_live(&mut self) -> Result<()> {
        self.leaker_ended()?;
        Ok(self.shop.all_live()?)
    }
}
