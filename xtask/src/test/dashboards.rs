//! The dashboards' files: as their sources give them, and as Grafana's conventions and ours want them.

mod lint;

use anyhow::{Result, bail};
use serde_json::Value;

use super::tally::Tally;
use crate::dashboards;

pub(super) fn test(tally: &mut Tally) -> Result<()> {
    tally.check("dashboards: every file has a source", dashboards::check_files());
    for source in dashboards::sources()? {
        let name = source.uid.clone();
        tally.check(&format!("dashboards: {name} is as generated"), dashboards::check(&source));
        let conventions = conventions(&name, &dashboards::render(&source)?);
        tally.check(&format!("dashboards: {name} keeps the conventions"), conventions);
    }
    Ok(())
}

fn conventions(name: &str, dashboard: &Value) -> Result<()> {
    let found = lint::find(name, dashboard);
    if found.is_empty() {
        return Ok(());
    }
    bail!("{}", found.join("\n"))
}
