//! A kernel to boot: Debian's for virtual machines, downloaded once and kept under target/.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{packages, root, sh};

/// Always depends on the newest kernel; everything the guest needs is built in, no module is loaded.
const NEWEST: &str = "linux-image-cloud-amd64";
const KEPT: &str = "target/xtask/vmlinuz";
const DEADLINE: Duration = Duration::from_secs(300);

/// Where the kernel's image is; `work` is a folder for what leads to it.
pub(super) fn image(work: &Path) -> Result<PathBuf> {
    let kept = root().join(KEPT);
    if !kept.is_file() {
        let unpacked = unpack(work).with_context(|| {
            format!("no kernel to boot. By hand: put a Debian kernel's /boot/vmlinuz-… at {KEPT}")
        })?;
        // Moved in whole, so that what is there is never half a kernel.
        fs::rename(&unpacked, &kept).with_context(|| format!("keeping {}", kept.display()))?;
    }
    Ok(kept)
}

fn unpack(work: &Path) -> Result<PathBuf> {
    // Images of Debian in containers come without lists of packages.
    packages::update()?;
    let depends = sh::capture(Command::new("apt-cache").args(["depends", NEWEST]), DEADLINE)?;
    let package = dependency(&depends).with_context(|| format!("{NEWEST} depends on no kernel"))?;
    sh::run(Command::new("apt-get").args(["-q", "download", package]).current_dir(work), DEADLINE)?;
    let archive = only(work, |name| name.ends_with(".deb"))?;
    let tree = work.join("kernel");
    sh::run(Command::new("dpkg").arg("-x").arg(&archive).arg(&tree), DEADLINE)?;
    only(&tree.join("boot"), |name| name.starts_with("vmlinuz-"))
}

/// The kernel's package among the lines of `apt-cache depends`.
fn dependency(depends: &str) -> Option<&str> {
    let dependencies = depends.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    dependencies.into_iter().find(|package| package.starts_with("linux-image-"))
}

fn only(folder: &Path, is_it: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    entries
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_str().is_some_and(&is_it))
        .map(|entry| entry.path())
        .with_context(|| format!("what should be in {} is not", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_what_the_newest_depends_on() {
        let text = "linux-image-cloud-amd64\n  Depends: linux-base\n  Depends: linux-image-6.1.0-9-cloud-amd64\n";
        assert_eq!(dependency(text), Some("linux-image-6.1.0-9-cloud-amd64"));
        assert_eq!(dependency("linux-image-cloud-amd64\n  Suggests: linux-image-x\n"), None);
    }
}
