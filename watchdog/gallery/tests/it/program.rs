//! The program from outside: its list, its first line, and what it says to a mistake.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

fn gallery(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gallery"));
    command.args(arguments).output().expect("it runs")
}

/// Killed when dropped, as it would run for a long time.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start(name: &str) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gallery"));
    let command = command.args([name, "--rate=1000000"]).stdout(Stdio::piped());
    Running(command.spawn().expect("it starts"))
}

fn first_line(running: &mut Running) -> Value {
    let mut line = String::new();
    let output = running.0.stdout.take().expect("its output");
    BufReader::new(output).read_line(&mut line).expect("a line");
    serde_json::from_str(&line).expect("JSON")
}

/// An answer over plain HTTP, head and body.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a deadline");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: gallery\r\nConnection: close\r\n\r\n")
        .expect("asked");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_list_has_each_programs_name_language_and_truth() {
    let output = gallery(&["list", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let two = list.as_array().expect("a list").iter().find(|entry| entry["name"] == "two-leaks");
    let two = two.expect("two leaks");
    assert_eq!((&two["language"], &two["leaks"]), (&"rust".into(), &true.into()));
    assert_eq!(two["culprits"][0]["function"], "file_receipt");
    assert_eq!(two["culprits"][1]["function"], "log_search");
    assert!(two["culprits"][1]["file"].as_str().is_some_and(|file| file.ends_with("two_leaks.rs")));

    let table = String::from_utf8(gallery(&["list"]).stdout).expect("text");
    assert_eq!(table.lines().count(), list.as_array().map_or(0, Vec::len));
}

#[test]
fn the_first_line_says_where_the_probe_answers() {
    let mut running = start("churn");
    let line = first_line(&mut running);
    let admin = line["admin"].as_str().expect("an address");
    let statistics = get(admin, "/debug/allocator");
    assert!(statistics.starts_with("HTTP/1.1 200"), "{statistics}");
    let profile = get(admin, "/debug/pprof/heap");
    assert!(profile.contains("heap_v2/524288"), "{}", &profile[..profile.len().min(200)]);
}

#[test]
fn a_program_in_another_language_says_how_it_is_built() {
    for (name, source) in [("go-churn", "go/main.go"), ("c-sessions", "c/leak.c")] {
        let output = gallery(&[name]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(source), "{text}");
        assert!(text.contains("README.md"), "{text}");
    }
}

#[test]
fn without_a_program_it_tells_how_to_ask() {
    let output = gallery(&[]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("unbounded-cache") && text.contains("list"), "{text}");
}
