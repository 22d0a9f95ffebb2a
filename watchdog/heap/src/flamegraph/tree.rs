//! The tree of calls, grown from the largest frame on until it is large enough.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use inferno::flamegraph::color::Color;

use super::label::Style;
use crate::functions::{Functions, Owner};

/// Frames below this part of the whole are summed. At 1,200 pixels a thousandth is one pixel wide.
const LEAST_PART: u64 = 1000;

/// About how many bytes of SVG the frames may take; script and style are 30 KB more.
const PICTURE_BYTES: usize = 1_800_000;

/// What a frame takes in SVG beside its label, which stands in it twice.
const FRAME_BYTES: usize = 340;

/// How many bytes of text may go to inferno, which wants the whole way from the root on every line.
const LINE_BYTES: usize = 8 << 20;

/// Name of what was summed.
const SMALLER: &str = "(smaller)";

/// Name of what could not be unwound.
const NO_STACK: &str = "(no stack)";

/// One stack and what it weighs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    /// Return addresses, innermost first.
    pub(super) stack: &'a [u64],
    /// Its width.
    pub(super) weight: u64,
    /// What it grew by; as large as the weight, or its negative.
    pub(super) net: i64,
}

/// How far a stack has been followed from its root.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    item: u32,
    /// Addresses not yet entered.
    left: u32,
    /// Frames of the address entered last that are not yet passed.
    inlined: u32,
}

#[derive(Debug)]
struct Node {
    label: String,
    color: Color,
    weight: u64,
    children: Vec<usize>,
    /// Its stacks, as a range of the cursors; empty once they were passed on to the children.
    cursors: (usize, usize),
    /// Bytes of the labels from the root to here.
    way: usize,
}

/// The pruned tree.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// Weights are divided by two to this power, so that their sum has no more bits than a float.
    shift: u32,
}

impl Tree {
    pub(super) fn grow(items: &[Item<'_>], functions: Functions<'_>, style: Style) -> Self {
        let total: u128 = items.iter().map(|item| u128::from(item.weight)).sum();
        let shift = (128 - total.leading_zeros()).saturating_sub(52);
        let least = u64::try_from(total / u128::from(LEAST_PART)).unwrap_or(u64::MAX).max(1);
        let mut grower = Grower {
            items,
            functions,
            style,
            least,
            cursors: (0..).zip(items).map(|(item, of)| Cursor::new(item, of)).collect(),
            nodes: Vec::new(),
            picture_left: PICTURE_BYTES,
            lines_left: LINE_BYTES,
        };
        grower.run();
        Self { nodes: grower.nodes, shift }
    }

    /// By what inferno multiplies the numbers it shows.
    pub(super) fn factor(&self) -> f64 {
        2_f64.powi(self.shift as i32)
    }

    /// The colour of every label.
    pub(super) fn colors(&self) -> impl Iterator<Item = (&str, Color)> {
        let no_stack = (NO_STACK, Color { r: 215, g: 215, b: 215 });
        self.nodes.iter().map(|node| (node.label.as_str(), node.color)).chain([no_stack])
    }

    /// The lines for inferno, in the order of the tree: one for each frame that has a weight of its own.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut way = String::new();
        // A node and the length of the way to it.
        let mut open: Vec<(usize, usize)> = vec![(0, 0)];
        while let Some((at, length)) = open.pop() {
            let Some(node) = self.nodes.get(at) else { continue };
            way.truncate(length);
            // The root is drawn by inferno.
            if at != 0 {
                if !way.is_empty() {
                    way.push(';');
                }
                way.push_str(&node.label);
            }
            let weights = node.children.iter().filter_map(|child| self.nodes.get(*child));
            let children = weights.fold(0_u64, |sum, child| sum.saturating_add(child.weight));
            let own = node.weight.saturating_sub(children) >> self.shift;
            if own > 0 {
                let way = if at == 0 { NO_STACK } else { &way };
                lines.push(format!("{way} {own}"));
            }
            open.extend(node.children.iter().rev().map(|child| (*child, way.len())));
        }
        lines
    }
}

impl Cursor {
    fn new(item: u32, of: &Item<'_>) -> Self {
        Self { item, left: of.stack.len() as u32, inlined: 0 }
    }

    /// The function one step further from the root, and the cursor there; `None` at the end of the stack.
    fn next(self, items: &[Item<'_>], functions: &mut Functions<'_>) -> Option<(u32, Self)> {
        let stack = items.get(self.item as usize)?.stack;
        let left = if self.inlined == 0 { self.left.checked_sub(1)? } else { self.left };
        let places = functions.of(*stack.get(left as usize)?);
        let inlined = if self.inlined == 0 { places.len() as u32 } else { self.inlined } - 1;
        let function = places.get(inlined as usize)?.function;
        Some((function, Self { left, inlined, ..self }))
    }
}

/// The children of a frame that are one function.
#[derive(Clone, Copy, Debug)]
struct Group {
    function: u32,
    weight: u64,
    net: i64,
    cursors: (usize, usize),
}

struct Grower<'a> {
    items: &'a [Item<'a>],
    functions: Functions<'a>,
    style: Style,
    least: u64,
    cursors: Vec<Cursor>,
    nodes: Vec<Node>,
    picture_left: usize,
    lines_left: usize,
}

