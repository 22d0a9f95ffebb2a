//! Which crate may use which: every Cargo.toml against the table in ARCHITECTURE.md.
//!
//! The table stands between `<!-- arrows -->` and `<!-- /arrows -->`: `| crate | may use |`, names in backticks or
//! plain, separated by commas, and `–` for none. Arrows of tests ([dev-dependencies]) are free.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Tree;

const PLACE: &str = "ARCHITECTURE.md";
const OPEN: &str = "<!-- arrows -->";
const CLOSE: &str = "<!-- /arrows -->";

type Arrows = BTreeMap<String, BTreeSet<String>>;

pub(super) fn find(tree: &Tree) -> Vec<String> {
    match (allowed(tree), used(tree)) {
        (Ok(allowed), Ok(used)) => compare(&allowed, &used),
        (allowed, used) => [allowed.err(), used.err()].into_iter().flatten().collect(),
    }
}

fn compare(allowed: &Arrows, used: &Arrows) -> Vec<String> {
    let mut found = Vec::new();
    for (from, targets) in used {
        let Some(may) = allowed.get(from) else {
            found.push(format!("{PLACE}: the table has no line for the crate {from}"));
            continue;
        };
        found.extend(
            targets
                .iter()
                .filter(|to| used.contains_key(*to) && !may.contains(*to))
                .map(|to| format!("{from} uses {to}; {PLACE} allows {may:?}")),
        );
    }
    let named = allowed.iter().flat_map(|(from, may)| may.iter().chain([from]));
    let unknown: BTreeSet<_> = named.filter(|name| !used.contains_key(*name)).collect();
    found.extend(unknown.iter().map(|name| format!("{PLACE}: there is no crate {name}")));
    found
}

fn allowed(tree: &Tree) -> Result<Arrows, String> {
    let text = tree.text(PLACE).ok_or_else(|| format!("{PLACE} is missing"))?;
    let table = text
        .split_once(OPEN)
        .and_then(|(_, rest)| rest.split_once(CLOSE))
        .ok_or_else(|| format!("{PLACE}: no table between {OPEN} and {CLOSE}"))?
        .0;
    // The first two rows are the heading and its rule.
    table.lines().filter(|line| line.starts_with('|')).skip(2).map(row).collect()
}

fn row(line: &str) -> Result<(String, BTreeSet<String>), String> {
    let cells: Vec<_> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
    let [from, targets] = cells.as_slice() else {
        return Err(format!("{PLACE}: two cells are needed in {line:?}"));
    };
    let targets = match *targets {
        "–" | "-" | "" => BTreeSet::new(),
        list => list.split(',').map(name).collect::<Result<_, _>>()?,
    };
    Ok((name(from)?, targets))
}

fn name(cell: &str) -> Result<String, String> {
    let name = cell.trim().trim_matches('`');
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("{PLACE}: {cell:?} is not the name of a crate"));
    }
    Ok(name.to_owned())
}

/// Every crate of the repository with all it depends on.
fn used(tree: &Tree) -> Result<Arrows, String> {
    let root = manifest(tree, "Cargo.toml")?;
    let folders = ["members", "exclude"].into_iter().flat_map(|list| {
        let folders = root.get("workspace").and_then(|w| w.get(list)).and_then(|l| l.as_array());
        folders.into_iter().flatten().filter_map(toml::Value::as_str)
    });
    folders.map(|folder| dependencies(tree, &format!("{folder}/Cargo.toml"))).collect()
}

fn dependencies(tree: &Tree, path: &str) -> Result<(String, BTreeSet<String>), String> {
    let manifest = manifest(tree, path)?;
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(toml::Value::as_str)
        .ok_or_else(|| format!("{path}: the package has no name"))?;
    let targets = manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let tables = std::iter::once(&manifest)
        .chain(targets.filter_map(|(_, target)| target.as_table()))
        .flat_map(|table| [table.get("dependencies"), table.get("build-dependencies")])
        .flatten()
        .filter_map(toml::Value::as_table);
    Ok((name.to_owned(), tables.flatten().map(|(name, how)| package(name, how)).collect()))
}

/// A dependency's own name, where the manifest gives it another.
fn package(name: &str, how: &toml::Value) -> String {
    how.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned()
}

fn manifest(tree: &Tree, path: &str) -> Result<toml::Table, String> {
    let text = tree.text(path).ok_or_else(|| format!("{path} is missing"))?;
    text.parse().map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "[workspace]\nmembers = ['core', 'web']\nexclude = ['load']";
    const CORE: &str = "[package]\nname = 'core'\n[dependencies]\nserde.workspace = true";
    const WEB: &str = "[package]\nname = 'web'\n[dependencies]\ncore.workspace = true";
    const LOAD: &str = "[package]\nname = 'load'\n";

    fn check(rows: &str, core: &str, web: &str) -> Vec<String> {
        let table = format!("{OPEN}\n\n| crate | may use |\n|---|---|\n{rows}\n{CLOSE}\n");
        find(&Tree::with(&[
            (PLACE, &table),
            ("Cargo.toml", ROOT),
            ("core/Cargo.toml", core),
            ("web/Cargo.toml", web),
            ("load/Cargo.toml", LOAD),
        ]))
    }

    const ROWS: &str = "| `core` | – |\n| `web` | `core` |\n| load | - |";

    #[test]
    fn allowed_arrows_pass() {
        assert_eq!(check(ROWS, CORE, WEB), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_that_the_table_does_not_allow_is_found() {
        let core = format!("{CORE}\nweb = {{ path = '../web' }}");
        assert_eq!(check(ROWS, &core, WEB), ["core uses web; ARCHITECTURE.md allows {}"]);
    }

    #[test]
    fn renamed_build_and_platform_dependencies_are_arrows_too() {
        for sly in [
            "x = { path = '../web', package = 'web' }",
            "[build-dependencies]\nweb.workspace = true",
            "[target.'cfg(unix)'.dependencies]\nweb.workspace = true",
        ] {
            assert_eq!(check(ROWS, &format!("{CORE}\n{sly}"), WEB).len(), 1, "{sly}");
        }
    }

    #[test]
    fn a_test_may_use_what_it_likes() {
        let core = format!("{CORE}\n[dev-dependencies]\nweb.workspace = true");
        assert_eq!(check(ROWS, &core, WEB), Vec::<String>::new());
    }

    #[test]
    fn a_crate_without_a_line_and_a_line_without_a_crate_are_found() {
        let found = check("| core | – |\n| web | core, ghost |\n| spectre | – |", CORE, WEB);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn a_table_that_is_missing_or_not_made_of_names_is_found() {
        assert_eq!(find(&Tree::with(&[("Cargo.toml", ROOT)])).len(), 2);
        assert_eq!(check("| core | nothing of ours |", CORE, WEB).len(), 1);
        assert_eq!(check("| core | – | – |", CORE, WEB).len(), 1);
    }
}
