//! The picture's arrangement: title, legend, marks, scales, series, limit and forecast.

use super::font::{Font, FontError, Weight};
use super::forecast;
use super::marks::{self, slots};
use super::palette::Ink;
use super::scene::{Anchor, LABEL, Place, SIZE, Shape, label};
use super::series::{stretches, thinned};
use super::span::{Ahead, Frame, Point, Shown, timed};
use super::{Plot, ticks};
use crate::message;
use watchdog_core::history::Row;

/// Pixels from the edge to anything.
const MARGIN: f32 = 28.0;
/// Pixels for the labels of the memory scale.
const SCALE: f32 = 166.0;
/// From one line of text to the next.
const LEADING: f32 = 48.0;
/// Pixels an em of the title.
const TITLE: f32 = 38.0;
/// Times on the scale at most: what has room at the size of its labels.
const TIMES: usize = 6;
/// Pixels of a line in the legend.
const SWATCH: f32 = 42.0;
/// Pixels between two labels at least.
const APART: f32 = 16.0;
const MEMORY_WIDTH: f32 = 5.0;
const ALLOCATOR_WIDTH: f32 = 4.0;
const LIMIT_WIDTH: f32 = 4.0;

/// Everything that is drawn, in order.
pub(super) fn compose(plot: &Plot<'_>) -> Result<Vec<Shape>, FontError> {
    let series = Series::of(plot);
    let ahead = plot.kill.and_then(|kill| Ahead::of(kill, plot.now));
    let shown = Shown::of(series.from, series.peak, plot.limit, ahead);
    let foretold = ahead.zip(shown.limit).zip(series.memory.last().copied());
    let foretold = foretold.map(|((ahead, limit), origin)| (origin, limit, ahead));
    let mut scene = Vec::new();
    let mut y = MARGIN;
    title(&mut scene, plot, &mut y)?;
    legend(&mut scene, plot, &series, foretold.is_some(), &mut y)?;
    let mut frame = Frame {
        shown,
        left: MARGIN + SCALE,
        right: f32::from(SIZE.0) - MARGIN - 8.0,
        top: y + 10.0,
        bottom: f32::from(SIZE.1) - MARGIN - LEADING,
    };
    let marks = placed_marks(plot, &mut frame)?;
    amounts(&mut scene, &frame);
    times(&mut scene, plot, &frame)?;
    scene.extend(marks);
    if let Some((origin, limit, ahead)) = foretold {
        forecast::cone(&mut scene, &frame, origin, limit, ahead);
    }
    lines(&mut scene, &frame, &series);
    limit(&mut scene, plot, &frame, foretold.map(|foretold| foretold.2))?;
    if series.memory.is_empty() {
        let middle = ((frame.left + frame.right) / 2.0, (frame.top + frame.bottom) / 2.0);
        scene.push(label(middle, "no measurements", Ink::Muted, Anchor::Middle));
    }
    Ok(scene)
}

/// The series of a plot, thinned to what can be told apart.
struct Series {
    memory: Vec<Point>,
    allocated: Vec<Point>,
    resident: Vec<Point>,
    /// The first second.
    from: f64,
    /// The most bytes.
    peak: f64,
}

impl Series {
    fn of(plot: &Plot<'_>) -> Self {
        let rows = || timed(plot.rows, plot.now);
        let from = rows().next().map_or(0.0, |(t, _)| t);
        let step = (-from / f64::from(SIZE.0)).max(f64::MIN_POSITIVE);
        let of = |value: fn(&Row) -> Option<f64>| {
            thinned(rows().filter_map(|(t, row)| Some((t, value(row)?))), step)
        };
        let memory = of(|row| Some(row.unreclaimable.as_f64()));
        let allocated = of(|row| Some(row.allocator?.allocated.as_f64()));
        let resident = of(|row| Some(row.allocator?.resident.as_f64()));
        let all = memory.iter().chain(&allocated).chain(&resident);
        let peak = all.map(|point| point.1).fold(0.0, f64::max);
        Self { memory, allocated, resident, from, peak }
    }
}

