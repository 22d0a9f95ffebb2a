//! What is measured: two shops on one Postgres, the bare handler, and pgbench's tables.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use services_engines::{Engine, EngineError, Shop};

use super::ShopArgs;
use crate::bench::cpu;
use crate::demo::stage::{Owned, wait_for};
use crate::visitor::Visitor;
use crate::{release, root, sh};

const DEADLINE: Duration = Duration::from_secs(120);
/// Recorders are claimed within seconds: a service looks for one once a second.
const CLAIMED: Duration = Duration::from_secs(30);
/// What a service logs once it has a recorder.
const RECORDED: &str = "the heap profile is being recorded";
/// Products of a page, as the page asks for them.
const PAGE: &str = "limit=24";
/// What people look for.
const SEARCHES: [&str; 8] = ["tea", "lamp", "steel", "desk", "bag", "cup", "oak", "light"];
/// pgbench wants its scale not below the number of its clients: each changes one of as many rows.
const SMALLEST_SCALE: u16 = 16;

/// Everything that is running. The order of the fields is the order in which it is stopped.
pub(super) struct Stage {
    /// The shop with its heap profile recorded.
    pub(super) on: Shop,
    /// The shop without heap profiling.
    pub(super) off: Shop,
    /// The bare handler.
    _bare: Owned,
    pub(super) bare: SocketAddr,
    /// What is browsed: paths with what is there.
    pub(super) answers: BTreeMap<String, Value>,
    /// The products' ids.
    pub(super) products: Vec<String>,
    _brokers: [Engine; 2],
    postgres: Engine,
    /// Files of this run.
    pub(super) files: Files,
}

/// A directory that goes with its owner.
pub(super) struct Files(pub(super) PathBuf);

impl Drop for Files {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

impl Stage {
    /// Starts it all.
    pub(super) fn set(args: &ShopArgs) -> Result<Self> {
        let files = Files(root().join("target").join(format!("bench-shop-{}", std::process::id())));
        std::fs::create_dir_all(&files.0)?;
        let (postgres, brokers) = engines()?;
        for database in ["shop_on", "shop_off", "pgbench"] {
            psql(&postgres, "postgres", &format!("CREATE DATABASE {database}"))?;
        }
        let scale = args.customers.max(SMALLEST_SCALE).to_string();
        sh::capture(
            client_of(&postgres, "pgbench").args(["-q", "-i", "-s", &scale, "pgbench"]),
            DEADLINE,
        )?;
        let sampling = args.lg_prof_sample.map(|lg| format!("lg_prof_sample:{lg}"));
        let sampling = sampling.unwrap_or_default();
        let on = profiled(&files.0, &postgres, &brokers[0], &sampling)?;
        let off = [("_RJEM_MALLOC_CONF", "prof:false"), ("OOMEN_RECORDER_DIR", "")];
        let off = open(&files.0.join("off"), &postgres, "shop_off", &brokers[1], &off)?;
        for database in ["shop_on", "shop_off"] {
            // More than is sold here. The events of a shop change what is in stock, not what there is of it.
            psql(&postgres, database, "UPDATE inventory.products SET available = 10000000")?;
        }
        let answers = answers(on.door())?;
        let (bare, address) = bare(&files.0, &answers)?;
        let products = answers.keys().filter_map(|path| path.strip_prefix("/api/products/"));
        let products = products.map(str::to_owned).collect();
        Ok(Self {
            on,
            off,
            _bare: bare,
            bare: address,
            answers,
            products,
            _brokers: brokers,
            postgres,
            files,
        })
    }

    /// Lets Postgres know what is in the shops' tables by now, as pgbench does with its own at the start; a shop that
    /// is open for longer than a minute has that from the server's own vacuum.
    pub(super) fn analyze(&self) -> Result<()> {
        ["shop_on", "shop_off"]
            .iter()
            .try_for_each(|shop| psql(&self.postgres, shop, "VACUUM ANALYZE"))
    }

    /// What pgbench's own script reaches, in transactions per second.
    pub(super) fn pgbench(&self, clients: u16, seconds: u16) -> Result<f64> {
        let (clients, seconds) = (clients.to_string(), seconds.to_string());
        let mut command = client_of(&self.postgres, "pgbench");
        command.args(["-c", &clients, "-j", "1", "-T", &seconds, "pgbench"]);
        let said = sh::capture(&mut command, DEADLINE)?;
        transactions(&said).with_context(|| format!("pgbench says no tps:\n{said}"))
    }
}

/// CPU seconds that a shop's services have used since they were started.
pub(super) fn cpu(shop: &Shop) -> Result<f64> {
    shop.processes().map(|(_, pid)| cpu::seconds(pid)).sum()
}

fn transactions(said: &str) -> Option<f64> {
    said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}

/// All at once: RabbitMQ takes its time.
fn engines() -> Result<(Engine, [Engine; 2])> {
    fn joined(engine: thread::Result<Result<Engine, EngineError>>) -> Result<Engine> {
        engine.map_or_else(|_| bail!("starting an engine panicked"), |started| Ok(started?))
    }
    let [one, other] = [(); 2].map(|()| thread::spawn(Engine::rabbitmq));
    let postgres = Engine::postgres();
    let brokers = [joined(one.join())?, joined(other.join())?];
    Ok((postgres?, brokers))
}

fn client_of(postgres: &Engine, program: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &postgres.port().to_string()]);
    command
}

