//! How each server is set up, started and asked whether it is there.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::EngineError;
use crate::process::Program;

const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const ANSWER: Duration = Duration::from_secs(2);

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Postgres,
    RabbitMq,
    Redis,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
        }
    }

    pub(crate) fn url(self, port: u16) -> String {
        match self {
            Self::Postgres => format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            Self::RabbitMq => format!("amqp://guest:guest@127.0.0.1:{port}/%2f"),
            Self::Redis => format!("redis://127.0.0.1:{port}/0"),
        }
    }

    /// What is done once, before the first start.
    pub(crate) fn prepare(self, directory: &Path) -> Result<(), EngineError> {
        match self {
            Self::Postgres => init_postgres(directory),
            Self::RabbitMq if !Path::new(RABBITMQ).exists() => {
                Err(EngineError::Missing { program: RABBITMQ, package: "rabbitmq-server" })
            }
            Self::RabbitMq => Ok(()),
            Self::Redis if !on_path("redis-server") => {
                Err(EngineError::Missing { program: "redis-server", package: "redis-server" })
            }
            Self::Redis => Ok(()),
        }
    }

    pub(crate) fn command(self, directory: &Path, ports: [u16; 3]) -> Result<Program, EngineError> {
        match self {
            Self::Postgres => postgres(directory, ports[0]),
            Self::RabbitMq => Ok(rabbitmq(directory, ports)),
            Self::Redis => Ok(redis(directory, ports[0])),
        }
    }

    /// Whether the server itself answers: a port that is open says too little.
    pub(crate) fn answers(self, port: u16) -> bool {
        match self {
            Self::Postgres => pg_isready(port),
            Self::RabbitMq => ask(port, b"AMQP\0\0\x09\x01").is_ok_and(|first| first == 1),
            Self::Redis => ask(port, b"PING\r\n").is_ok_and(|first| first == b'+'),
        }
    }
}

fn ask(port: u16, question: &[u8]) -> io::Result<u8> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(question)?;
    let mut first = [0];
    stream.read_exact(&mut first)?;
    Ok(first[0])
}

fn on_path(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// The newest of Debian's: it keeps them beside each other and off the PATH.
fn postgres_program(name: &str) -> Result<PathBuf, EngineError> {
    let missing = EngineError::Missing { program: "postgres", package: "postgresql" };
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = folders.map(|entry| entry.path()).max_by_key(version).ok_or(missing)?;
    Ok(newest.join("bin").join(name))
}

/// Postgres refuses to run as root; Debian's package brings a user for it.
fn postgres_user() -> Result<Option<(u32, u32)>, EngineError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let accounts =
        std::fs::read_to_string("/etc/passwd").map_err(EngineError::io("/etc/passwd"))?;
    let account = accounts.lines().find_map(|line| {
        let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    account.map(Some).ok_or(EngineError::Missing { program: "postgres", package: "postgresql" })
}

fn init_postgres(directory: &Path) -> Result<(), EngineError> {
    use std::os::unix::process::CommandExt as _;

    let mut command = Command::new(postgres_program("initdb")?);
    if let Some((user, group)) = postgres_user()? {
        std::os::unix::fs::chown(directory, Some(user), Some(group))
            .map_err(EngineError::io("chown to postgres"))?;
        command.uid(user).gid(group);
    }
    command.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]);
    let output = command
        .arg("-D")
        .arg(directory.join("data"))
        .current_dir(directory)
        .output()
        .map_err(EngineError::io("initdb"))?;
    if output.status.success() {
        return Ok(());
    }
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(EngineError::Silent { engine: "initdb", log })
}

fn postgres(directory: &Path, port: u16) -> Result<Program, EngineError> {
    let settings = [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        "unix_socket_directories=".to_owned(),
        "max_connections=200".to_owned(),
    ];
    let mut words = vec![postgres_program("postgres")?.into_os_string(), "-D".into()];
    words.push(directory.join("data").into_os_string());
    words.extend(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
    Ok(Program { words, environment: Vec::new(), user: postgres_user()? })
}

fn pg_isready(port: u16) -> bool {
    let Ok(program) = postgres_program("pg_isready") else { return false };
    let mut command = Command::new(program);
    command.args(["-q", "-h", "127.0.0.1", "-U", "postgres", "-p", &port.to_string()]);
    command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Erlang's port mapper would stay behind as a daemon if the node started it; this one is in our process group.
fn rabbitmq(directory: &Path, [port, epmd, nodes]: [u16; 3]) -> Program {
    let script = format!("epmd -address 127.0.0.1 -port {epmd} & exec {RABBITMQ}");
    let path = |name: &str| directory.join(name).into_os_string();
    let mut environment = vec![
        ("HOME", directory.as_os_str().to_owned()),
        ("ERL_EPMD_ADDRESS", OsString::from("127.0.0.1")),
        ("ERL_EPMD_PORT", epmd.to_string().into()),
        ("RABBITMQ_NODENAME", format!("test-{port}@localhost").into()),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".into()),
        ("RABBITMQ_NODE_PORT", port.to_string().into()),
        ("RABBITMQ_DIST_PORT", nodes.to_string().into()),
        // Idle schedulers that spin would take the core from what is tested.
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none".into()),
    ];
    let places = [
        ("RABBITMQ_MNESIA_BASE", "mnesia"),
        ("RABBITMQ_LOG_BASE", "log"),
        ("RABBITMQ_CONF_ENV_FILE", "none.conf"),
        ("RABBITMQ_CONFIG_FILE", "rabbitmq"),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
        ("RABBITMQ_GENERATED_CONFIG_DIR", "config"),
        ("RABBITMQ_PID_FILE", "pid"),
    ];
    environment.extend(places.map(|(name, place)| (name, path(place))));
    Program { words: ["sh".into(), "-c".into(), script.into()].into(), environment, user: None }
}

fn redis(directory: &Path, port: u16) -> Program {
    let port = port.to_string();
    let mut words: Vec<OsString> =
        ["redis-server", "--bind", "127.0.0.1", "--port", &port].map(OsString::from).into();
    words.extend(["--save", "", "--appendonly", "no", "--dir"].map(OsString::from));
    words.push(directory.as_os_str().to_owned());
    Program { words, environment: Vec::new(), user: None }
}
