//! Service and watchdog as the same user without any capability, as in a pod.

use std::os::unix::fs::chown;
use std::process::Command;

use watchdog_core::units::Bytes;

use crate::support::{CULPRIT, Shop, Watchdog};

const NOBODY: u32 = 65_534;
const SETPRIV: [&str; 9] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--bounding-set=-all",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    "--no-new-privs",
    "--",
];

#[tokio::test(flavor = "multi_thread")]
async fn without_privileges_it_samples_reads_the_limit_and_names_the_function() {
    let shop = Shop::new();
    let service = shop.start_confined(Bytes::from_mib(128), &SETPRIV).await;
    let data = tempfile::tempdir().expect("a directory");
    chown(data.path(), Some(NOBODY), Some(NOBODY)).expect("given away");
    let mut command = Command::new(SETPRIV[0]);
    command.args(&SETPRIV[1..]).arg(shop.beside("oomen"));
    let flags = [format!("--process={}", shop.name), format!("--probe={}", service.admin)];
    let watchdog =
        Watchdog::start_as(&mut command, data.path(), &flags.each_ref().map(String::as_str)).await;
    for pid in [service.pid(), watchdog.program.pid()] {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a status");
        assert!(status.contains("Uid:\t65534\t65534\t65534\t65534"), "{status}");
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        assert!(status.contains("CapBnd:\t0000000000000000"), "{status}");
    }

    watchdog.has_baseline(&shop.name).await;
    let target = watchdog.api(&format!("targets/{}", shop.name)).await;
    assert_eq!(target["limit"], Bytes::from_mib(128).0, "{target:#}");
    assert_eq!(target["limit_source"], "cgroup", "{target:#}");
    service.leak(8_000_000).await;
    let incident = watchdog.incident("a name", |incident| !incident["culprit"].is_null()).await;
    service.leak(0).await;
    assert_eq!(incident["culprit"]["frame"]["function"], CULPRIT, "{incident:#}");
}
