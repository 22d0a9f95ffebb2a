//! Leaks on this machine to look at: two replicas of a service under limits that really kill, visitors, a watchdog
//! beside each, two programs that only look like a leak, and the whole shop with a customer.

mod customer;
mod replica;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use services_engines::Shop;

use super::prometheus::Scraped;
use crate::sh::Background;
use crate::{http, release, root};
use customer::Customer;
pub(crate) use replica::Replica;

/// What the watchdogs call the service.
pub(crate) const TARGET: &str = "recommendations";
/// Where everything is said to run.
pub(crate) const NAMESPACE: &str = "shop";
const START: Duration = Duration::from_secs(20);
/// Programs that grow and stop, or grow and shrink, with the bytes they handle in a second.
const BYSTANDERS: [(&str, &str); 2] = [("bounded-cache", "600000"), ("batch-sawtooth", "400000")];
/// Of a bystander, in its watchdog's configuration; none comes near it.
const BYSTANDER_LIMIT: &str = "128MiB";
/// What a visitor asks for, in turn: the last is nowhere.
const VISITED: [&str; 4] =
    ["/items/popular", "/items/popular?limit=3", "/recommendations/1", "/basket"];
const PAUSE_OF_VISITORS: Duration = Duration::from_millis(25);

/// All of it; it ends when this is dropped. Both watchdogs call their replica the same, as they do in a cluster: what
/// tells the two apart by the target alone fails here.
pub(crate) struct Lab {
    /// Both have a watchdog; the second one's pushes its alerts as well.
    pub(crate) replicas: [Replica; 2],
    bystanders: Bystanders,
    shop: Shop,
    _customer: Customer,
    _visitors: Visitors,
    /// Last, so that it is removed after those that write into it.
    _folder: Folder,
}

impl Lab {
    /// Starts everything and waits until it is ready. The replicas hold so many bytes before anybody watches them. The
    /// second one's watchdog pushes to `alertmanager`.
    pub(crate) fn start(filled: [u64; 2], alertmanager: Option<SocketAddr>) -> Result<Self> {
        let folder = Folder::new("lab")?;
        let replicas = [
            Replica::start(folder.path(), 1, filled[0], None)?,
            Replica::start(folder.path(), 2, filled[1], alertmanager)?,
        ];
        let bystanders = Bystanders::start(folder.path())?;
        let mut shop = Shop::start(&release::directory(), &folder.path().join("shop"), &[])?;
        shop.wait_until_ready()?;
        let customer = Customer::arrive(shop.door())?;
        let visitors = Visitors::start(replicas.each_ref().map(|replica| replica.public));
        Ok(Self {
            replicas,
            bystanders,
            shop,
            _customer: customer,
            _visitors: visitors,
            _folder: folder,
        })
    }

    /// Where the replicas' watchdogs serve their pages and /metrics.
    pub(crate) fn watchdogs(&self) -> [SocketAddr; 2] {
        self.replicas.each_ref().map(|replica| replica.watchdog)
    }

    /// What a Prometheus scrapes here: the watchdogs, and the service itself.
    pub(crate) fn scraped(&self) -> Vec<Scraped> {
        let of =
            |job, pod: &str, addr| Scraped { job, namespace: NAMESPACE, pod: pod.into(), addr };
        let replicas = self.replicas.iter().flat_map(|replica| {
            [of("oomen", &replica.pod, replica.watchdog), of(TARGET, &replica.pod, replica.admin)]
        });
        let shop = self.shop.admins().map(|(service, admin)| of(service, service, admin));
        let bystanders = of("oomen", "bystanders", self.bystanders.watchdog);
        replicas.chain(shop).chain([bystanders]).collect()
    }
}

/// Programs that are watched and do not leak, all by one watchdog.
struct Bystanders {
    watchdog: SocketAddr,
    _oomen: Background,
    _programs: Vec<Background>,
}

impl Bystanders {
    fn start(folder: &Path) -> Result<Self> {
        let (mut programs, mut targets) = (Vec::new(), String::new());
        for (name, rate) in BYSTANDERS {
            let admin = free_port()?;
            let mut command = Command::new(program("gallery")?);
            command.args([name, "--rate", rate, "--admin", &admin.to_string()]);
            let mut running = Background::start(&mut command, &folder.join(format!("{name}.log")))?;
            running.wait_until("ready", START, || answers(admin, "/debug/allocator"))?;
            let pid = running.pid();
            targets += &format!(
                "[[target]]\nname = '{name}'\npid = {pid}\nprobe = 'http://{admin}'\nlimit = '{BYSTANDER_LIMIT}'\n"
            );
            programs.push(running);
        }
        let watchdog = free_port()?;
        let oomen = watch(folder, "bystanders", watchdog, &targets, |_| {})?;
        Ok(Self { watchdog, _oomen: oomen, _programs: programs })
    }
}

/// Starts a watchdog with this configuration after what all have in common, and waits until it answers.
fn watch(
    folder: &Path,
    name: &str,
    listen: SocketAddr,
    configuration: &str,
    more: impl FnOnce(&mut Command),
) -> Result<Background> {
    let data = folder.join(format!("data-{name}"));
    let file = folder.join(format!("oomen-{name}.toml"));
    let head = format!("listen = '{listen}'\ndata_dir = '{}'\n", data.display());
    fs::write(&file, head + configuration)?;
    let mut command = Command::new(program("oomen")?);
    command.arg("watch").arg("--config").arg(&file).args(["--warm-up", "2s"]);
    command.env("POD_NAMESPACE", NAMESPACE).env("POD_NAME", name);
    more(&mut command);
    let mut oomen = Background::start(&mut command, &folder.join(format!("oomen-{name}.log")))?;
    oomen.wait_until("ready", START, || is_ready(listen))?;
    Ok(oomen)
}

/// Asks both replicas for one page after the other until this is dropped.
struct Visitors(Arc<AtomicBool>);

impl Visitors {
    fn start(replicas: [SocketAddr; 2]) -> Self {
        let gone = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&gone);
        thread::spawn(move || {
            for path in VISITED.iter().cycle() {
                for replica in replicas {
                    // One that was killed answers nobody, which is what the dashboards are to show.
                    http::get(replica, path).ok();
                }
                thread::sleep(PAUSE_OF_VISITORS);
                if until.load(Ordering::Acquire) {
                    break;
                }
            }
        });
        Self(gone)
    }
}

impl Drop for Visitors {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A folder under target/ that is removed when this is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes it, empty.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let path = root().join(format!("target/xtask/{name}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What remains lies under target/ and harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A shipped program that was built before.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    let path = release::directory().join(name);
    ensure!(path.is_file(), "{} is not built; `cargo xtask test build` does that", path.display());
    Ok(path)
}

/// A port of the loopback interface that was free a moment ago.
pub(crate) fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn is_ready(addr: SocketAddr) -> bool {
    answers(addr, "/health/ready")
}

fn answers(addr: SocketAddr, path: &str) -> bool {
    matches!(http::get(addr, path), Ok((200, _)))
}
