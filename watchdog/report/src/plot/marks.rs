//! Where the labels of marks go, so that none covers another.

/// Rows of labels at most.
pub(super) const ROWS: usize = 2;
/// Marks drawn at most, the newest ones: more lines are a hatching.
pub(super) const MOST: usize = 16;
/// Pixels between two labels.
const APART: f32 = 18.0;

/// A label's place: its left end and its row, the lowest one first.
pub(super) type Slot = Option<(f32, usize)>;

/// A slot for each label of this middle and width, within `left` and `right`; `None` where there is no room left. The
/// first of them choose first.
pub(super) fn slots(labels: &[(f32, f32)], left: f32, right: f32) -> Vec<Slot> {
    let mut taken: Vec<(usize, f32, f32)> = Vec::new();
    let slot = |(middle, width): &(f32, f32)| {
        let start = (middle - width / 2.0).min(right - width).max(left);
        let end = start + width;
        let free = |row: &usize| {
            taken.iter().all(|(other, from, to)| {
                other != row || end + APART <= *from || *to + APART <= start
            })
        };
        let row = (0..ROWS).find(free).filter(|_| end <= right + 1.0)?;
        taken.push((row, start, end));
        Some((start, row))
    };
    labels.iter().map(slot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_never_overlap_and_stay_inside() {
        let labels: Vec<(f32, f32)> = (0..40).map(|i| (i as f32 * 25.0, 120.0)).collect();
        let slots: Vec<_> = slots(&labels, 0.0, 1000.0).into_iter().flatten().collect();
        assert!(slots.len() >= 10, "{}", slots.len());
        for (index, (start, row)) in slots.iter().enumerate() {
            assert!((0.0..=880.0).contains(start) && *row < ROWS);
            for (other, other_row) in &slots[index + 1..] {
                assert!(row != other_row || (start - other).abs() >= 120.0 + APART);
            }
        }
    }

    #[test]
    fn what_is_too_wide_has_no_place() {
        assert_eq!(slots(&[(5.0, 2000.0)], 0.0, 1000.0), [None]);
    }
}