/// In one line, or in two.
fn title(scene: &mut Vec<Shape>, plot: &Plot<'_>, y: &mut f32) -> Result<(), FontError> {
    // Longer than any line is wide.
    let title = message::truncated(&message::clean(&plot.title), 400);
    let font = Font::new(Weight::Bold, TITLE)?;
    let width = f32::from(SIZE.0) - 2.0 * MARGIN;
    let (first, second) = font.broken(title.trim(), width);
    for line in [first, second].into_iter().filter(|line| !line.is_empty()) {
        *y += LEADING;
        scene.push(Shape::Text {
            at: (MARGIN, *y - 12.0),
            text: font.fitted(line, width),
            size: TITLE,
            ink: Ink::Text,
            weight: Weight::Bold,
            anchor: Anchor::Start,
            rim: false,
        });
    }
    Ok(())
}

fn legend(
    scene: &mut Vec<Shape>,
    plot: &Plot<'_>,
    series: &Series,
    foretold: bool,
    y: &mut f32,
) -> Result<(), FontError> {
    let font = Font::new(Weight::Regular, LABEL)?;
    *y += LEADING;
    let baseline = *y - 10.0;
    let entries = [
        (!series.memory.is_empty(), "memory", Ink::Memory, MEMORY_WIDTH, None),
        (!series.allocated.is_empty(), "allocated", Ink::Allocated, ALLOCATOR_WIDTH, None),
        (!series.resident.is_empty(), "resident", Ink::Resident, ALLOCATOR_WIDTH, None),
        (foretold, "forecast", Ink::Forecast, forecast::WIDTH, Some(forecast::DASH)),
    ];
    let mut x = MARGIN;
    for (_, text, ink, width, dash) in entries.into_iter().filter(|entry| entry.0) {
        let level = baseline - LABEL * 0.36;
        let through = vec![(x, level), (x + SWATCH, level)];
        scene.push(Shape::Line { through, ink, width, dash });
        scene.push(label((x + SWATCH + 10.0, baseline), text, Ink::Text, Anchor::Start));
        x += SWATCH + 10.0 + font.width(text) + 24.0;
    }
    let clock = message::clock(plot.now);
    let time = clock.split_once(' ').map_or(clock.as_str(), |(_, time)| time);
    let right = f32::from(SIZE.0) - MARGIN;
    if x + font.width(time) < right {
        scene.push(label((right, baseline), time, Ink::Muted, Anchor::End));
    }
    Ok(())
}

/// The marks' lines and labels; the frame gives up the room for the labels.
fn placed_marks(plot: &Plot<'_>, frame: &mut Frame) -> Result<Vec<Shape>, FontError> {
    let font = Font::new(Weight::Regular, LABEL)?;
    let marks = plot.marks.iter().rev().filter_map(|mark| {
        let t = mark.at.0 - plot.now.0;
        let inside = (frame.shown.from..=frame.shown.to).contains(&t);
        let text = message::truncated(message::clean(&mark.label).trim(), 40);
        inside.then_some((t, text))
    });
    let marks: Vec<(f64, String)> = marks.take(marks::MOST).collect();
    let labels: Vec<_> = marks.iter().map(|(t, text)| (frame.x(*t), font.width(text))).collect();
    let slots = slots(&labels, MARGIN, f32::from(SIZE.0) - MARGIN / 2.0);
    let rows = slots.iter().flatten().map(|slot| slot.1 + 1).max().unwrap_or(0);
    frame.top += rows as f32 * LEADING;
    let (mut lines, mut texts) = (Vec::new(), Vec::new());
    for ((t, text), slot) in marks.into_iter().zip(slots) {
        let x = frame.x(t);
        let floor = frame.top - slot.map_or(0, |slot| slot.1) as f32 * LEADING;
        let top = if slot.is_some() { floor - LABEL } else { floor };
        let through = vec![(x, top), (x, frame.bottom)];
        lines.push(Shape::Line { through, ink: Ink::Muted, width: 3.0, dash: Some([3.0, 7.0]) });
        if let Some((start, _)) = slot {
            texts.push(label((start, floor - 10.0), text, Ink::Muted, Anchor::Start).with_rim());
        }
    }
    lines.append(&mut texts);
    Ok(lines)
}

