//! Which items a shopper looks at and orders: seeded, so that every run sends the same.

/// Items of the shop.
pub(crate) const ITEMS: u64 = 500;

/// A shopper's choices, one after the other (SplitMix64, Steele et al. 2014: any seed will do, also 0, 1, 2, …).
#[derive(Clone)]
pub(crate) struct Shopper(u64);

impl Shopper {
    pub(crate) fn number(number: usize) -> Self {
        Self(number as u64)
    }

    /// One of so many, all alike.
    pub(crate) fn pick(&mut self, of: usize) -> usize {
        (self.next() % of.max(1) as u64) as usize
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// The lowest of three draws: the first tenth of the items gets 27 % of the looks, the last 0.1 %.
    fn choice(&mut self) -> u64 {
        let mut draw = || self.next() % ITEMS;
        draw().min(draw()).min(draw())
    }

    /// An item to look at.
    pub(crate) fn item(&mut self) -> String {
        name(self.choice())
    }

    /// Two to four items that go together: neighbours in the catalogue.
    pub(crate) fn basket(&mut self) -> Vec<String> {
        let first = self.choice();
        let size = 2 + self.next() % 3;
        (first..first + size).map(|item| name(item % ITEMS)).collect()
    }
}

fn name(item: u64) -> String {
    format!("sku-{item:04}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_shopper_chooses_the_same_and_another_chooses_otherwise() {
        let choices = |number| {
            let mut shopper = Shopper::number(number);
            (0..20).map(|_| shopper.item()).collect::<Vec<_>>()
        };
        assert_eq!(choices(1), choices(1));
        assert_ne!(choices(1), choices(2));
    }

    #[test]
    fn few_items_get_most_of_the_looks() {
        let mut shopper = Shopper::number(0);
        let looks: Vec<u64> = (0..10_000).map(|_| shopper.choice()).collect();
        let first_tenth = looks.iter().filter(|item| **item < ITEMS / 10).count();
        let last_tenth = looks.iter().filter(|item| **item >= ITEMS - ITEMS / 10).count();
        assert!((2_500..2_900).contains(&first_tenth), "{first_tenth}");
        assert!(last_tenth < 50, "{last_tenth}");
    }

    #[test]
    fn a_basket_holds_two_to_four_different_items() {
        let mut shopper = Shopper::number(7);
        for _ in 0..1_000 {
            let mut basket = shopper.basket();
            let size = basket.len();
            basket.sort();
            basket.dedup();
            assert_eq!(basket.len(), size);
            assert!((2..=4).contains(&size));
        }
    }
}
