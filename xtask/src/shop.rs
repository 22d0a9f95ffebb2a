//! The whole shop on this machine: seven services with embedded stores, at one address, until Ctrl-C.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::sh::Background;
use crate::{http, release, root};

/// The services in the order of their ports, each with the variables that it alone knows.
const SERVICES: [(&str, &[&str]); 7] = [
    ("gateway", &["SHOP_CLIENT_RATE", "SHOP_SIGN_IN_RATE", "SHOP_BEHIND_PROXY"]),
    ("users", &[]),
    ("inventory", &[]),
    ("orders", &[]),
    ("payments", &[]),
    ("notifications", &["SHOP_SMTP_URL", "SHOP_MAIL_FROM"]),
    ("recommendations", &[]),
];

/// The gateway's port; the others follow, and admin ports are this much above.
const FIRST_PORT: u16 = 8080;
const ADMIN_OFFSET: u16 = 1000;

/// How long a service may take to be ready: with a server in place of its file, that has to answer first.
const READY: Duration = Duration::from_secs(60);

/// How long a service may drain: 5 s for requests, 5 s for what runs beside them.
const DRAIN: Duration = Duration::from_secs(12);

const POLL: Duration = Duration::from_millis(100);

/// How the shop is opened.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Begin anew with the seeded catalogue: customers, carts and orders of earlier days are removed.
    #[arg(long)]
    seed: bool,
    /// Where stores and logs are kept.
    #[arg(long, default_value = "target/shop-data")]
    data: PathBuf,
}

/// Builds, starts, waits, stops.
pub(crate) fn run(options: &Options) -> Result<()> {
    let data = root().join(&options.data);
    if options.seed {
        let servers = ["DATABASE_URL", "AMQP_URL"].map(std::env::var_os);
        ensure!(
            servers.iter().all(Option::is_none),
            "--seed removes files; a database on a server is to be emptied there"
        );
        begin_anew(&data)?;
    }
    release::build()?;
    Builder::new_current_thread().enable_all().build()?.block_on(open(&data))
}

async fn open(data: &Path) -> Result<()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut shop = Shop::start(data)?;
    let ended = tokio::select! {
        ended = shop.serve() => ended,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    println!("\nclosing");
    shop.stop().await?;
    ended
}