fn psql(postgres: &Engine, database: &str, statement: &str) -> Result<()> {
    let mut command = client_of(postgres, "psql");
    sh::capture(command.args(["-q", "-d", database, "-c", statement]), DEADLINE)?;
    Ok(())
}

fn open(
    data: &Path,
    postgres: &Engine,
    database: &str,
    broker: &Engine,
    more: &[(&str, &str)],
) -> Result<Shop> {
    let url = postgres.url();
    let url = url.strip_suffix("/postgres").context("an unexpected address of Postgres")?;
    let (url, broker) = (format!("{url}/{database}"), broker.url());
    let mut environment = vec![
        ("DATABASE_URL", url.as_str()),
        ("AMQP_URL", &broker),
        ("SHOP_CLIENT_RATE", "0"),
        ("SHOP_SIGN_IN_RATE", "0"),
    ];
    environment.extend(more);
    let mut shop = Shop::start(&release::directory(), data, &environment)?;
    shop.wait_until_ready()?;
    Ok(shop)
}

/// A shop whose services all have their heap profile recorded. A watchdog makes the recorders, and has nothing more to
/// do once they are claimed: what it costs to look at them is in `cargo xtask bench footprint`.
fn profiled(files: &Path, postgres: &Engine, broker: &Engine, sampling: &str) -> Result<Shop> {
    let (recorders, data) = (files.join("recorders"), files.join("on"));
    let watchdog = Command::new(release::directory().join("oomen"))
        .args(["watch", "--pid", &std::process::id().to_string(), "--listen", "127.0.0.1:0"])
        .arg("--recorder-dir")
        .arg(&recorders)
        .arg("--data-dir")
        .arg(files.join("dumps"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting the watchdog")?;
    let _watchdog = Owned(watchdog);
    let recorders = recorders.to_string_lossy();
    let more = [("_RJEM_MALLOC_CONF", sampling), ("OOMEN_RECORDER_DIR", &*recorders)];
    let shop = open(&data, postgres, "shop_on", broker, &more)?;
    wait_for("a recorder for each service", CLAIMED, || {
        let mut logs = Shop::services().map(|service| shop.logs().join(format!("{service}.log")));
        let recorded =
            |log: PathBuf| std::fs::read_to_string(log).is_ok_and(|log| log.contains(RECORDED));
        Ok(logs.all(recorded).then_some(()))
    })?;
    Ok(shop)
}

/// What is browsed: every shelf in two orders, some searches and every product, each as the page asks for it.
fn answers(door: SocketAddr) -> Result<BTreeMap<String, Value>> {
    let mut visitor = Visitor::visit(door)?;
    let mut read =
        |path: &str| -> Result<Value> { Ok(serde_json::from_slice(&visitor.get(path)?)?) };
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().into_iter().flatten();
        items.filter_map(|item| Some(item["id"].as_str()?.to_owned())).collect()
    };
    let mut paths = vec![format!("/api/products?{PAGE}&sort=popular")];
    for category in names(&read("/api/categories")?) {
        for sort in ["popular", "price"] {
            paths.push(format!("/api/products?category={category}&sort={sort}&{PAGE}"));
        }
        let all = read(&format!("/api/products?category={category}&limit=100"))?;
        paths.extend(names(&all).iter().map(|product| format!("/api/products/{product}")));
    }
    paths.extend(SEARCHES.map(|word| format!("/api/products?q={word}&sort=popular&{PAGE}")));
    paths.into_iter().map(|path| Ok((path.clone(), read(&path)?))).collect()
}

fn bare(files: &Path, answers: &BTreeMap<String, Value>) -> Result<(Owned, SocketAddr)> {
    let file = files.join("answers.json");
    std::fs::write(&file, serde_json::to_vec(answers)?)?;
    let child = Command::new(release::directory().join("bare"))
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the bare handler")?;
    let mut owned = Owned(child);
    let stdout = owned.0.stdout.take().context("its stdout is not there")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let address = line.trim().parse().context("the bare handler says no address")?;
    Ok((owned, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgbench_is_understood() {
        let said =
            "latency average = 5.379 ms\ntps = 743.686815 (without initial connection time)\n";
        assert_eq!(transactions(said), Some(743.686_815));
        assert_eq!(transactions("tps ="), None);
    }
}
