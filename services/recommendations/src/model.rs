//! What is bought together, counted as orders come, in bounded memory.
//!
//! Statistic: counts of items and of pairs by the Space-Saving method (Metwally, Agrawal, El Abbadi, "Efficient
//! Computation of Frequent and Top-k Elements in Data Streams", 2005): at a cap, the entry with the lowest count gives
//! way and the newcomer takes over its count plus one. A count is therefore never too low, and too high by at most the
//! lowest count at the time. Not plain eviction of the rarest: newcomers would only ever push each other out.
//!
//! Worst case: 10,000 items x 32 partners x 16 bytes, with names and indexes about 8 MiB.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;
use utoipa::ToSchema;

pub use crate::item::{BadItemId, ItemId};

/// Items that are known at one time.
pub const MAX_ITEMS: usize = 10_000;

/// Partners that are counted for one item: well above the most that is ever recommended from them.
pub const MAX_PARTNERS: usize = 32;

/// Items in one order. Pairs grow with its square: 50 items are 2,450 counts.
pub const MAX_ORDER: usize = 50;

/// Never used twice, so that a partner that was evicted is not mistaken for whoever has its place.
type Key = u64;

struct Item {
    name: ItemId,
    orders: u64,
    partners: Vec<(Key, u64)>,
}

/// Why an item is recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It was bought together with the item asked about; the score counts those orders.
    BoughtTogether,
    /// It is in many orders; the score counts them.
    Popular,
}

/// One recommended item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Recommendation {
    /// The item.
    #[schema(value_type = String)]
    pub item: ItemId,
    /// Orders, see [`Reason`].
    pub score: u64,
    /// Why it is recommended.
    pub reason: Reason,
}

/// All that was learned.
pub struct Model {
    max_items: usize,
    keys: HashMap<ItemId, Key>,
    items: HashMap<Key, Item>,
    /// Lowest count first, the oldest first among equals.
    ranking: BTreeSet<(u64, Key)>,
    next: Key,
    evicted: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self::with_capacity(MAX_ITEMS)
    }
}

impl Model {
    /// A model that knows at most `max_items` at one time.
    pub fn with_capacity(max_items: usize) -> Self {
        Self {
            max_items: max_items.max(1),
            keys: HashMap::new(),
            items: HashMap::new(),
            ranking: BTreeSet::new(),
            next: 0,
            evicted: 0,
        }
    }

    /// Learns one order. An item named twice counts once; of more than [`MAX_ORDER`] items the rest is left out.
    pub fn learn(&mut self, order: &[ItemId]) {
        let mut seen = HashSet::new();
        let distinct = order.iter().take(MAX_ORDER).filter(|item| seen.insert(*item));
        let keys: Vec<Key> = distinct.map(|item| self.count(item)).collect();
        for key in &keys {
            // An item can give way to a later one of the same order.
            let Some(item) = self.items.get_mut(key) else { continue };
            for partner in keys.iter().filter(|partner| *partner != key) {
                count_partner(&mut item.partners, *partner);
            }
        }
    }

    fn count(&mut self, name: &ItemId) -> Key {
        if let Some((key, item)) =
            self.keys.get(name).and_then(|key| Some((*key, self.items.get_mut(key)?)))
        {
            self.ranking.remove(&(item.orders, key));
            item.orders += 1;
            self.ranking.insert((item.orders, key));
            return key;
        }
        let orders = self.make_room() + 1;
        let key = self.next;
        self.next += 1;
        self.keys.insert(name.clone(), key);
        self.items.insert(key, Item { name: name.clone(), orders, partners: Vec::new() });
        self.ranking.insert((orders, key));
        key
    }

    /// Evicts the item with the lowest count if there is no room; returns the count that the newcomer takes over.
    fn make_room(&mut self) -> u64 {
        if self.items.len() < self.max_items {
            return 0;
        }
        let Some((orders, key)) = self.ranking.pop_first() else { return 0 };
        if let Some(item) = self.items.remove(&key) {
            self.keys.remove(&item.name);
            self.evicted += 1;
        }
        orders
    }

    /// What to recommend beside `name`: most often bought together first, filled up with the most popular.
    pub fn recommend(&self, name: &ItemId, limit: usize) -> Vec<Recommendation> {
        let mut chosen = self.bought_together(name);
        chosen.truncate(limit);
        let known: HashSet<ItemId> = chosen.iter().map(|chosen| chosen.item.clone()).collect();
        let more = self.by_popularity();
        let more = more.filter(|more| more.item != *name && !known.contains(&more.item));
        let missing = limit - chosen.len();
        chosen.extend(more.take(missing));
        chosen
    }

    fn bought_together(&self, name: &ItemId) -> Vec<Recommendation> {
        let item = self.keys.get(name).and_then(|key| self.items.get(key));
        let partners = item.map_or(&[][..], |item| &item.partners);
        let mut known: Vec<Recommendation> = partners
            .iter()
            .filter_map(|(key, score)| {
                let item = self.items.get(key)?.name.clone();
                Some(Recommendation { item, score: *score, reason: Reason::BoughtTogether })
            })
            .collect();
        known.sort_by(|a, b| (Reverse(a.score), &a.item).cmp(&(Reverse(b.score), &b.item)));
        known
    }

    /// The items in most orders, most first.
    pub fn popular(&self, limit: usize) -> Vec<Recommendation> {
        self.by_popularity().take(limit).collect()
    }

    fn by_popularity(&self) -> impl Iterator<Item = Recommendation> {
        self.ranking.iter().rev().filter_map(|(score, key)| {
            let item = self.items.get(key)?.name.clone();
            Some(Recommendation { item, score: *score, reason: Reason::Popular })
        })
    }

    /// Items known now.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// Items that gave way so far.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }
}

fn count_partner(partners: &mut Vec<(Key, u64)>, partner: Key) {
    if let Some((_, count)) = partners.iter_mut().find(|(key, _)| *key == partner) {
        *count += 1;
    } else if partners.len() < MAX_PARTNERS {
        partners.push((partner, 1));
    } else if let Some(rarest) = partners.iter_mut().min_by_key(|(_, count)| *count) {
        *rarest = (partner, rarest.1 + 1);
    }
}

#[cfg(test)]
mod tests;