/// The stores, and nothing else that may be in the directory.
fn begin_anew(data: &Path) -> Result<()> {
    let Ok(files) = std::fs::read_dir(data) else { return Ok(()) };
    for file in files {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stores = SERVICES.iter().map(|(service, _)| *service).chain(["bus"]);
        if stores.into_iter().any(|store| name.starts_with(&format!("{store}.db"))) {
            std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// Public and admin addresses, by service.
type Addresses = Vec<(SocketAddr, SocketAddr)>;

/// The ports of docs/shop.md if all are free, else some that are.
fn addresses() -> Result<Addresses> {
    let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let usual = (FIRST_PORT..).take(SERVICES.len());
    let usual: Addresses = usual.map(|port| (at(port), at(port + ADMIN_OFFSET))).collect();
    let free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    if usual.iter().all(|(public, admin)| free(public) && free(admin)) {
        return Ok(usual);
    }
    // All are held at once, so that no two are the same.
    let held: Vec<TcpListener> =
        (0..2 * SERVICES.len()).map(|_| TcpListener::bind(at(0))).collect::<Result<_, _>>()?;
    let found: Vec<SocketAddr> =
        held.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    Ok(found.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// The seven services, running; they end when this is dropped.
pub(crate) struct Shop {
    services: Vec<Background>,
    addresses: Addresses,
    logs: PathBuf,
}

impl Shop {
    /// Starts them, with stores and logs in `data`.
    pub(crate) fn start(data: &Path) -> Result<Self> {
        let logs = data.join("logs");
        std::fs::create_dir_all(&logs)
            .with_context(|| format!("making the directory {}", logs.display()))?;
        let addresses = addresses()?;
        let programs = release::directory();
        let services = SERVICES.iter().zip(&addresses).map(|((service, _), (public, admin))| {
            let mut command = Command::new(programs.join(service));
            command.env("SHOP_DATA", data).env("SHOP_LISTEN", public.to_string());
            command.env("SHOP_ADMIN_LISTEN", admin.to_string());
            for ((other, own), (at, _)) in SERVICES.iter().zip(&addresses) {
                command.env(format!("SHOP_{}_URL", other.to_uppercase()), format!("http://{at}"));
                // What a service does not know is a mistake to it.
                for variable in own.iter().filter(|_| other != service) {
                    command.env_remove(variable);
                }
            }
            // Ctrl-C is for us alone; we tell them in order.
            Background::start(command.process_group(0), &logs.join(format!("{service}.log")))
        });
        let services = services.collect::<Result<_>>()?;
        Ok(Self { services, addresses, logs })
    }

    /// Where customers ask.
    pub(crate) fn door(&self) -> SocketAddr {
        self.addresses[0].0
    }

    /// The services' names and where operators ask them.
    pub(crate) fn admins(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> + '_ {
        SERVICES.iter().zip(&self.addresses).map(|((service, _), (_, admin))| (*service, *admin))
    }

    /// Waits until all are ready, says where, and then until one ends.
    async fn serve(&mut self) -> Result<()> {
        let until = Instant::now() + READY;
        while !self.is_ready() {
            self.all_live()?;
            if Instant::now() > until {
                bail!("the shop is not ready in {READY:?}; {} say why", self.logs.display());
            }
            sleep(POLL).await;
        }
        println!("the shop is open at http://{}", self.door());
        for (service, admin) in self.admins() {
            println!("  {service}: admin port at http://{admin}");
        }
        println!("logs are in {}; Ctrl-C closes it", self.logs.display());
        loop {
            sleep(POLL).await;
            self.all_live()?;
        }
    }

    /// Whether all of them are.
    pub(crate) fn is_ready(&self) -> bool {
        let ready = |admin| matches!(http::get(admin, "/health/ready"), Ok((200, _)));
        self.admins().all(|(_, admin)| ready(admin))
    }

    fn all_live(&mut self) -> Result<()> {
        for ((service, _), running) in SERVICES.iter().zip(&mut self.services) {
            if running.ended()? {
                let log = self.logs.join(format!("{service}.log"));
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let last: Vec<&str> = text.lines().rev().take(5).collect();
                let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
                bail!("{service} has ended; {} ends:\n{last}", log.display());
            }
        }
        Ok(())
    }

    /// Lets each finish what it has begun, those that ask before those that are asked.
    async fn stop(mut self) -> Result<()> {
        let until = Instant::now() + DRAIN;
        for running in &mut self.services {
            if !running.ended()? {
                running.terminate()?;
            }
        }
        for running in &mut self.services {
            while !running.ended()? && Instant::now() < until {
                sleep(POLL).await;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stores_are_removed_to_begin_anew() {
        let data = std::env::temp_dir().join(format!("xtask-shop-{}", std::process::id()));
        std::fs::create_dir_all(&data).unwrap();
        let files =
            ["users.db", "users.db-wal", "bus.db", "internal.key", "notes.db", "my-users.db"];
        for file in files {
            std::fs::write(data.join(file), "").unwrap();
        }
        begin_anew(&data).unwrap();
        let left = files.map(|file| data.join(file).exists());
        std::fs::remove_dir_all(&data).unwrap();
        assert_eq!(left, [false, false, false, true, true, true]);
        begin_anew(&data).unwrap();
    }

    #[test]
    fn no_two_services_share_a_port() {
        let addresses = addresses().unwrap();
        let mut all: Vec<SocketAddr> =
            addresses.iter().flat_map(|(public, admin)| [*public, *admin]).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 14);
    }
}
