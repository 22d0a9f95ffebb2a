//! The processes that are measured do what the measurement takes them to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may fail the test"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

fn worker(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask-heap"));
    command.arg("work").args(words).env_remove("OOMEN_RECORDER_DIR");
    command
}

fn answer(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}{complaint}", output.status);
    serde_json::from_str(&said).unwrap()
}

/// A worker that is talked to; it does not outlive the test.
struct Talking {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Talking {
    fn start(words: &[&str]) -> Self {
        let mut command = worker(words);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, output: BufReader::new(output) }
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    fn ask(&mut self, line: &str) -> Value {
        writeln!(self.input, "{line}").unwrap();
        self.hear()
    }

    fn get(port: &Value, path: &str) -> Vec<u8> {
        let port = u16::try_from(port.as_u64().unwrap()).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let body = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        all.split_off(body)
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn convert(dump: &Path, more: &[&str]) -> Value {
    let out = dump.with_extension("pb.gz");
    let mut command = worker(&["convert"]);
    let converted = answer(&command.args(more).arg(dump).arg(&out).output().unwrap());
    let profile = fs::read(out).unwrap();
    assert_eq!(profile[..2], [0x1f, 0x8b], "gzip");
    converted
}

#[test]
fn a_process_holds_as_many_stacks_as_it_is_told_and_each_tool_reads_its_dump() {
    let directory = tempfile::tempdir().unwrap();
    let mut live = Talking::start(&["live", "--stacks", "400"]);
    let port = live.hear()["port"].clone();
    let dump = directory.path().join("dump.heap");
    fs::write(&dump, Talking::get(&port, "/debug/pprof/heap")).unwrap();

    let unnamed = convert(&dump, &["--by", "us"]);
    let stacks = unnamed["stacks"].as_u64().unwrap();
    // Seven of eight are sampled, by chance; the program's own beside them.
    assert!((370..440).contains(&stacks), "{stacks}");
    assert_eq!(convert(&dump, &["--by", "pprof-util"])["stacks"].as_u64(), Some(stacks));
    let names = directory.path().join("names");
    let named = convert(&dump, &["--by", "us", "--names", names.to_str().unwrap()]);
    let (all, with) = (named["addresses"].as_u64().unwrap(), named["named"].as_u64().unwrap());
    assert!(with > 40 && with * 10 > all * 9, "{with} of {all}");

    let mut accuse = worker(&["accuse", "--names"]);
    accuse.arg(&names).args([&dump, &dump, &dump]);
    let refused = accuse.output().unwrap();
    let why = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && why.contains("no function named"), "{why}");
}

#[test]
fn a_process_tells_how_long_its_worker_stood_still_and_takes_its_own_profile() {
    let mut live = Talking::start(&["live", "--stacks", "50"]);
    live.hear();
    assert_eq!(live.ask("work"), "working");
    let longest = live.ask("mark")["longest_stall"].as_f64().unwrap();
    assert!((0.0..60.0).contains(&longest), "{longest}");
    let profile = live.ask("pprof");
    assert!(profile["bytes"].as_u64().unwrap() > 100, "{profile}");
}

#[test]
fn the_service_counts_what_the_load_asks() {
    let mut cart = Talking::start(&["cart"]);
    let port = cart.hear()["port"].clone();
    let address = format!("127.0.0.1:{port}");
    let mut load = worker(&["load", "--address", &address, "--path", "/cart"]);
    load.args(["--connections", "2", "--milliseconds", "50"]);
    let answered = answer(&load.output().unwrap()).as_u64().unwrap();
    assert!(answered > 0);
    assert_eq!(Talking::get(&port, "/served"), answered.to_string().as_bytes());
    let one: Value = serde_json::from_slice(&Talking::get(&port, "/cart")).unwrap();
    assert_eq!(one["items"].as_array().unwrap().len(), 20);
}

#[test]
fn the_loop_tells_what_an_allocation_costs() {
    let spun = answer(&worker(&["spin", "--threads", "2", "--steps", "20000"]).output().unwrap());
    let nanoseconds = spun["nanoseconds"].as_f64().unwrap();
    assert!((1.0..100_000.0).contains(&nanoseconds), "{nanoseconds}");
}
