//! Rules on single files: purpose line, budget, names, size, and no path of one machine.

use super::tree::Tree;

/// Lines of a source, its tests excluded.
const BUDGET: usize = 400;
const LARGEST_FILE: u64 = 600 * 1024;
/// Written in halves, or this file would break its own rule.
const MACHINE_PATHS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/tmp/", "brief")];

pub(super) fn without_purpose(tree: &Tree) -> Vec<String> {
    let sources = tree.matching("", ".rs").filter(|(_, text)| !text.starts_with("//! "));
    sources.map(|(path, _)| format!("{path}: the first line is not `//! purpose`")).collect()
}

pub(super) fn too_long(tree: &Tree) -> Vec<String> {
    tree.matching("", ".rs")
        .filter(|(path, _)| !is_test(path))
        .map(|(path, text)| (path, lines_without_tests(text)))
        .filter(|(_, lines)| *lines > BUDGET)
        .map(|(path, lines)| format!("{path}: {lines} lines without tests, {BUDGET} at most"))
        .collect()
}

pub(super) fn mod_rs(tree: &Tree) -> Vec<String> {
    let named = |path: &str| path.rsplit('/').next() == Some("mod.rs");
    let sources = tree.matching("", "mod.rs").filter(|(path, _)| named(path));
    sources.map(|(path, _)| format!("{path}: call it after its folder, beside it")).collect()
}

pub(super) fn too_large(tree: &Tree) -> Vec<String> {
    tree.sizes()
        .filter(|(_, bytes)| *bytes > LARGEST_FILE)
        .map(|(path, bytes)| format!("{path}: {bytes} bytes, {LARGEST_FILE} at most"))
        .collect()
}

pub(super) fn machine_paths(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.texts() {
        for (index, line) in text.lines().enumerate() {
            if let Some(machine) = MACHINE_PATHS.iter().find(|machine| names(line, machine)) {
                found.push(format!("{path}:{}: names {machine}", index + 1));
            }
        }
    }
    found
}

/// Whether an absolute path begins so in the line; `net/work/` is another thing.
fn names(line: &str, machine: &str) -> bool {
    line.match_indices(machine).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "._-}/".contains(c)))
    })
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Counts the lines outside `#[cfg(test)] mod … { … }` blocks at the left margin, as rustfmt sets them.
fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let mut count = 0;
    let mut inside = false;
    for (index, line) in lines.iter().enumerate() {
        let opens = *line == "#[cfg(test)]"
            && lines.get(index + 1).is_some_and(|l| l.starts_with("mod ") && l.ends_with('{'));
        inside |= opens;
        count += usize::from(!inside);
        inside &= *line != "}";
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_without_its_purpose_is_found() {
        let tree = Tree::with(&[
            ("a/good.rs", "//! Why.\n"),
            ("a/bad.rs", "use x;\n"),
            ("a/empty.rs", ""),
            ("a/notes.md", "no"),
        ]);
        assert_eq!(without_purpose(&tree).len(), 2);
    }

    #[test]
    fn a_source_over_its_budget_is_found_and_tests_do_not_count() {
        let code = "x\n".repeat(BUDGET);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    x\n".repeat(50));
        let tree = Tree::with(&[
            ("full.rs", &format!("{code}{tests}")),
            ("over.rs", &format!("{code}{tests}y\n")),
            ("src/tests.rs", &"x\n".repeat(BUDGET * 2)),
            ("c/tests/public.rs", &"x\n".repeat(BUDGET * 2)),
        ]);
        assert_eq!(too_long(&tree), ["over.rs: 401 lines without tests, 400 at most"]);
    }

    #[test]
    fn a_module_named_mod_is_found() {
        let tree = Tree::with(&[("src/a/mod.rs", ""), ("src/a.rs", ""), ("src/not_mod.rs", "")]);
        assert_eq!(mod_rs(&tree).len(), 1);
    }

    #[test]
    fn a_large_file_is_found() {
        let bytes = usize::try_from(LARGEST_FILE).expect("small");
        let (full, over) = ("x".repeat(bytes), "x".repeat(bytes + 1));
        let found = too_large(&Tree::with(&[("full.csv", &full), ("over.csv", &over)]));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("over.csv: "));
    }

    #[test]
    fn a_path_of_one_machine_is_found_with_its_line() {
        let [tree_path, brief] = MACHINE_PATHS;
        let text = format!("fine\nsee {tree_path}main\n`{brief}/x`\nnet{tree_path}ok\n");
        let found = machine_paths(&Tree::with(&[("a.md", &text)]));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("a.md:2: ") && found[1].starts_with("a.md:3: "));
    }
}
