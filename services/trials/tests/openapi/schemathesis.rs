//! Schemathesis from PyPI: installed under target/ once, and run for a service.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// At once: each waits for its service about as long as it computes.
const LANES: usize = 2;
const REQUIREMENTS: &str = "requirements.txt";

/// A virtual environment with what is pinned in requirements.txt.
pub(crate) struct Schemathesis {
    programs: PathBuf,
}

impl Schemathesis {
    /// Makes it anew when the pins or the checkout's place changed.
    pub(crate) fn install() -> Self {
        let target = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target"));
        fs::create_dir_all(target.join("xtask")).unwrap();
        let folder = target.canonicalize().unwrap().join("xtask/schemathesis");
        let programs = folder.join("bin");
        let requirements = here().join(REQUIREMENTS);
        let pins = fs::read_to_string(&requirements).unwrap();
        // Its programs begin with the path that they were installed to.
        let made = format!("# in {}\n{pins}", folder.display());
        let installed = folder.join(REQUIREMENTS);
        if fs::read_to_string(&installed).is_ok_and(|text| text == made) {
            return Self { programs };
        }
        needed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let mut pip = Command::new(programs.join("pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        needed(pip.arg(requirements));
        fs::write(installed, made).unwrap();
        Self { programs }
    }

    /// Tries out all services, some at once; what it reports of those that failed.
    pub(crate) fn try_out(
        &self,
        services: &[(&str, SocketAddr)],
        door: SocketAddr,
        key: &str,
    ) -> Vec<String> {
        let queue = std::sync::Mutex::new(services.iter());
        let next = || queue.lock().unwrap().next();
        let lane = || -> Vec<String> {
            let all = std::iter::from_fn(next);
            all.filter_map(|(service, address)| self.run(service, *address, door, key).err())
                .collect()
        };
        std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
            lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
        })
    }

    fn run(
        &self,
        service: &str,
        address: SocketAddr,
        door: SocketAddr,
        key: &str,
    ) -> Result<(), String> {
        let document = format!("http://{address}/openapi.json");
        let mut command = Command::new(self.programs.join("schemathesis"));
        command.arg("--config-file").arg(here().join("schemathesis.toml"));
        command.args(["run", &document, "--no-color"]);
        command.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", here());
        command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(std::env::temp_dir());
        command.env("SHOP_DOOR", format!("http://{door}"));
        command.env("SHOP_SERVICE", service).env("SHOP_INTERNAL_KEY", key);
        let output = command.output().unwrap();
        if output.status.success() {
            return Ok(());
        }
        let [said, complained] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        Err(format!("=== {service}\n{said}{complained}"))
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi")
}

fn needed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed; it needs python3 with its venv module (Debian: python3-venv) and PyPI:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}
