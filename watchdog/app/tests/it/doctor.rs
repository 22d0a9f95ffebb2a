//! `oomen doctor`: what is well, what is not, and how it is mended.

use std::process::Command;

use watchdog_core::units::Bytes;

use crate::support::{Outcome, Program, SOON, Service, Shop, free_port, shipped};

async fn doctor(flags: &[&str]) -> Outcome {
    let data = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(shipped("oomen"));
    command.args(["doctor", "--listen=127.0.0.1:0", "--data-dir"]).arg(data.path()).args(flags);
    Program::run(command.env_remove("OOMEN_LIMIT_BYTES"), SOON).await
}

async fn doctor_of(service: &Service) -> Outcome {
    let probe = format!("--probe={}", service.admin);
    doctor(&[&format!("--pid={}", service.pid()), &probe, "--limit=256MiB"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_service_is_found_well() {
    let shop = Shop::new();
    let service = shop.start().await;
    let outcome = doctor_of(&service).await;
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    for part in [
        "ok      the configuration is valid",
        &format!("ok      found {} (pid {})", shop.name, service.pid()),
        "ok      its limit is 256.0 MiB (from explicit)",
        "ok      its binary has symbols",
        "ok      the probe answers, heap profiling is on",
    ] {
        assert!(outcome.stdout.contains(part), "`{part}` in {}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("broken"), "{}", outcome.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_there_every_broken_line_says_how_to_mend_it() {
    let probe = format!("--probe=http://127.0.0.1:{}", free_port());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("--listen={}", taken.local_addr().expect("an address"));
    let mut command = Command::new(shipped("oomen"));
    command.args(["doctor", "--pid=4194304", &probe, &listen, "--data-dir=/proc/nothing"]);
    let outcome = Program::run(&mut command, SOON).await;
    assert_eq!(outcome.code(), Some(1), "{outcome:?}");
    for part in
        ["no process to watch", "the probe does not answer", "cannot listen on", "cannot be kept"]
    {
        assert!(outcome.stdout.contains(part), "`{part}` in {}", outcome.stdout);
    }
    let lines: Vec<_> = outcome.stdout.lines().collect();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.starts_with("ok")) {
        let mend = line.trim_start().starts_with("mend: ")
            || lines.get(index + 1).is_some_and(|next| next.trim_start().starts_with("mend: "));
        assert!(mend, "`{line}` has no remedy: {}", outcome.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_profiling_is_off_is_found_so() {
    let shop = Shop::new();
    let service =
        shop.start_confined(Bytes::from_mib(256), &["env", "_RJEM_MALLOC_CONF=prof:false"]).await;
    let outcome = doctor_of(&service).await;
    assert_eq!(outcome.code(), Some(1), "{outcome:?}");
    assert!(outcome.stdout.contains("heap profiling is off"), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("_RJEM_MALLOC_CONF"), "{}", outcome.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_a_limit_is_found_so() {
    let process = Program::start(Command::new("sleep").arg("600"));
    let outcome = doctor(&[&format!("--pid={}", process.pid())]).await;
    if outcome.stdout.contains("(from cgroup)") {
        // These tests themselves run under a limit, which is then the process's too.
        assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    } else {
        assert_eq!(outcome.code(), Some(1), "{outcome:?}");
        assert!(outcome.stdout.contains("no memory limit is known"), "{}", outcome.stdout);
    }
}
