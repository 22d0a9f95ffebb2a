//! The forecast: a cone from what is used now to the limit, and the stretch of the limit where it is met.

use super::font::{Font, FontError, Weight};
use super::palette::Ink;
use super::scene::{Anchor, LABEL, Place, Shape};
use super::span::{Ahead, Frame, Point};
use watchdog_core::units::span;

/// The estimate's line.
pub(super) const WIDTH: f32 = 5.0;
/// The estimate's dashes, on and off.
pub(super) const DASH: [f32; 2] = [16.0, 10.0];
/// The stretch of the limit between the soonest and the latest time.
const BAR: f32 = 12.0;

/// The cone from `origin`, and the estimate's line.
pub(super) fn cone(scene: &mut Vec<Shape>, frame: &Frame, origin: Point, limit: f64, ahead: Ahead) {
    let end = frame.shown.to;
    let soonest = toward(origin, (ahead.low, limit), end);
    let latest = match ahead.high {
        Some(high) => toward(origin, (high, limit), end),
        // It may stop growing at once.
        None => (end, origin.1.min(limit)),
    };
    // Between the two edges: along the limit, and down the right side where the cone is wider than the picture.
    let mut around = vec![origin, soonest];
    if soonest.0 < latest.0 && latest.1 < limit {
        around.push((end, soonest.1.max(latest.1)));
    }
    around.push(latest);
    let around: Vec<Place> = around.into_iter().map(|point| frame.place(point)).collect();
    scene.push(Shape::Area { around, ink: Ink::Forecast, alpha: 0.22 });
    let through = [origin, toward(origin, (ahead.estimate, limit), end)];
    scene.push(Shape::Line {
        through: through.map(|point| frame.place(point)).to_vec(),
        ink: Ink::Forecast,
        width: WIDTH,
        dash: Some(DASH),
    });
}

/// Where the way from `origin` to `goal` ends: there, or at the end of the picture.
fn toward(origin: Point, goal: Point, end: f64) -> Point {
    if goal.0 <= end {
        return goal;
    }
    let share = (end - origin.0) / (goal.0 - origin.0);
    (end, origin.1 + (goal.1 - origin.1) * share)
}

/// Where the limit, which lies at `y`, is met, and how soon in words; gives the left end of the words.
pub(super) fn kill(
    scene: &mut Vec<Shape>,
    frame: &Frame,
    y: f32,
    ahead: Ahead,
) -> Result<Option<f32>, FontError> {
    let end = frame.shown.to;
    if ahead.low < end {
        let high = ahead.high.unwrap_or(end).min(end);
        let through = vec![(frame.x(ahead.low), y), (frame.x(high) + 0.5, y)];
        scene.push(Shape::Line { through, ink: Ink::Forecast, width: BAR, dash: None });
    }
    if ahead.estimate > end {
        return Ok(None);
    }
    let middle = frame.x(ahead.estimate);
    scene.push(Shape::Dot { at: (middle, y), radius: BAR, ink: Ink::Forecast });
    let text = match ahead.estimate {
        0.0 => "killed any moment".to_owned(),
        seconds => format!("killed in {}", span(seconds)),
    };
    let width = Font::new(Weight::Bold, LABEL)?.width(&text);
    let left = (middle - width / 2.0).min(frame.right - width).max(frame.left);
    scene.push(Shape::Text {
        at: (left, y - 20.0),
        text,
        size: LABEL,
        ink: Ink::Text,
        weight: Weight::Bold,
        anchor: Anchor::Start,
        rim: true,
    });
    Ok(Some(left))
}
