//! The whole shop on this machine: seven services with embedded stores, at one address, until Ctrl-C.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use services_engines::Shop;

use crate::interrupt::Interrupt;
use crate::{release, root};

const POLL: Duration = Duration::from_millis(100);
/// With a server in place of a file, that has to answer first.
const READY: Duration = Duration::from_secs(60);

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
    let interrupt = Interrupt::catch()?;
    let mut shop = Shop::start(&release::directory(), &data, &[])?;
    let ended = serve(&mut shop, &interrupt);
    println!("\nclosing");
    shop.close();
    ended
}

/// Says where the shop is once it is ready, and waits until one of its services ends or somebody wants an end.
fn serve(shop: &mut Shop, interrupt: &Interrupt) -> Result<()> {
    let until = Instant::now() + READY;
    while !(interrupt.came() || shop.is_ready()) {
        shop.all_live()?;
        let late =
            || format!("the shop is not ready in {READY:?}; {} say why", shop.logs().display());
        ensure!(Instant::now() < until, late());
        std::thread::sleep(POLL);
    }
    interrupt.check()?;
    println!("the shop is open at http://{}", shop.door());
    for (service, admin) in shop.admins() {
        println!("  {service}: admin port at http://{admin}");
    }
    println!("logs are in {}; Ctrl-C closes it", shop.logs().display());
    while !interrupt.came() {
        shop.all_live()?;
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// The stores, and nothing else that may be in the directory.
fn begin_anew(data: &Path) -> Result<()> {
    let Ok(files) = std::fs::read_dir(data) else { return Ok(()) };
    for file in files {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stores = Shop::services().chain(["bus"]);
        if stores.into_iter().any(|store| name.starts_with(&format!("{store}.db"))) {
            std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
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
}
