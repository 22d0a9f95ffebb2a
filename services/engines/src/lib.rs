//! The shop as processes, and real Postgres, RabbitMQ and Redis for it: each in a directory of its own on a free port of loopback, killed with
//! SIGKILL and started again over the same data, gone when the value is dropped or the program that holds it dies.
//!
//! ```no_run
//! use services_engines::Engine;
//!
//! # fn main() -> Result<(), services_engines::EngineError> {
//! let mut postgres = Engine::postgres()?;
//! println!("{}", postgres.url());
//! postgres.kill();
//! postgres.start()?;
//! # Ok(())
//! # }
//! ```
//!
//! All calls block; in async code call them in `spawn_blocking`, or before it matters.

pub mod fault;
mod kind;
mod ports;
mod process;
mod shop;

use std::fs::File;
use std::io::{self, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use kind::Kind;
use process::Process;
pub use shop::{Shop, ShopError};

/// RabbitMQ takes some 10 s on two busy cores; Postgres that recovers takes about one.
const START: Duration = Duration::from_secs(120);
const DEATH: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// Why an engine does not run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A program is not there.
    #[error("{program} is not installed; as root: apt-get install {package}")]
    Missing {
        /// The program.
        program: &'static str,
        /// Debian's package that brings it.
        package: &'static str,
    },
    /// The machine would not.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// It started, and does not answer.
    #[error("{engine} does not answer; its last words:\n{log}")]
    Silent {
        /// Which.
        engine: &'static str,
        /// The end of its log.
        log: String,
    },
}

impl EngineError {
    fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// A server that runs until it is killed or dropped.
pub struct Engine {
    kind: Kind,
    directory: TempDir,
    /// The one it is reached at, and two more for those that need some to find themselves.
    ports: [u16; 3],
    process: Option<Process>,
}

impl Engine {
    /// Starts a Postgres with an empty database and its own settings.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub fn postgres() -> Result<Self, EngineError> {
        Self::new(Kind::Postgres)
    }

    /// Starts a RabbitMQ without plugins.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub fn rabbitmq() -> Result<Self, EngineError> {
        Self::new(Kind::RabbitMq)
    }

    /// Starts a Redis that keeps nothing on disk.
    ///
    /// # Errors
    /// When it is not installed or does not come up.
    pub fn redis() -> Result<Self, EngineError> {
        Self::new(Kind::Redis)
    }

    fn new(kind: Kind) -> Result<Self, EngineError> {
        let directory = tempfile::Builder::new()
            .prefix(kind.name())
            .tempdir()
            .map_err(EngineError::io("a temporary directory"))?;
        let ports = ports::free(3).map_err(EngineError::io("free ports"))?;
        let ports = [ports[0], ports[1], ports[2]];
        kind.prepare(directory.path())?;
        let mut engine = Self { kind, directory, ports, process: None };
        engine.start()?;
        Ok(engine)
    }

    /// Where it is reached, as `DATABASE_URL`, `AMQP_URL` or `REDIS_URL`.
    pub fn url(&self) -> String {
        self.kind.url(self.port())
    }

    /// The port on loopback.
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// SIGKILL to the server and all its children; what is not on disk is lost. Nothing happens when it is down.
    pub fn kill(&mut self) {
        self.process = None;
        // The kernel takes a moment to take a large process down.
        let deadline = Instant::now() + DEATH;
        while self.is_up() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }

    /// Whether its port is open.
    pub fn is_up(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port())).is_ok()
    }

    /// Starts it again over the same data and waits until it answers. Nothing happens when it runs.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(&mut self) -> Result<(), EngineError> {
        let deadline = Instant::now() + START;
        while !(self.process.as_mut().is_some_and(Process::is_alive)
            && self.kind.answers(self.port()))
        {
            if Instant::now() > deadline {
                let log = tail(&self.log_path());
                return Err(EngineError::Silent { engine: self.kind.name(), log });
            }
            // After a SIGKILL, Postgres refuses to start until the last of its orphans is gone.
            if !self.process.as_mut().is_some_and(Process::is_alive) {
                self.process = None;
                self.process = Some(self.spawn()?);
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn spawn(&self) -> Result<Process, EngineError> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .map_err(EngineError::io("the log"))?;
        let command = self.kind.command(self.directory.path(), self.ports)?;
        Process::spawn(&command, self.directory.path(), log)
            .map_err(EngineError::io(self.kind.name()))
    }

    fn log_path(&self) -> std::path::PathBuf {
        self.directory.path().join("engine.log")
    }
}

impl Drop for Engine {
    /// Dead before its directory goes: a server that still writes would leave parts of it behind.
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last 2 KiB of a log, without the backtrace that may stand at its end; what cannot be read is said instead.
fn tail(path: &Path) -> String {
    let mut text = Vec::new();
    if let Err(error) = File::open(path).and_then(|mut file| file.read_to_end(&mut text)) {
        return format!("no log: {error}");
    }
    let text = String::from_utf8_lossy(&text);
    let end = text.rfind("\nStack backtrace:").unwrap_or(text.len());
    text[text[..end].floor_char_boundary(end.saturating_sub(2048))..end].to_owned()
}
