//! `cargo xtask dashboards`: writes Grafana's JSON in dashboards/ from the sources in dashboards/source/, and pictures.

mod field;
mod panel;
mod pictures;
pub(crate) mod source;
mod variables;
mod words;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::root;
use source::{Annotation, Dashboard, Tag};

const FOLDER: &str = "dashboards";
const SOURCES: &str = "dashboards/source";
/// Grafana 10.3's; later ones migrate it when they load it.
const SCHEMA: u64 = 39;
const RUNBOOKS: &str = "https://github.com/oomen-rs/oomen/tree/main/alerts/runbooks";

/// What to write.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Play a leak of some minutes and draw every dashboard of it into docs/dashboards/ as well.
    #[arg(long)]
    pictures: bool,
}

/// Writes every dashboard and says which.
pub(crate) fn run(options: &Options) -> Result<()> {
    for dashboard in sources()? {
        let path = path(&dashboard);
        fs::write(&path, text(&dashboard)?).with_context(|| path.display().to_string())?;
        println!("{}", path.display());
    }
    if options.pictures {
        pictures::run()?;
    }
    Ok(())
}

/// The sources, by their uid.
pub(crate) fn sources() -> Result<Vec<Dashboard>> {
    let mut found = Vec::new();
    for path in files(SOURCES, "toml")? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let read = toml::from_str::<Dashboard>(&text);
        found.push(read.with_context(|| path.display().to_string())?);
    }
    ensure!(!found.is_empty(), "{SOURCES}/ has no source");
    found.sort_by(|a, b| a.uid.cmp(&b.uid));
    Ok(found)
}

/// Refuses a dashboard that no source gives.
pub(crate) fn check_files() -> Result<()> {
    let known: Vec<_> = sources()?.iter().map(path).collect();
    let stray: Vec<_> =
        files(FOLDER, "json")?.into_iter().filter(|path| !known.contains(path)).collect();
    ensure!(stray.is_empty(), "{stray:?}: no source in {SOURCES}/ gives it");
    Ok(())
}

fn files(folder: &str, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root().join(folder)).context(folder.to_owned())?;
    let paths: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == extension)).collect())
}

/// Refuses a dashboard whose file is not what its source gives.
pub(crate) fn check(dashboard: &Dashboard) -> Result<()> {
    let path = path(dashboard);
    let written = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    ensure!(
        written == text(dashboard)?,
        "{FOLDER}/{}.json is not what its source gives; run `cargo xtask dashboards`",
        dashboard.uid
    );
    Ok(())
}

fn path(dashboard: &Dashboard) -> PathBuf {
    root().join(FOLDER).join(format!("{}.json", dashboard.uid))
}

fn text(dashboard: &Dashboard) -> Result<String> {
    Ok(serde_json::to_string_pretty(&render(dashboard)?)? + "\n")
}

/// The dashboard as Grafana reads it.
pub(crate) fn render(dashboard: &Dashboard) -> Result<Value> {
    let variables = dashboard.variables.iter().map(|variable| variables::render(*variable));
    let annotations = dashboard.annotations.iter().enumerate().map(annotation);
    Ok(json!({
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": tags(dashboard.tag),
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": false,
        "timezone": "utc",
        "graphTooltip": 1,
        "refresh": dashboard.refresh,
        "time": { "from": dashboard.from, "to": "now" },
        "timepicker": {},
        "links": links(dashboard.tag),
        "annotations": { "list": annotations.collect::<Vec<_>>() },
        "templating": { "list": variables.collect::<Vec<_>>() },
        "panels": panel::all(&dashboard.panels)
            .with_context(|| format!("{SOURCES}: {}", dashboard.uid))?,
    }))
}

fn tags(tag: Tag) -> &'static [&'static str] {
    match tag {
        Tag::Oomen => &["oomen", "memory"],
        Tag::Shop => &["shop"],
    }
}

/// To the others, with the same time, and to the runbooks. The jobs and instances of watchdogs are not those of
/// services, so variables are kept only among dashboards of one tag.
fn links(own: Tag) -> Value {
    let others = |title: &str, tag: Tag| {
        json!({
            "type": "dashboards", "title": title, "tags": [tags(tag)[0]], "asDropdown": false,
            "includeVars": tag == own, "keepTime": true, "targetBlank": false,
            "icon": "dashboard", "tooltip": "", "url": "",
        })
    };
    json!([
        others("Oomen", Tag::Oomen),
        others("Shop", Tag::Shop),
        {
            "type": "link", "title": "Runbooks", "url": RUNBOOKS, "targetBlank": true,
            "asDropdown": false, "includeVars": false, "keepTime": false,
            "icon": "doc", "tags": [], "tooltip": "What to do about each alert",
        },
    ])
}

/// The query stands twice: Loki's annotations read it at the top, Prometheus' in `target`.
fn annotation((index, annotation): (usize, &Annotation)) -> Value {
    let expression = source::selected(&annotation.expr);
    let (kind, source) =
        if annotation.loki { ("loki", "${loki}") } else { ("prometheus", variables::DATASOURCE) };
    let mut target = json!({ "expr": expression, "refId": format!("Annotation{index}") });
    if annotation.loki {
        target["queryType"] = json!("range");
    } else {
        target["interval"] = json!("10s");
    }
    json!({
        "name": annotation.name,
        "datasource": { "type": kind, "uid": source },
        "enable": annotation.enabled,
        "hide": false,
        "iconColor": annotation.color,
        "expr": expression,
        "target": target,
        "titleFormat": annotation.title,
        "textFormat": annotation.text,
        "useValueForTime": annotation.value_is_time,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_are_read_and_rendered() {
        let sources = sources().expect("sources that can be read");
        for dashboard in &sources {
            let rendered = render(dashboard).expect("a dashboard");
            assert_eq!(rendered["uid"], dashboard.uid.as_str());
            assert!(!rendered["panels"].as_array().expect("panels").is_empty());
        }
    }

    #[test]
    fn an_annotation_from_loki_asks_the_variable_for_its_source() {
        let of = |loki| Annotation {
            name: "N".into(),
            color: "red".into(),
            expr: "x{@target}".into(),
            title: String::new(),
            text: String::new(),
            loki,
            enabled: !loki,
            value_is_time: false,
            empty: None,
        };
        let (loki, prometheus) = (annotation((0, &of(true))), annotation((1, &of(false))));
        assert_eq!(loki["datasource"], json!({ "type": "loki", "uid": "${loki}" }));
        assert_eq!(loki["target"]["queryType"], "range");
        assert_eq!(prometheus["datasource"]["uid"], variables::DATASOURCE);
        assert_eq!(prometheus["expr"], prometheus["target"]["expr"]);
        assert!(!prometheus["expr"].as_str().expect("text").contains('@'));
    }
}
