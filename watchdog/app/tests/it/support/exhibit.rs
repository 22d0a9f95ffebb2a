//! A program of the gallery, built where it must be, running, and how the watchdog gets its heap profiles.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{Program, SOON, eventually, shipped};

/// Compiling Go's own library for the first time on a slow machine takes this long.
const BUILD: std::time::Duration = std::time::Duration::from_secs(300);

/// jemalloc as Debian's libjemalloc2 has it, with profiling compiled in.
const JEMALLOC: &str = "libjemalloc.so.2";

/// What the gallery says of its programs.
pub(crate) fn gallery() -> Vec<Value> {
    let output = Command::new(shipped("gallery")).args(["list", "--json"]).output();
    let output = output.expect("the gallery's list");
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    list.as_array().expect("a list").clone()
}

/// A running program of the gallery.
pub(crate) struct Exhibit {
    /// What the gallery says of it.
    pub(crate) truth: Value,
    pub(crate) program: Program,
    /// How the watchdog gets its heap profiles.
    pub(crate) profiles: String,
    _built: TempDir,
}

impl Exhibit {
    /// Starts the program of this name so that it leaks, or handles, `rate` bytes a second.
    pub(crate) async fn start(name: &str, rate: u64) -> Self {
        let truth = gallery().into_iter().find(|truth| truth["name"] == name);
        let truth = truth.unwrap_or_else(|| panic!("the gallery has no {name}"));
        let built = tempfile::tempdir().expect("a directory");
        let (program, profiles) = match truth["language"].as_str() {
            Some("rust") => rust(name, rate).await,
            Some("go") => go(built.path(), name, rate).await,
            Some("c") => c(built.path(), rate).await,
            other => panic!("{name} is in {other:?}: teach this test to start it"),
        };
        Self { truth, program, profiles, _built: built }
    }

    /// Where it serves its heap profile.
    pub(crate) fn heap_url(&self) -> String {
        let (_, address) = self.profiles.split_once('=').expect("an address");
        format!("{address}/debug/pprof/heap")
    }

    /// Part of the name of the function that a report must name first.
    pub(crate) fn culprit(&self) -> &str {
        self.truth["culprits"][0]["function"].as_str().expect("a function")
    }
}

async fn rust(name: &str, rate: u64) -> (Program, String) {
    let mut command = Command::new(shipped("gallery"));
    let program = Program::start(command.arg(name).arg(format!("--rate={rate}")));
    let profiles = format!("--probe=http://{}", admin(&program).await);
    (program, profiles)
}

async fn go(built: &Path, name: &str, rate: u64) -> (Program, String) {
    let path = built.join("gallery-go");
    let mut build = Command::new(go_tool());
    build.args(["build", "-o"]).arg(&path).arg(".").current_dir(sources().join("go"));
    // What is there is enough: nothing may be downloaded.
    build.env("GOTOOLCHAIN", "local").env("GOPROXY", "off").env("GOFLAGS", "-buildvcs=false");
    build_with(&mut build).await;
    let mut command = Command::new(path);
    let program = Program::start(command.arg(name).arg(format!("-rate={rate}")));
    let profiles = format!("--pprof=http://{}", admin(&program).await);
    (program, profiles)
}

async fn c(built: &Path, rate: u64) -> (Program, String) {
    let path = built.join("c-sessions");
    let mut build = Command::new("cc");
    build.args(["-g", "-O2", "-o"]).arg(&path).arg(sources().join("c/leak.c"));
    build_with(&mut build).await;
    let prefix = built.join("profile");
    let mut command = Command::new(path);
    command.arg(rate.to_string()).env("LD_PRELOAD", JEMALLOC).env(
        "MALLOC_CONF",
        format!("prof:true,lg_prof_sample:19,lg_prof_interval:24,prof_prefix:{}", prefix.display()),
    );
    let program = Program::start(&mut command);
    // The loader only warns of a library that is not there.
    let maps = format!("/proc/{}/maps", program.pid());
    let what = format!("{JEMALLOC} in the program: is Debian's libjemalloc2 installed?");
    eventually(&what, SOON, async || {
        std::fs::read_to_string(&maps).is_ok_and(|maps| maps.contains(JEMALLOC)).then_some(())
    })
    .await;
    (program, format!("--dump-files={}", prefix.display()))
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gallery")
}

/// Go as it is on the PATH, else where its own installer puts it.
pub(crate) fn go_tool() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&on_path).chain([PathBuf::from("/usr/local/go/bin")]);
    let tool = places.find_map(|place| Some(place.join("go")).filter(|tool| tool.is_file()));
    tool.expect("no go on the PATH nor in /usr/local/go/bin: install Debian's golang-go")
}

async fn build_with(command: &mut Command) {
    let outcome = Program::run(command, BUILD).await;
    assert_eq!(outcome.code(), Some(0), "{command:?}: {outcome:?}");
}

/// The address in the first line of output.
async fn admin(program: &Program) -> String {
    eventually("the admin port", SOON, async || {
        let text = program.stdout();
        let (line, _) = text.split_once('\n')?;
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        Some(line["admin"].as_str().expect("an address").to_owned())
    })
    .await
}
