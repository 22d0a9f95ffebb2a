//! The guest's root: busybox, the shipped programs with their libraries, and the script that it all is about.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::sh;
use crate::test::lab::program;

const INIT: &str = include_str!("init.sh");
const PROGRAMS: [&str; 3] = ["oomen", "recommendations", "slack-server"];
/// Mount points, and where programs write.
const FOLDERS: [&str; 8] = ["bin", "dev", "proc", "run", "sys", "tmp", "var", "var/tmp"];
const DEADLINE: Duration = Duration::from_secs(60);

/// Packs it, without compression: unpacking would take the guest longer than reading.
pub(super) fn build(work: &Path) -> Result<PathBuf> {
    let tree = work.join("root");
    for folder in FOLDERS {
        fs::create_dir_all(tree.join(folder))?;
    }
    let init = tree.join("init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    let busybox = sh::capture(Command::new("sh").args(["-c", "command -v busybox"]), DEADLINE)
        .context("busybox is missing")?;
    copy(Path::new(busybox.trim()), &tree.join("bin/busybox"))?;
    for name in PROGRAMS {
        let program = program(name)?;
        let listing = sh::capture(Command::new("ldd").arg(&program), DEADLINE)?;
        for library in libraries(&listing) {
            copy(Path::new(library), &tree.join(library.trim_start_matches('/')))?;
        }
        copy(&program, &tree.join("bin").join(name))?;
    }
    let pack = "find . | busybox cpio -o -H newc > ../initramfs";
    sh::capture(Command::new("sh").args(["-c", pack]).current_dir(&tree), DEADLINE)?;
    Ok(work.join("initramfs"))
}

/// The files that `ldd` names, the loader among them.
fn libraries(ldd: &str) -> BTreeSet<&str> {
    ldd.split_whitespace().filter(|word| word.starts_with('/')).collect()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).map(drop).with_context(|| format!("copying {}", from.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_found_and_what_is_no_file_is_not() {
        let listing = "\tlinux-vdso.so.1 (0x00007fb54cdc0000)\n\
            \tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007fb54ccae000)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007fb54cdc2000)\n";
        let expected = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(libraries(listing), BTreeSet::from(expected));
    }
}
