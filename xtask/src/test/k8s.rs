//! The manifests: rendered by kubectl, validated against the schemas of Kubernetes, and held to our own rules.

mod flags;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::tally::Tally;
use crate::{root, sh};

const DEADLINE: Duration = Duration::from_secs(60);
const INSTALL: Duration = Duration::from_secs(600);
const REQUIREMENTS: &str = "k8s/requirements.txt";
const VERSION: &str = "1.37";
/// Built-in kinds, with a pod of ours in them.
const BUILT_IN: [&str; 3] = ["k8s/base", "k8s/overlays/slack", "k8s/overlays/cluster"];
/// Custom resources of the Prometheus Operator, which the schemas of Kubernetes do not know.
const MONITORING: &str = "k8s/monitoring";
const TO_JSON: &str = "import json, sys, yaml; \
    json.dump([d for d in yaml.safe_load_all(open(sys.argv[1])) if d], sys.stdout)";

pub(super) fn test(tally: &mut Tally) -> Result<()> {
    let python = Python::install()?;
    for folder in BUILT_IN {
        let rendered = render(folder)?;
        tally
            .check(&format!("{folder}: valid in Kubernetes {VERSION}"), python.validate(&rendered));
        let objects = python.objects(&rendered)?;
        for rule in &rules::RULES {
            tally.check(&format!("{folder}: {}", rule.name), verdict(&(rule.find)(&objects)));
        }
        tally.check(&format!("{folder}: every flag exists"), flags::check(&objects));
        tally.check(
            &format!("{folder}: a misspelt field is refused"),
            refuses_a_misspelling(&python, &rendered),
        );
    }
    let pods = python.objects(&render(BUILT_IN[0])?)?;
    let monitors = python.objects(&render(MONITORING)?)?;
    tally.check(
        &format!("{MONITORING}: the monitors find the watchdog and the service by its name"),
        verdict(&rules::monitor_misses(&monitors, &pods)),
    );
    Ok(())
}

fn verdict(found: &[String]) -> Result<()> {
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

/// Renders a folder to a file under target/.
pub(super) fn render(folder: &str) -> Result<PathBuf> {
    let mut kubectl = Command::new("kubectl");
    let yaml = sh::capture(kubectl.arg("kustomize").arg(root().join(folder)), DEADLINE)?;
    let path = root().join(format!("target/xtask/{}.yaml", folder.replace('/', "-")));
    fs::create_dir_all(path.parent().context("a folder")?)?;
    fs::write(&path, yaml)?;
    Ok(path)
}

/// The schema check can fail: the same manifest with a typing mistake in the sidecar does not pass.
fn refuses_a_misspelling(python: &Python, rendered: &Path) -> Result<()> {
    let yaml = fs::read_to_string(rendered)?;
    let misspelt = yaml.replace("restartPolicy: Always", "restartPolcy: Always");
    ensure!(misspelt != yaml, "there is no restartPolicy to misspell");
    let path = rendered.with_extension("misspelt.yaml");
    fs::write(&path, misspelt)?;
    let error = python.validate(&path).err().context("it passed")?;
    ensure!(error.to_string().contains("restartPolcy"), "refused for another reason: {error}");
    Ok(())
}

/// A virtual environment under target/ with what is pinned in k8s/requirements.txt.
struct Python(PathBuf);

impl Python {
    /// Makes it anew when the pins or the checkout's place changed.
    fn install() -> Result<Self> {
        let folder = root().join("target/xtask/venv");
        let python = Self(folder.join("bin"));
        let pins = fs::read_to_string(root().join(REQUIREMENTS)).context(REQUIREMENTS)?;
        // Its programs begin with the path that they were installed to.
        let made = format!("# in {}\n{pins}", folder.display());
        let installed = folder.join("requirements.txt");
        if fs::read_to_string(&installed).is_ok_and(|text| text == made) {
            return Ok(python);
        }
        sh::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder), INSTALL)?;
        let mut pip = python.command("pip");
        pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]);
        sh::run(pip.arg(root().join(REQUIREMENTS)), INSTALL)?;
        fs::write(installed, made)?;
        Ok(python)
    }

    fn command(&self, program: &str) -> Command {
        Command::new(self.0.join(program))
    }

    fn validate(&self, file: &Path) -> Result<()> {
        let mut validate = self.command("kubernetes-validate");
        sh::capture(validate.args(["-k", VERSION, "--strict"]).arg(file), DEADLINE).map(|_| ())
    }

    fn objects(&self, file: &Path) -> Result<Vec<Value>> {
        let json = sh::capture(self.command("python").args(["-c", TO_JSON]).arg(file), DEADLINE)?;
        Ok(serde_json::from_str(&json)?)
    }
}
