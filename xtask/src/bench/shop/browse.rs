//! Browsing: the same paths in the same order through a shop's door and from the bare handler, by wrk.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::ShopArgs;
use super::stage::{Stage, cpu};
use crate::sh;
use crate::visitor::Visitor;

const DEADLINE: Duration = Duration::from_secs(900);

/// Of three visits, one is of a shelf or a search and two are of a product.
const PRODUCTS_PER_LIST: usize = 2;

/// Requests are put together once; then they take turns.
const SCRIPT: &str = r#"
local requests, last = {}, 0
function init(arguments)
    for path in io.lines(arguments[1]) do
        requests[#requests + 1] = wrk.format("GET", path)
    end
end
function request()
    last = last % #requests + 1
    return requests[last]
end
function done(summary)
    local e = summary.errors
    io.write(string.format("browsed %d %d %d\n", summary.requests, summary.duration,
        e.connect + e.read + e.write + e.status + e.timeout))
end
"#;

/// What was reached in one turn, in requests per second.
#[derive(Debug, Serialize)]
pub(super) struct Turn {
    pub(super) bare: f64,
    pub(super) on: Speed,
    pub(super) off: Speed,
}

/// Of a shop in one turn.
#[derive(Debug, Serialize)]
pub(super) struct Speed {
    /// Requests per second.
    pub(super) reached: f64,
    /// Requests per second of CPU time of the services.
    pub(super) per_cpu: f64,
}

/// Takes turns.
pub(super) fn measure(stage: &Stage, args: &ShopArgs) -> Result<Vec<Turn>> {
    let (script, paths) = (stage.files.0.join("browse.lua"), stage.files.0.join("paths"));
    std::fs::write(&script, SCRIPT)?;
    std::fs::write(&paths, visits(stage.answers.keys()).join("\n"))?;
    let doors = [stage.bare, stage.on.door(), stage.off.door()];
    for door in doors {
        same(stage, door)?;
        wrk(&script, &paths, door, args.visitors, 2)?;
    }
    let mut turns = Vec::new();
    for round in 0..args.rounds {
        let [bare, on, off] = doors;
        let wrk = |door| wrk(&script, &paths, door, args.visitors, args.browse_seconds);
        let browse = |shop, door| -> Result<Speed> {
            let before = cpu(shop)?;
            let requests = wrk(door)?;
            let used = cpu(shop)? - before;
            let per_cpu = requests.number / used;
            Ok(Speed { reached: requests.per_second, per_cpu })
        };
        let bare = wrk(bare)?.per_second;
        // Whoever is second finds another machine than the first.
        let (on, off) = if round % 2 == 0 {
            let on = browse(&stage.on, on)?;
            (on, browse(&stage.off, off)?)
        } else {
            let off = browse(&stage.off, off)?;
            (browse(&stage.on, on)?, off)
        };
        eprintln!(
            "browsing, requests/s: bare {bare:.0}, profiled {:.0} ({:.0} per CPU s), not profiled {:.0} ({:.0})",
            on.reached, on.per_cpu, off.reached, off.per_cpu
        );
        turns.push(Turn { bare, on, off });
    }
    Ok(turns)
}

/// That a door answers as much as the others for each path. Another shop has other figures of what is in stock.
fn same(stage: &Stage, door: SocketAddr) -> Result<()> {
    let mut visitor = Visitor::visit(door)?;
    for (path, answer) in &stage.answers {
        let other: serde_json::Value = serde_json::from_slice(&visitor.get(path)?)?;
        let items = |of: &serde_json::Value| of["items"].as_array().map(Vec::len);
        let same = items(&other) == items(answer) && other["name"] == answer["name"];
        ensure!(same, "{path} is another at {door}");
    }
    Ok(())
}

/// Lists and products in the given proportion, in an order without a pattern that is the same each time.
fn visits<'a>(paths: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let (mut lists, mut products): (Vec<&str>, Vec<&str>) =
        paths.map(String::as_str).partition(|path| path.contains('?'));
    for kind in [&mut lists, &mut products] {
        kind.sort_by_key(|path| {
            let mut hasher = DefaultHasher::new();
            path.hash(&mut hasher);
            hasher.finish()
        });
    }
    let lists = lists.iter().cycle();
    let rounds = products.chunks(PRODUCTS_PER_LIST).zip(lists);
    rounds.flat_map(|(products, list)| products.iter().chain([list]).copied()).collect()
}

fn wrk(
    script: &Path,
    paths: &Path,
    door: SocketAddr,
    visitors: u16,
    seconds: u16,
) -> Result<Requests> {
    let mut command = Command::new("wrk");
    command.args(["-t", "1", "-c", &visitors.to_string(), "-d", &format!("{seconds}s"), "-s"]);
    command.arg(script).arg(format!("http://{door}")).arg("--").arg(paths);
    let said = sh::capture(&mut command, DEADLINE)?;
    requests(&said).with_context(|| format!("wrk at {door}:\n{said}"))
}

#[derive(Debug, PartialEq)]
struct Requests {
    number: f64,
    per_second: f64,
}

/// What wrk's script says, if no request failed.
fn requests(said: &str) -> Result<Requests> {
    let line = said.lines().find_map(|line| line.strip_prefix("browsed ")).context("no figures")?;
    let figures: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [number, microseconds, failed] = figures[..] else { anyhow::bail!("not three figures") };
    ensure!(failed == 0.0, "{failed} requests failed");
    Ok(Requests { number, per_second: number / microseconds * 1e6 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_visits_is_of_lists_and_every_product_is_visited() {
        let product = |n| format!("/api/products/{n}");
        let paths: Vec<String> = (0..10).map(product).chain(["/?a".into(), "/?b".into()]).collect();
        let visits = visits(paths.iter());
        assert_eq!(visits.len(), 15);
        assert_eq!(visits.iter().filter(|path| path.contains('?')).count(), 5);
        assert!(paths.iter().all(|path| visits.contains(&path.as_str())));
    }

    #[test]
    fn requests_that_fail_are_no_throughput() {
        let expected = Requests { number: 3000.0, per_second: 1500.0 };
        assert_eq!(requests("Running\nbrowsed 3000 2000000 0\n").unwrap(), expected);
        assert!(requests("browsed 3000 2000000 1\n").is_err());
        assert!(requests("Running\n").is_err());
    }
}
