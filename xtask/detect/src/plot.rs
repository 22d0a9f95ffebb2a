//! One picture of one series: what counts against the limit, the limit, and where something was said.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use watchdog_core::detector::Level;
use watchdog_core::replay::Alarm;
use watchdog_core::sample::Sample;
use watchdog_core::units::Bytes;

const SIZE: (u32, u32) = (960, 320);
/// Points drawn of a series; more cannot be told apart at this width.
const POINTS: usize = 1920;

/// Writes the picture as SVG.
///
/// # Errors
/// When the file cannot be written or there is nothing to draw.
pub fn draw(path: &Path, title: &str, samples: &[Sample], alarms: &[Alarm]) -> Result<()> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return Err(anyhow!("{title} has no samples"));
    };
    let hours = |t: f64| t / 3600.0;
    let used = |sample: &Sample| sample.used().as_f64();
    let limit = samples.iter().filter_map(|s| s.limit).map(Bytes::as_f64).fold(0.0, f64::max);
    let top = samples.iter().map(used).fold(limit, f64::max) * 1.05;
    let svg = SVGBackend::new(path, SIZE).into_drawing_area();
    let failed = |error: &dyn std::fmt::Display| anyhow!("cannot draw {}: {error}", path.display());
    svg.fill(&WHITE).map_err(|error| failed(&error))?;
    let mut chart = ChartBuilder::on(&svg)
        .caption(title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(70)
        .build_cartesian_2d(
            hours(first.at.0)..hours(last.at.0).max(hours(first.at.0) + 1e-6),
            0.0..top,
        )
        .map_err(|error| failed(&error))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("hours")
        .y_label_formatter(&|bytes| Bytes(*bytes as u64).to_string())
        .draw()
        .map_err(|error| failed(&error))?;
    for alarm in alarms {
        let colour = match alarm.output {
            Level::Calm => continue,
            Level::Suspect => YELLOW.mix(0.25),
            Level::Leak => RED.mix(0.25),
            Level::Imminent => MAGENTA.mix(0.35),
        };
        let area = [(hours(alarm.start.0), 0.0), (hours(alarm.end.0), top)];
        chart
            .draw_series([Rectangle::new(area, colour.filled())])
            .map_err(|error| failed(&error))?;
    }
    // Lowest and highest of each stretch, so that a thinned line keeps its peaks.
    let stretch = samples.len().div_ceil(POINTS / 2).max(1);
    let line = samples.chunks(stretch).flat_map(|part| {
        let by_use = |a: &&Sample, b: &&Sample| a.used().cmp(&b.used());
        let (low, high) = (part.iter().min_by(by_use), part.iter().max_by(by_use));
        let mut ends: Vec<_> = low.into_iter().chain(high).collect();
        ends.sort_by(|a, b| a.at.0.total_cmp(&b.at.0));
        ends.into_iter().map(|s| (hours(s.at.0), used(s)))
    });
    chart.draw_series(LineSeries::new(line, &BLUE)).map_err(|error| failed(&error))?;
    let limits =
        samples.iter().step_by(stretch).filter_map(|s| Some((hours(s.at.0), s.limit?.as_f64())));
    chart.draw_series(LineSeries::new(limits, &BLACK)).map_err(|error| failed(&error))?;
    svg.present().map_err(|error| failed(&error))?;
    Ok(())
}
