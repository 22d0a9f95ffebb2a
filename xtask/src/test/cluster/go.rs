//! A Go as new as Kubernetes needs: the machine's own, or the toolchain that Go's module proxy has, fetched by whatever Go
//! is there and kept under target/.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{root, sh};

/// The first that builds what go.mod names.
const NEEDED: (u32, u32) = (1, 26);
/// The toolchain that is fetched. Its checksums for each processor are what `go mod download -json` says.
const VERSION: &str = "go1.26.8";
const TOOLCHAIN: &str = "golang.org/toolchain";
const SUMS: [(&str, &str, &str); 2] = [
    ("x86_64", "amd64", "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM="),
    ("aarch64", "arm64", "h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc="),
];
/// Where Go's own packages put it.
const USUAL: &str = "/usr/local/go/bin";
const DEADLINE: Duration = Duration::from_secs(60);
/// Seventy megabytes.
const FETCH: Duration = Duration::from_secs(900);

/// A Go that is new enough.
pub(super) struct Go {
    bin: PathBuf,
}

impl Go {
    /// Finds one, or fetches it.
    pub(super) fn ensure() -> Result<Self> {
        let found: Vec<_> = places().filter(|bin| bin.join("go").is_file()).collect();
        if let Some(bin) = found.iter().find(|bin| is_new(&bin.join("go"))) {
            return Ok(Self { bin: bin.clone() });
        }
        let any = found.first().context("there is no go: install Debian's golang-go")?;
        let bin = fetch(&any.join("go")).context("fetching a newer Go than the machine has")?;
        ensure!(is_new(&bin.join("go")), "what was fetched to {} does not run", bin.display());
        Ok(Self { bin })
    }

    /// Go in this folder; what it starts finds the same.
    pub(super) fn command(&self, folder: &Path) -> Result<Command> {
        let others = env::var_os("PATH").unwrap_or_default();
        let path =
            env::join_paths([self.bin.clone()].into_iter().chain(env::split_paths(&others)))?;
        let mut go = Command::new(self.bin.join("go"));
        go.current_dir(folder).env("PATH", path).env("GOWORK", "off").env("GOTOOLCHAIN", "local");
        Ok(go)
    }
}

fn places() -> impl Iterator<Item = PathBuf> {
    let on_path = env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = env::split_paths(&on_path).collect();
    on_path.into_iter().chain([PathBuf::from(USUAL)])
}

fn is_new(go: &Path) -> bool {
    let mut ask = Command::new(go);
    ask.args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").current_dir("/");
    sh::capture(&mut ask, DEADLINE).is_ok_and(|said| version(&said) >= Some(NEEDED))
}

/// `go1.26.8` as (1, 26).
fn version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.trim().strip_prefix("go")?.split('.');
    let number = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().ok()
    };
    Some((number(parts.next()?)?, number(parts.next()?)?))
}

/// The folder of the fetched toolchain's programs.
fn fetch(go: &Path) -> Result<PathBuf> {
    let kept = root().join("target/xtask/go");
    let Some((_, processor, sum)) = SUMS.iter().find(|(name, ..)| *name == env::consts::ARCH)
    else {
        bail!("no checksum of Go's toolchain is known for {}", env::consts::ARCH);
    };
    let module = format!("{TOOLCHAIN}@v0.0.1-{VERSION}.linux-{processor}");
    let home = kept.join(&module);
    // The last thing that is made.
    let whole = home.join("bin/.runs");
    if whole.is_file() {
        return Ok(home.join("bin"));
    }
    fs::create_dir_all(&kept)?;
    let mut download = Command::new(go);
    download
        .args(["mod", "download", "-json", &module])
        .current_dir(&kept)
        .env("GOMODCACHE", &kept)
        .env("GOWORK", "off")
        // Or nobody could remove target/.
        .env("GOFLAGS", "-modcacherw")
        .env("GOTOOLCHAIN", "local")
        // Its checksum is above.
        .env("GONOSUMDB", TOOLCHAIN);
    let said: Value = serde_json::from_str(&sh::capture(&mut download, FETCH)?)?;
    ensure!(said["Sum"] == *sum, "{module} has the checksum {}, not {sum}", said["Sum"]);
    let tools = home.join("pkg/tool").join(format!("linux_{processor}"));
    for folder in [home.join("bin"), tools] {
        runnable(&folder)?;
    }
    // The archive, which nothing needs any more.
    fs::remove_dir_all(kept.join("cache"))?;
    fs::write(whole, VERSION)?;
    Ok(home.join("bin"))
}

/// A module has no programs, so its files come without the right to be run.
fn runnable(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        fs::set_permissions(entry?.path(), fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        assert_eq!(version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(version("go1.27rc1"), Some((1, 27)));
        assert!(version("go1.19.8") < Some(NEEDED) && version("go1.9") < Some(NEEDED));
        assert!(version("go2.0") > Some(NEEDED));
        assert_eq!(version("devel"), None);
        assert!(version("devel") < Some(NEEDED));
    }
}
