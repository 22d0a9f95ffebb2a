//! The whole path on cgroup v2: a virtual machine in which the kernel kills for real, whatever this machine has.

mod console;
mod initramfs;
mod judge;
mod kernel;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::lab::Folder;
use super::tally::Tally;
use crate::packages::Package;
use crate::sh;
use console::Console;

/// What the guest is made of and runs on, beside the kernel.
pub(super) const PACKAGES: [Package; 2] = [
    Package {
        name: "qemu-system-x86",
        probe: &["qemu-system-x86_64", "--version"],
        why: "runs a kernel with cgroup v2",
    },
    Package {
        name: "busybox-static",
        // A busybox with libraries of its own would not start in the guest.
        probe: &["sh", "-c", "busybox true && ! ldd \"$(command -v busybox)\""],
        why: "is the guest's userland",
    },
];

/// The guest gives up by itself before this, and says for what it waited.
const DEADLINE: Duration = Duration::from_secs(480);
/// What ends QEMU: power-off, or a panic. Only errors of the kernel's reach the console, as its messages would break
/// our lines. On ramfs the programs' own pages count as those of files, as on a disk; on tmpfs they would be shared
/// memory, which the kernel cannot drop.
const KERNEL_OPTIONS: &str = "console=ttyS0 panic=-1 loglevel=3 cgroup_no_v1=all rootfstype=ramfs";

pub(super) fn test(tally: &mut Tally) -> Result<()> {
    // Emulation is of x86-64, and the guest runs the programs that were built for this machine.
    ensure!(std::env::consts::ARCH == "x86_64", "the proof on cgroup v2 needs an x86-64 machine");
    let folder = Folder::new("v2")?;
    let kernel = kernel::image(folder.path())?;
    let initramfs = initramfs::build(folder.path())?;
    let log = folder.path().join("console");
    let ended = boot(&kernel, &initramfs, &log);
    let console = Console::read(&log).context("the guest's console")?;
    let verdicts = judge::verdicts(&console);
    let failed = ended.is_err() || verdicts.iter().any(|(_, verdict)| verdict.is_err());
    tally.check("cgroup v2: the guest boots and powers off", ended);
    for (name, verdict) in verdicts {
        tally.check(&format!("cgroup v2: {name}"), verdict);
    }
    if failed {
        println!("the guest's console ends:\n{}", console.tail());
    }
    Ok(())
}

fn boot(kernel: &Path, initramfs: &Path, log: &Path) -> Result<()> {
    // So that there is a console to read whatever becomes of QEMU.
    fs::write(log, "")?;
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024", "-no-reboot"])
        .args(["-nodefaults", "-display", "none", "-append", KERNEL_OPTIONS, "-serial"])
        .arg(format!("file:{}", log.display()))
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs);
    println!("booting {}; about a minute", kernel.display());
    sh::capture(&mut qemu, DEADLINE).map(drop)
}