fn amounts(scene: &mut Vec<Shape>, frame: &Frame) {
    for bytes in ticks::amounts(frame.shown.top) {
        let y = frame.y(bytes as f64);
        let through = vec![(frame.left, y), (frame.right, y)];
        scene.push(Shape::Line { through, ink: Ink::Grid, width: 2.0, dash: None });
        // Without anything measured the scale means nothing.
        if frame.shown.known {
            let place = (frame.left - 14.0, y + LABEL * 0.36);
            scene.push(label(place, ticks::amount(bytes), Ink::Muted, Anchor::End));
        }
    }
}

/// Now first: it is never left out for want of room.
fn times(scene: &mut Vec<Shape>, plot: &Plot<'_>, frame: &Frame) -> Result<(), FontError> {
    let font = Font::new(Weight::Regular, LABEL)?;
    // Up to the limit: above it stands when the kill is.
    let top = frame.shown.limit.map_or(frame.top, |limit| frame.y(limit));
    let now = vec![(frame.x(0.0), top), (frame.x(0.0), frame.bottom)];
    scene.push(Shape::Line { through: now, ink: Ink::Muted, width: 2.0, dash: None });
    let (mut times, step) = ticks::times(frame.shown.from, frame.shown.to, TIMES);
    times.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let mut taken: Vec<(f32, f32)> = Vec::new();
    for t in times {
        let (x, text) = (frame.x(t), ticks::time(t, step, plot.zero));
        let through = vec![(x, frame.bottom), (x, frame.bottom + 10.0)];
        scene.push(Shape::Line { through, ink: Ink::Muted, width: 2.0, dash: None });
        let width = font.width(&text);
        let left = (x - width / 2.0).min(f32::from(SIZE.0) - MARGIN / 2.0 - width);
        let free = |(from, to): &(f32, f32)| left + width + APART < *from || *to + APART < left;
        if taken.iter().all(free) {
            taken.push((left, left + width));
            let ink = if t == 0.0 { Ink::Text } else { Ink::Muted };
            scene.push(label((left, frame.bottom + 14.0 + LABEL), text, ink, Anchor::Start));
        }
    }
    Ok(())
}

fn lines(scene: &mut Vec<Shape>, frame: &Frame, series: &Series) {
    for stretch in stretches(&series.memory, frame.resolution()) {
        let mut around: Vec<Place> = stretch.iter().map(|point| frame.place(*point)).collect();
        if let (Some(first), Some(last)) = (around.first().copied(), around.last().copied()) {
            around.extend([(last.0, frame.bottom), (first.0, frame.bottom)]);
            scene.push(Shape::Area { around, ink: Ink::Memory, alpha: 0.12 });
        }
    }
    for (points, ink, width) in [
        (&series.resident, Ink::Resident, ALLOCATOR_WIDTH),
        (&series.allocated, Ink::Allocated, ALLOCATOR_WIDTH),
        (&series.memory, Ink::Memory, MEMORY_WIDTH),
    ] {
        for stretch in stretches(points, frame.resolution()) {
            let through: Vec<Place> = stretch.iter().map(|point| frame.place(*point)).collect();
            scene.push(match through[..] {
                [at] => Shape::Dot { at, radius: width, ink },
                _ => Shape::Line { through, ink, width, dash: None },
            });
        }
    }
}

/// The limit's line and label, and where and when it is met. If the labels would meet, the limit's goes under its line.
fn limit(
    scene: &mut Vec<Shape>,
    plot: &Plot<'_>,
    frame: &Frame,
    ahead: Option<Ahead>,
) -> Result<(), FontError> {
    let Some(limit) = plot.limit else { return Ok(()) };
    let mut text = format!("limit {}", ticks::amount(limit.0));
    let left = frame.left + 12.0;
    let baseline = match frame.shown.limit {
        Some(bytes) => {
            let y = frame.y(bytes);
            let through = vec![(frame.left, y), (frame.right, y)];
            scene.push(Shape::Line { through, ink: Ink::Text, width: LIMIT_WIDTH, dash: None });
            let kill = match ahead {
                Some(ahead) => forecast::kill(scene, frame, y, ahead)?,
                None => None,
            };
            let right = left + Font::new(Weight::Regular, LABEL)?.width(&text) + APART;
            if kill.is_some_and(|kill| kill < right) { y + LABEL + 8.0 } else { y - 14.0 }
        }
        None => {
            text.push_str(" ↑");
            frame.top + LABEL
        }
    };
    scene.push(label((left, baseline), text, Ink::Text, Anchor::Start).with_rim());
    Ok(())
}