impl Grower<'_> {
    fn run(&mut self) {
        let all = self.items.iter();
        let weight = all.fold(0_u64, |sum, item| sum.saturating_add(item.weight));
        self.nodes.push(Node {
            label: String::new(),
            color: Color { r: 0, g: 0, b: 0 },
            weight,
            children: Vec::new(),
            cursors: (0, self.cursors.len()),
            way: 0,
        });
        // The largest first: when the picture is full, what is missing is what is small.
        let mut open = BinaryHeap::from([(weight, Reverse(0))]);
        while let Some((_, Reverse(at))) = open.pop() {
            for child in self.expand(at) {
                let weight = self.nodes.get(child).map_or(0, |node| node.weight);
                open.push((weight, Reverse(child)));
            }
        }
    }

    /// Gives a node its children; the result is those that may have children themselves.
    fn expand(&mut self, at: usize) -> Vec<usize> {
        let Some(node) = self.nodes.get_mut(at) else { return Vec::new() };
        let (range, way) = (std::mem::take(&mut node.cursors), node.way);
        let mut groups = self.groups(range);
        groups.sort_by_key(|group| Reverse(group.weight));
        let mut children = Vec::new();
        let mut smaller = (0_u64, 0_i64);
        for group in groups {
            // The line of the first child is the one that would end here.
            let extra = if children.is_empty() { 0 } else { way };
            match self.child(&group, way, extra) {
                Some(child) => children.push(child),
                None => {
                    smaller.0 = smaller.0.saturating_add(group.weight);
                    smaller.1 = smaller.1.saturating_add(group.net);
                }
            }
        }
        let open = children.clone();
        let label = self.style.label(SMALLER, smaller.1);
        // One frame too many is better than weight that looks as if it were this frame's own; but a frame without
        // any child is where a full picture ends.
        if smaller.0 > 0 && (self.charge(&label, way) || !children.is_empty()) {
            let color = self.style.color(&label, Owner::Nobody, smaller.0, smaller.1);
            children.push(self.push(label, color, smaller.0, (0, 0), way));
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.children = children;
        }
        open
    }

    /// The children of the stacks in a range, whose cursors are moved on and put in order of the children.
    fn groups(&mut self, (from, to): (usize, usize)) -> Vec<Group> {
        let Some(cursors) = self.cursors.get_mut(from..to) else { return Vec::new() };
        let mut next: Vec<(u32, Cursor)> = cursors
            .iter()
            .filter_map(|cursor| cursor.next(self.items, &mut self.functions))
            .collect();
        next.sort_unstable_by_key(|(function, cursor)| (*function, cursor.item));
        let mut groups: Vec<Group> = Vec::new();
        for ((place, cursor), slot) in (from..).zip(&next).zip(cursors) {
            let (function, cursor) = *cursor;
            *slot = cursor;
            let Some(item) = self.items.get(cursor.item as usize) else { continue };
            match groups.last_mut().filter(|group| group.function == function) {
                Some(group) => {
                    group.weight = group.weight.saturating_add(item.weight);
                    group.net = group.net.saturating_add(item.net);
                    group.cursors.1 = place + 1;
                }
                None => groups.push(Group {
                    function,
                    weight: item.weight,
                    net: item.net,
                    cursors: (place, place + 1),
                }),
            }
        }
        groups
    }

    /// A new node for a group, unless it is too small or the picture is full.
    fn child(&mut self, group: &Group, way: usize, extra: usize) -> Option<usize> {
        if group.weight < self.least {
            return None;
        }
        let function = self.functions.get(group.function)?;
        let label = self.style.label(&function.name, group.net);
        let color = self.style.color(&label, function.owner, group.weight, group.net);
        self.charge(&label, extra)
            .then(|| self.push(label, color, group.weight, group.cursors, way))
    }

    fn push(
        &mut self,
        label: String,
        color: Color,
        weight: u64,
        cursors: (usize, usize),
        way: usize,
    ) -> usize {
        let way = way + label.len() + 1;
        self.nodes.push(Node { label, color, weight, children: Vec::new(), cursors, way });
        self.nodes.len() - 1
    }

    /// Takes what a frame costs from what is left, with `way` bytes for a line of its own; `false` when there is too
    /// little.
    fn charge(&mut self, label: &str, way: usize) -> bool {
        let escaped: usize =
            label.bytes().map(|byte| if b"<>&\"'".contains(&byte) { 6 } else { 1 }).sum();
        let picture = self.picture_left.checked_sub(FRAME_BYTES + 2 * escaped);
        let lines = self.lines_left.checked_sub(way + label.len() + 24);
        let (Some(picture), Some(lines)) = (picture, lines) else { return false };
        (self.picture_left, self.lines_left) = (picture, lines);
        true
    }
}
