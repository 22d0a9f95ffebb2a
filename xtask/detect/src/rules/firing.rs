//! From evaluations at which a condition holds to the time its alert fires.

/// Firing intervals of an alert, in the unit of the steps.
///
/// As Prometheus does (rules/alerting.go): the alert is pending from the first evaluation at which the condition holds
/// and fires at the first one that is `hold` later, if it held at each between; one miss starts over. A firing alert
/// ends at the first evaluation at which the condition has been gone for `keep`; it ends with the last evaluation if it
/// fires until then.
pub(super) fn intervals(
    steps: impl IntoIterator<Item = (i64, bool)>,
    hold: i64,
    keep: i64,
) -> Vec<(i64, i64)> {
    let mut found = Vec::new();
    let (mut pending, mut firing, mut gone, mut last) = (None, None, None, None);
    for (at, holds) in steps {
        last = Some(at);
        if holds {
            gone = None;
            let since = *pending.get_or_insert(at);
            if at - since >= hold {
                firing.get_or_insert(at);
            }
        } else if let Some(start) = firing {
            if at - *gone.get_or_insert(at) >= keep {
                found.push((start, at));
                (pending, firing, gone) = (None, None, None);
            }
        } else {
            pending = None;
        }
    }
    found.extend(firing.zip(last));
    found
}

/// The time at which any of several alerts fires: intervals that overlap or touch become one.
pub(super) fn any(mut intervals: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    intervals.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let mut merged: Vec<(f64, f64)> = Vec::with_capacity(intervals.len());
    for (start, end) in intervals {
        match merged.last_mut() {
            Some(before) if start <= before.1 => before.1 = before.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One evaluation a character; the condition holds at an `x`.
    fn of(text: &str, hold: i64, keep: i64) -> Vec<(i64, i64)> {
        intervals(text.chars().enumerate().map(|(at, c)| (at as i64, c == 'x')), hold, keep)
    }

    #[test]
    fn without_a_hold_it_fires_at_once_and_ends_at_the_first_miss() {
        assert_eq!(of("..xx.x.", 0, 0), [(2, 4), (5, 6)]);
    }

    #[test]
    fn it_fires_only_when_the_hold_is_over() {
        assert_eq!(of("xx.xxxx.", 3, 0), [(6, 7)]);
        assert_eq!(of("xxx.xxx", 3, 0), []);
    }

    #[test]
    fn it_lasts_to_the_end_when_it_never_stops() {
        assert_eq!(of(".xxx", 2, 0), [(3, 3)]);
        assert_eq!(of(".xxxx", 2, 0), [(3, 4)]);
    }

    #[test]
    fn a_kept_alert_survives_a_short_absence() {
        assert_eq!(of("xx..x...x", 0, 3), [(0, 8)]);
        assert_eq!(of("xx....x", 0, 3), [(0, 5), (6, 6)]);
        assert_eq!(of("x.xx", 1, 3), [(3, 3)], "one that is pending is not kept");
    }

    #[test]
    fn intervals_that_touch_are_one() {
        assert_eq!(
            any(vec![(5.0, 7.0), (0.0, 2.0), (2.0, 3.0), (6.0, 6.5)]),
            [(0.0, 3.0), (5.0, 7.0)]
        );
        assert_eq!(any(vec![]), []);
    }
}
