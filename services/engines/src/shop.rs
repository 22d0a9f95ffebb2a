//! The shop's seven programs as processes on loopback: started together, killed and started again one by one.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{POLL, ports, tail};

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
/// For an answer about readiness.
const ASK: Duration = Duration::from_secs(2);

/// Why the shop does not run.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// A program cannot be started.
    #[error("{program}: {source}")]
    Start {
        /// The program's path.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// No ports, or no directory.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A service has ended by itself.
    #[error("{service} has ended; its log ends:\n{log}")]
    Ended {
        /// Its name.
        service: &'static str,
        /// The end of its log.
        log: String,
    },
    /// It runs, and does not become ready.
    #[error("{service} is not ready in {READY:?}; its log ends:\n{log}")]
    Unready {
        /// Its name.
        service: &'static str,
        /// The end of its log.
        log: String,
    },
}

impl ShopError {
    fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// A service: where it is, and its process while it runs.
struct Place {
    service: &'static str,
    own: &'static [&'static str],
    public: SocketAddr,
    admin: SocketAddr,
    child: Option<Child>,
}

/// The seven services; they are killed when this is dropped.
pub struct Shop {
    places: Vec<Place>,
    command: Box<dyn Fn(&'static str) -> Command + Send + Sync>,
    data: PathBuf,
    environment: Vec<(String, String)>,
}

impl Shop {
    /// Starts the programs of a directory with stores and logs in `data`, and does not wait for them. They get our
    /// environment and `environment` on top; of what one service alone knows the others hear nothing.
    ///
    /// # Errors
    /// When a program, a port or the directory is not to be had.
    pub fn start(
        programs: &Path,
        data: &Path,
        environment: &[(&str, &str)],
    ) -> Result<Self, ShopError> {
        let programs = programs.to_owned();
        let command = move |service: &str| Command::new(programs.join(service));
        Self::start_by(command, data, environment)
    }

    /// The same with each service started by a command, which is to become it: under another name, in a cgroup.
    ///
    /// # Errors
    /// When a command, a port or the directory is not to be had.
    pub fn start_by(
        command: impl Fn(&'static str) -> Command + Send + Sync + 'static,
        data: &Path,
        environment: &[(&str, &str)],
    ) -> Result<Self, ShopError> {
        std::fs::create_dir_all(data.join("logs")).map_err(ShopError::io("the logs' directory"))?;
        let addresses = addresses().map_err(ShopError::io("free ports"))?;
        let places = SERVICES.iter().zip(addresses).map(|((service, own), (public, admin))| {
            Place { service, own, public, admin, child: None }
        });
        let mut shop = Self {
            places: places.collect(),
            command: Box::new(command),
            data: data.to_owned(),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        for (service, _) in SERVICES {
            shop.open(service)?;
        }
        Ok(shop)
    }

    /// The names of the services, the gateway first.
    pub fn services() -> impl Iterator<Item = &'static str> {
        SERVICES.iter().map(|(service, _)| *service)
    }

    /// Where customers ask.
    pub fn door(&self) -> SocketAddr {
        self.places[0].public
    }

    /// The services' names and where each serves requests.
    pub fn publics(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> + '_ {
        self.places.iter().map(|place| (place.service, place.public))
    }

    /// The services' names and where operators ask them.
    pub fn admins(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> + '_ {
        self.places.iter().map(|place| (place.service, place.admin))
    }

    /// The services that run, with their process ids.
    pub fn processes(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        self.places.iter().filter_map(|place| Some((place.service, place.child.as_ref()?.id())))
    }

    /// Where the services' logs are.
    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    /// Whether all of them are ready.
    pub fn is_ready(&self) -> bool {
        self.places.iter().all(|place| is_ready(place.admin))
    }

    /// Waits until all are ready.
    ///
    /// # Errors
    /// When one ends, or is not ready within a minute.
    pub fn wait_until_ready(&mut self) -> Result<(), ShopError> {
        let until = Instant::now() + READY;
        while let Some(late) = self.places.iter().find(|place| !is_ready(place.admin)) {
            if Instant::now() > until {
                return Err(ShopError::Unready { service: late.service, log: self.words(late) });
            }
            self.all_live()?;
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// That none of those that were started has ended by itself.
    ///
    /// # Errors
    /// Says which has.
    pub fn all_live(&mut self) -> Result<(), ShopError> {
        let ended = |place: &mut Place| {
            place.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None)))
        };
        match self.places.iter_mut().position(ended) {
            None => Ok(()),
            Some(index) => {
                let place = &self.places[index];
                Err(ShopError::Ended { service: place.service, log: self.words(place) })
            }
        }
    }

