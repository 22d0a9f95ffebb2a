//! Memory in pieces of one size, written to, so that what is allocated is also what becomes resident.

/// One piece. The largest of jemalloc's small size classes: two of them fill seven pages. At 16 KiB, a large class,
/// each would take a page of padding, and the process would grow by a quarter more than it was told.
pub const PIECE_BYTES: usize = 14 << 10;

/// Runs `keep` as often as whole pieces of `size` bytes fit into the budget and returns what they took.
pub fn pieces(budget: u64, size: usize, mut keep: impl FnMut()) -> u64 {
    let size = (size as u64).max(1);
    let pieces = budget / size;
    (0..pieces).for_each(|_| keep());
    pieces * size
}

/// A copy source of that size with no zero in it: pages that are never written to would be allocated without becoming
/// resident.
pub fn written(size: usize) -> Box<[u8]> {
    let entry = br#"{"item":"sku-0001","score":1,"reason":"popular"},"#;
    entry.iter().copied().cycle().take(size).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pieces_are_kept_and_what_is_left_over_is_not_taken() {
        let mut kept = 0;
        assert_eq!(pieces(35, 10, || kept += 1), 30);
        assert_eq!(kept, 3);
        assert_eq!(pieces(9, 10, || kept += 1), 0);
        assert_eq!(kept, 3);
        assert!(written(1000).iter().all(|byte| *byte != 0));
    }
}
