//! Flamegraphs as SVG that can be searched and zoomed, drawn by inferno.
//!
//! The tree of calls is made on numbered functions and pruned before anything is named or drawn: text of every
//! stack of a large profile would be gigabytes. What is below a thousandth of the whole, or does not fit into the
//! size of the picture, is summed in frames called `(smaller)`.

mod label;
mod tree;

use std::io::{self, Write};

use inferno::flamegraph::color::PaletteMap;
use inferno::flamegraph::{Options, from_lines};
use watchdog_core::profile::Profile;
use watchdog_core::units::Bytes;

use crate::difference::Difference;
use crate::functions::Functions;
use crate::symbols::Symbols;
use crate::top::signed;
use label::{Style, printable};
use tree::{Item, Tree};

/// Why there is no flamegraph.
#[derive(Debug, thiserror::Error)]
pub enum FlamegraphError {
    /// Nothing to draw.
    #[error("no flamegraph: {0}")]
    Empty(&'static str),
    /// What the writer said.
    #[error("the flamegraph could not be written: {0}")]
    Io(#[from] io::Error),
}

/// Draws what is in use: the width of a frame is the bytes that it and what it called hold. The program's own
/// functions are warm colours, libraries cool ones, the allocator and what has no name grey.
///
/// # Errors
/// [`FlamegraphError::Empty`] when nothing is in use, and what `out` says.
pub fn svg(
    profile: &Profile,
    symbols: &Symbols,
    title: &str,
    out: &mut impl Write,
) -> Result<(), FlamegraphError> {
    let items: Vec<Item<'_>> = profile
        .stacks
        .iter()
        .filter(|sample| sample.inuse_space.0 > 0)
        .map(|sample| Item { stack: &sample.stack, weight: sample.inuse_space.0, net: 0 })
        .collect();
    if items.is_empty() {
        return Err(FlamegraphError::Empty("the profile holds nothing"));
    }
    let subtitle = format!("{} in use in {} stacks", profile.inuse_space(), items.len());
    let tree = Tree::grow(&items, Functions::new(symbols, &profile.mappings), Style::InUse);
    draw(&tree, title, subtitle, out)
}

/// Draws what changed: the width of a frame is growth and shrinkage beneath it added up, its label the sum of both,
/// and its colour red where growth prevails and blue where shrinkage does.
///
/// # Errors
/// [`FlamegraphError::Empty`] when nothing changed, and what `out` says.
pub fn difference_svg(
    difference: &Difference,
    symbols: &Symbols,
    title: &str,
    out: &mut impl Write,
) -> Result<(), FlamegraphError> {
    let changed = difference.stacks.iter().filter(|row| row.inuse_space != 0);
    let items: Vec<Item<'_>> = changed
        .map(|row| Item {
            stack: &row.stack,
            weight: row.inuse_space.unsigned_abs(),
            net: row.inuse_space,
        })
        .collect();
    if items.is_empty() {
        return Err(FlamegraphError::Empty("the two profiles hold the same"));
    }
    let grown = items.iter().filter(|item| item.net > 0);
    let grown = grown.fold(Bytes(0), |sum, item| sum + Bytes(item.weight));
    let net = difference.inuse_space();
    let subtitle = format!("{} in all: {grown} more in some stacks, less in others", signed(net));
    let tree = Tree::grow(&items, Functions::new(symbols, &difference.mappings), Style::Change);
    draw(&tree, title, subtitle, out)
}

fn draw(
    tree: &Tree,
    title: &str,
    subtitle: String,
    out: &mut impl Write,
) -> Result<(), FlamegraphError> {
    let mut palette = PaletteMap::default();
    for (label, color) in tree.colors() {
        palette.insert(label, color);
    }
    let mut options = Options::default();
    options.title = printable(title);
    options.subtitle = Some(subtitle);
    options.count_name = "bytes".to_owned();
    options.factor = tree.factor();
    options.palette_map = Some(&mut palette);
    // The lines are in the order of the tree, the largest first; this option takes them from the last to the first
    // and leaves them in their order otherwise.
    options.flame_chart = true;
    let lines = tree.lines();
    from_lines(&mut options, lines.iter().rev().map(String::as_str), out)?;
    Ok(())
}
