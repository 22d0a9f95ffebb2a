//! The rows of a target's plot, cut to a window and thinned to a step.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use watchdog_core::history::Row;

use crate::api::targets::unknown;
use crate::error::{ApiError, Name, Params};
use crate::routes::Shared;

/// The window in seconds since the Unix epoch, both ends included, and the step in seconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    from: Option<f64>,
    to: Option<f64>,
    step: Option<f64>,
}

/// Answer of `/api/v1/targets/{target}/series`.
#[derive(Serialize)]
pub(crate) struct Series {
    target: String,
    rows: Vec<Row>,
}

/// `GET /api/v1/targets/{target}/series?from&to&step`
pub(crate) async fn series(
    State(shared): State<Shared>,
    Name(name): Name,
    Params(window): Params<Window>,
) -> Result<Json<Series>, ApiError> {
    window.check()?;
    let rows = shared.source.series(&name).ok_or_else(|| unknown(&name))?;
    Ok(Json(Series { target: name, rows: window.cut(rows) }))
}

impl Window {
    fn check(&self) -> Result<(), ApiError> {
        let (from, to) = (self.from.unwrap_or(0.0), self.to.unwrap_or(f64::MAX));
        if !(from.is_finite() && to.is_finite() && from <= to) {
            let text =
                "`from` and `to` are seconds since the Unix epoch, and `from` is not after `to`";
            return Err(ApiError::bad_request(text));
        }
        if self.step.is_some_and(|step| !(step.is_finite() && step > 0.0)) {
            return Err(ApiError::bad_request("`step` is a number of seconds above zero"));
        }
        Ok(())
    }

    /// Rows inside the window; of each step the last one, as the series itself keeps the last of its intervals.
    fn cut(&self, rows: Vec<Row>) -> Vec<Row> {
        let from = self.from.unwrap_or(f64::MIN);
        let to = self.to.unwrap_or(f64::MAX);
        let mut kept: Vec<Row> = Vec::new();
        for row in rows.into_iter().filter(|row| (from..=to).contains(&row.wall.0)) {
            let same_step = |last: &Row| {
                self.step
                    .is_some_and(|step| (row.wall.0 / step).floor() == (last.wall.0 / step).floor())
            };
            match kept.last_mut() {
                Some(last) if same_step(last) => *last = row,
                _ => kept.push(row),
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use watchdog_core::units::{Bytes, Moment, WallTime};

    use super::*;

    fn rows() -> Vec<Row> {
        let row = |i: u32| Row {
            at: Moment(f64::from(i)),
            wall: WallTime(1000.0 + f64::from(i)),
            unreclaimable: Bytes(u64::from(i)),
            rss: Bytes(0),
            shmem: Bytes(0),
            file: Bytes(0),
            limit: None,
            allocator: None,
            load: None,
        };
        (0..10).map(row).collect()
    }

    fn cut(from: Option<f64>, to: Option<f64>, step: Option<f64>) -> Vec<u64> {
        Window { from, to, step }.cut(rows()).iter().map(|row| row.unreclaimable.0).collect()
    }

    #[test]
    fn a_window_keeps_both_its_ends() {
        assert_eq!(cut(Some(1003.0), Some(1006.0), None), [3, 4, 5, 6]);
        assert_eq!(cut(None, None, None).len(), 10);
    }

    #[test]
    fn a_step_keeps_its_last_row() {
        assert_eq!(cut(None, None, Some(4.0)), [3, 7, 9]);
    }
}
