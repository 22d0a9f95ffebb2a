//! A panel's axes: where a time and a value lie, the marks, and the events drawn over them.

use std::fmt::Write;

use super::units;

/// Pixels: for the values' marks on the left, the times' below, and a little on the other sides.
const LEFT: f64 = 62.0;
const BELOW: f64 = 20.0;
const MARGIN: f64 = 8.0;
/// Pixels between two marks, at the least.
const APART: [f64; 2] = [62.0, 34.0];

/// An event of an annotation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    /// Unix seconds.
    pub(super) at: f64,
    pub(super) color: String,
}

/// The area that lines are drawn in, with what its pixels stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Pixels left of the area.
    pub(super) left: f64,
    /// Whether powers of ten are equally far apart.
    pub(super) log: bool,
}

impl Plot {
    /// For these values; their marks need the usual room.
    pub(super) fn new(size: [f64; 2], time: [f64; 2], values: [f64; 2]) -> Self {
        let [width, height] = size;
        let [low, high] = values;
        Self { width, height, start: time[0], end: time[1], low, high, left: LEFT, log: false }
    }

    pub(super) fn x(&self, at: f64) -> f64 {
        let share = (at - self.start) / (self.end - self.start);
        self.left + share * (self.width - self.left - MARGIN)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        let on = |value: f64| if self.log { value.max(self.low).log10() } else { value };
        let share = (on(value) - on(self.low)) / (on(self.high) - on(self.low));
        let bottom = self.height - BELOW;
        (bottom - share * (bottom - MARGIN)).clamp(-self.height, 2.0 * self.height)
    }

    /// Pixels from above to the line of times.
    pub(super) fn bottom(&self) -> f64 {
        self.height - BELOW
    }

    /// The lines of the grid with their times and values.
    pub(super) fn grid(&self, unit: &str) -> String {
        let mut svg = self.times();
        let number = (self.height / APART[1]).floor().clamp(2.0, 6.0);
        let marks = if self.log {
            units::powers(self.low, self.high)
        } else {
            units::marks(self.low, self.high, number, unit)
        };
        let step = marks.get(1).map_or(1.0, |second| second - marks[0]);
        for mark in marks {
            let y = self.y(mark);
            let text =
                if self.log { units::figure(mark, unit) } else { units::mark(mark, unit, step) };
            let (from, to) = (self.left, self.width - MARGIN);
            line(&mut svg, [from, y, to, y], "#e4e7e7", "");
            label(&mut svg, self.left - 6.0, y + 4.0, "end", &text);
        }
        svg
    }

    /// The times below, with their lines.
    pub(super) fn times(&self) -> String {
        let mut svg = String::new();
        let number = ((self.width - self.left) / APART[0]).floor().max(2.0);
        let step = units::round_time((self.end - self.start) / number);
        let mut at = (self.start / step).ceil() * step;
        while at <= self.end {
            let x = self.x(at);
            line(&mut svg, [x, MARGIN, x, self.bottom()], "#eef0f0", "");
            label(&mut svg, x, self.height - 5.0, "middle", &clock(at, step));
            at += step;
        }
        svg
    }

    /// The events of annotations.
    pub(super) fn events(&self, events: &[Event]) -> String {
        let mut svg = String::new();
        let (top, bottom) = (MARGIN, self.bottom());
        for Event { at, color } in events {
            let x = self.x(*at);
            line(&mut svg, [x, top, x, bottom], color, " stroke-dasharray='3 3'");
            let _ = write!(svg, "<path d='M{x:.1} {:.1}l4 6h-8z' fill='{color}'/>", bottom - 1.0);
        }
        svg
    }
}

fn line(svg: &mut String, [x1, y1, x2, y2]: [f64; 4], color: &str, more: &str) {
    let _ = write!(
        svg,
        "<line x1='{x1:.1}' y1='{y1:.1}' x2='{x2:.1}' y2='{y2:.1}' stroke='{color}'{more}/>"
    );
}

fn label(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = write!(svg, "<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}'>{text}</text>");
}

/// The time of day in UTC, to the second if the marks are.
fn clock(at: f64, step: f64) -> String {
    let seconds = at.rem_euclid(86_400.0) as u32;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if step < 60.0 {
        format!("{hour:02}:{minute:02}:{second:02}")
    } else {
        format!("{hour:02}:{minute:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_to_the_right_and_values_up() {
        let plot = Plot::new([300.0, 100.0], [0.0, 60.0], [0.0, 10.0]);
        assert!(plot.x(0.0) < plot.x(30.0) && plot.x(60.0) <= plot.width);
        assert!(plot.y(10.0) < plot.y(0.0) && plot.y(0.0) == plot.bottom());
        let log = Plot { log: true, low: 1.0, high: 100.0, ..plot };
        assert!((log.y(10.0) - (log.y(1.0) + log.y(100.0)) / 2.0).abs() < 1e-9);
        assert_eq!(clock(3_725.0, 60.0), "01:02");
        assert_eq!(clock(3_725.0, 5.0), "01:02:05");
    }
}
