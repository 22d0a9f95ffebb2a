//! `cargo xtask dashboards --pictures`: every dashboard drawn from a real Prometheus, for people who look before they
//! read. Grafana cannot be had from the package registries that the tests keep to, so this draws what its panels would
//! show, and says on each picture that it is not Grafana.

mod lines;
mod look;
mod page;
mod plot;
mod scene;
mod shown;
mod stat;
mod table;
mod timeline;
mod units;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{render, sources};
use crate::test::lab::{Folder, TARGET};
use crate::{packages, root, sh};
use scene::Scene;
use shown::Shown;

const PICTURES: &str = "docs/dashboards";
/// Bytes of one picture.
const MOST: u64 = 250_000;
const DEADLINE: Duration = Duration::from_secs(60);

/// Plays a scene of some minutes and draws every dashboard of it.
pub(super) fn run() -> Result<()> {
    packages::ensure(&packages::PICTURES)?;
    let scene = Scene::play()?;
    let end = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64().floor();
    let folder = Folder::new("pictures")?;
    fs::create_dir_all(root().join(PICTURES))?;
    for source in sources()? {
        let dashboard = render(&source)?;
        let instance = scene.leaking().to_string();
        // A dashboard of one target shows the replica that leaks; the others show all there is.
        let chosen: &[(&str, &str)] = if is_of_one(&dashboard) {
            &[("target", TARGET), ("instance", &instance), ("ahead", "60")]
        } else {
            &[]
        };
        let shown = Shown {
            prometheus: &scene.prometheus,
            start: end - scene::SHOWN.as_secs_f64(),
            end,
            variables: Shown::choose(&dashboard, chosen),
        };
        let (html, height) =
            page::draw(&dashboard, &shown, scene::WORDS).with_context(|| source.uid.clone())?;
        let page = folder.path().join(format!("{}.html", source.uid));
        fs::write(&page, html)?;
        let picture = root().join(PICTURES).join(format!("{}.png", source.uid));
        shoot(&page, height, &picture, folder.path())?;
        println!("{}", picture.display());
    }
    Ok(())
}

/// Whether one target is chosen, not any number of them.
fn is_of_one(dashboard: &Value) -> bool {
    look::list(&dashboard["templating"]["list"])
        .any(|variable| variable["name"] == "target" && variable["multi"] == false)
}

fn shoot(page: &Path, height: u32, picture: &Path, folder: &Path) -> Result<()> {
    let mut chromium = Command::new("chromium");
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .args(["--no-first-run", "--disable-dev-shm-usage", "--force-device-scale-factor=1"])
        .arg(format!("--user-data-dir={}", folder.join("browser").display()))
        .arg(format!("--window-size={:.0},{height}", page::WIDTH))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()));
    sh::capture(&mut chromium, DEADLINE)?;
    // Few colours are used: a palette of them makes the file a third.
    let mut pngquant = Command::new("pngquant");
    pngquant.args(["--force", "--strip", "--output"]).args([picture, picture]);
    sh::capture(&mut pngquant, DEADLINE)?;
    let bytes = fs::metadata(picture).context("no picture")?.len();
    ensure!(bytes <= MOST, "{} has {bytes} bytes, {MOST} at most", picture.display());
    Ok(())
}
