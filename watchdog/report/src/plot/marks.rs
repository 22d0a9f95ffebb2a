//! Where the labels of marks go, so that none covers another.

/// Rows of labels at most.
pub(super) const ROWS: usize = 2;
/// Marks drawn at most, the newest ones: more lines are a hatching.
pub(super) const MOST: usize = 16;
/// Pixels between two labels.
const APART: f32 = 16.0;

/// Pixels from a mark's line to its label.
const ASIDE: f32 = 8.0;

/// A label's place: its left end and its row, the lowest one first.
pub(super) type Slot = Option<(f32, usize)>;

/// A slot for each mark of this place and width of label, within `left` and `right`; `None` where there is no room left.
/// A label stands to the right of its line like a flag, else to its left. The first of them choose first.
pub(super) fn slots(marks: &[(f32, f32)], left: f32, right: f32) -> Vec<Slot> {
    let mut taken: Vec<(usize, f32, f32)> = Vec::new();
    let slot = |(x, width): &(f32, f32)| {
        let sides = [x + ASIDE, x - ASIDE - width];
        let places = (0..ROWS).flat_map(|row| sides.map(|start| (start, row)));
        let fits = |(start, row): &(f32, usize)| {
            let end = start + width;
            let apart = |(other, from, to): &(usize, f32, f32)| {
                other != row || end + APART <= *from || *to + APART <= *start
            };
            *start >= left && end <= right && taken.iter().all(apart)
        };
        let (start, row) = places.into_iter().find(fits)?;
        taken.push((row, start, start + width));
        Some((start, row))
    };
    marks.iter().map(slot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_never_overlap_and_stay_inside() {
        let marks: Vec<(f32, f32)> = (0..40).map(|i| (i as f32 * 25.0, 120.0)).collect();
        let slots: Vec<_> = slots(&marks, 0.0, 1000.0).into_iter().flatten().collect();
        assert!(slots.len() >= 10, "{}", slots.len());
        for (index, (start, row)) in slots.iter().enumerate() {
            assert!((0.0..=880.0).contains(start) && *row < ROWS);
            for (other, other_row) in &slots[index + 1..] {
                assert!(row != other_row || (start - other).abs() >= 120.0 + APART);
            }
        }
    }

    #[test]
    fn two_marks_side_by_side_share_a_row() {
        let slots = slots(&[(500.0, 130.0), (480.0, 160.0)], 0.0, 1000.0);
        assert_eq!(slots, [Some((508.0, 0)), Some((312.0, 0))]);
    }

    #[test]
    fn what_is_too_wide_has_no_place() {
        assert_eq!(slots(&[(5.0, 2000.0)], 0.0, 1000.0), [None]);
    }
}