    /// Whether a service was started and has not ended.
    pub fn is_alive(&mut self, service: &str) -> bool {
        let child = self.places.iter_mut().find(|place| place.service == service);
        child
            .and_then(|place| place.child.as_mut())
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL. Nothing happens when there is no such service, or it is down.
    pub fn kill(&mut self, service: &str) {
        if let Some(place) = self.places.iter_mut().find(|place| place.service == service) {
            place.kill();
        }
    }

    /// Starts a service that is down, at the same place over the same data, and does not wait for it. Nothing happens
    /// when it runs.
    ///
    /// # Errors
    /// When the program or its log cannot be opened.
    pub fn open(&mut self, service: &str) -> Result<(), ShopError> {
        let Some(index) = self.places.iter().position(|place| place.service == service) else {
            return Ok(());
        };
        if self.places[index].child.is_none() {
            self.places[index].child = Some(self.spawn(&self.places[index])?);
        }
        Ok(())
    }

    fn spawn(&self, place: &Place) -> Result<Child, ShopError> {
        let log = self.logs().join(format!("{}.log", place.service));
        let log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(ShopError::io("a service's log"))?;
        let mut command = (self.command)(place.service);
        command.env("SHOP_DATA", &self.data).env("SHOP_LISTEN", place.public.to_string());
        command.env("SHOP_ADMIN_LISTEN", place.admin.to_string());
        for other in &self.places {
            let url = format!("SHOP_{}_URL", other.service.to_uppercase());
            command.env(url, format!("http://{}", other.public));
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // What a service does not know is a mistake to it.
        for (_, own) in SERVICES.iter().filter(|(service, _)| *service != place.service) {
            own.iter().filter(|name| !place.own.contains(name)).for_each(|name| {
                command.env_remove(name);
            });
        }
        let log = log.try_clone().map(|copy| (copy, log)).map_err(ShopError::io("a log"))?;
        command.stdin(Stdio::null()).stdout(log.0).stderr(log.1);
        // Ctrl-C is for us alone; we tell them in order.
        command.process_group(0).spawn().map_err(|source| {
            let program = command.get_program().into();
            ShopError::Start { program, source }
        })
    }

    /// Lets each finish what it has begun, those that ask before those that are asked; 12 s at most.
    pub fn close(mut self) {
        let until = Instant::now() + DRAIN;
        let mut children: Vec<&mut Child> =
            self.places.iter_mut().filter_map(|place| place.child.as_mut()).collect();
        for child in &children {
            signal(child, Signal::TERM);
        }
        while !children.is_empty() && Instant::now() < until {
            children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            std::thread::sleep(POLL);
        }
    }

    fn words(&self, place: &Place) -> String {
        tail(&self.logs().join(format!("{}.log", place.service)))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.places.iter_mut().for_each(Place::kill);
    }
}

impl Place {
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It fails only when the process has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It fails only when the process has ended.
        let _ = kill_process(pid, signal);
    }
}

fn is_ready(admin: SocketAddr) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&admin, ASK)?;
        stream.set_read_timeout(Some(ASK))?;
        write!(stream, "GET /health/ready HTTP/1.0\r\nHost: {admin}\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(status.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// Public and admin addresses: the ports of docs/shop.md for this process' first shop if all are free, else some that
/// are. A second shop that opens while the first does not listen yet would find them free as well.
fn addresses() -> io::Result<Vec<(SocketAddr, SocketAddr)>> {
    static GIVEN: AtomicBool = AtomicBool::new(false);
    let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let usual: Vec<_> = (FIRST_PORT..)
        .take(SERVICES.len())
        .map(|port| (at(port), at(port + ADMIN_OFFSET)))
        .collect();
    let free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    if !GIVEN.swap(true, Ordering::Relaxed)
        && usual.iter().all(|(public, admin)| free(public) && free(admin))
    {
        return Ok(usual);
    }
    let found = ports::free(2 * SERVICES.len())?;
    Ok(found.chunks_exact(2).map(|pair| (at(pair[0]), at(pair[1]))).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    #[test]
    fn no_two_services_share_a_port_also_of_shops_that_open_at_once() {
        let both = [addresses().unwrap(), addresses().unwrap()].concat();
        let mut all: Vec<SocketAddr> =
            both.iter().flat_map(|(public, admin)| [*public, *admin]).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 28);
    }

    /// Services that say something and end. While one test writes programs no other may start any: a child would hold
    /// them open for writing for a moment, and the kernel runs no program that somebody writes.
    fn scripts(directory: &Path, script: &str) -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        for service in Shop::services() {
            let path = directory.join(service);
            std::fs::write(&path, script).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
        }
        alone
    }

    #[test]
    fn a_service_that_ends_is_named_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let _alone = scripts(directory.path(), "#!/bin/sh\necho \"no $0 today\"\n");
        let mut shop = Shop::start(directory.path(), directory.path(), &[]).unwrap();
        let error = shop.wait_until_ready().unwrap_err().to_string();
        assert!(error.contains("has ended") && error.contains("today"), "{error}");
    }

    #[test]
    fn a_service_is_started_by_the_command_that_was_given_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let _alone = scripts(directory.path(), "#!/bin/sh\necho \"$PLACE: $$\"\nexec sleep 60\n");
        let programs = directory.path().to_owned();
        let by = move |service| {
            let mut command = Command::new("env");
            command.args((service == "orders").then_some("PLACE=apart"));
            command.arg(programs.join(service));
            command
        };
        let mut shop = Shop::start_by(by, directory.path(), &[("PLACE", "beside")]).unwrap();
        for (service, place) in [("orders", "apart"), ("users", "beside")] {
            let pid = shop.processes().find(|(name, _)| *name == service).unwrap().1;
            let said = format!("{place}: {pid}\n");
            let log = shop.logs().join(format!("{service}.log"));
            let until = Instant::now() + DRAIN;
            while std::fs::read_to_string(&log).unwrap_or_default() != said {
                assert!(Instant::now() < until, "{service} did not say {said:?}");
                std::thread::sleep(POLL);
            }
        }
        assert!(shop.is_alive("orders"));
        shop.kill("orders");
        assert!(!shop.is_alive("orders") && shop.is_alive("users"));
    }
}
