//! A scene as SVG.

use std::fmt::Write as _;
use std::io;

use quick_xml::Writer;
use quick_xml::events::BytesText;

use super::Theme;
use super::font::Weight;
use super::palette::{Ink, colour};
use super::scene::{Anchor, Place, SIZE, Shape};

/// Writes the scene. Letters are the reader's: DejaVu Sans where there is one.
pub(super) fn svg(scene: &[Shape], theme: Theme) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 1);
    let (width, height) = (SIZE.0.to_string(), SIZE.1.to_string());
    writer
        .create_element("svg")
        .with_attribute(("xmlns", "http://www.w3.org/2000/svg"))
        .with_attribute(("viewBox", format!("0 0 {width} {height}").as_str()))
        .with_attribute(("font-family", "DejaVu Sans, Verdana, sans-serif"))
        .write_inner_content(|writer| {
            writer
                .create_element("rect")
                .with_attribute(("width", width.as_str()))
                .with_attribute(("height", height.as_str()))
                .with_attribute(("fill", hex(theme, Ink::Paper).as_str()))
                .write_empty()?;
            scene.iter().try_for_each(|shape| element(writer, shape, theme))
        })?;
    Ok(writer.into_inner())
}

fn element(writer: &mut Writer<Vec<u8>>, shape: &Shape, theme: Theme) -> io::Result<()> {
    match shape {
        Shape::Line { through, ink, width, dash } => {
            let mut element = writer
                .create_element("polyline")
                .with_attribute(("points", points(through).as_str()))
                .with_attribute(("fill", "none"))
                .with_attribute(("stroke", hex(theme, *ink).as_str()))
                .with_attribute(("stroke-width", number(*width).as_str()))
                .with_attribute(("stroke-linejoin", "round"));
            element = match dash {
                Some([on, off]) => {
                    let dash = format!("{} {}", number(*on), number(*off));
                    element.with_attribute(("stroke-dasharray", dash.as_str()))
                }
                None => element.with_attribute(("stroke-linecap", "round")),
            };
            element.write_empty()?;
        }
        Shape::Area { around, ink, alpha } => {
            writer
                .create_element("polygon")
                .with_attribute(("points", points(around).as_str()))
                .with_attribute(("fill", hex(theme, *ink).as_str()))
                .with_attribute(("fill-opacity", number(*alpha).as_str()))
                .write_empty()?;
        }
        Shape::Dot { at, radius, ink } => {
            writer
                .create_element("circle")
                .with_attribute(("cx", number(at.0).as_str()))
                .with_attribute(("cy", number(at.1).as_str()))
                .with_attribute(("r", number(*radius).as_str()))
                .with_attribute(("fill", hex(theme, *ink).as_str()))
                .write_empty()?;
        }
        Shape::Text { .. } => text(writer, shape, theme)?,
    }
    Ok(())
}

fn text(writer: &mut Writer<Vec<u8>>, shape: &Shape, theme: Theme) -> io::Result<()> {
    let Shape::Text { at, text, size, ink, weight, anchor, rim } = shape else { return Ok(()) };
    let anchor = match anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let mut element = writer
        .create_element("text")
        .with_attribute(("x", number(at.0).as_str()))
        .with_attribute(("y", number(at.1).as_str()))
        .with_attribute(("font-size", number(*size).as_str()))
        .with_attribute(("text-anchor", anchor))
        .with_attribute(("fill", hex(theme, *ink).as_str()));
    if *weight == Weight::Bold {
        element = element.with_attribute(("font-weight", "bold"));
    }
    if *rim {
        element = element
            .with_attribute(("stroke", hex(theme, Ink::Paper).as_str()))
            .with_attribute(("stroke-width", "10"))
            .with_attribute(("stroke-linejoin", "round"))
            .with_attribute(("paint-order", "stroke"));
    }
    element.write_text_content(BytesText::new(text))?;
    Ok(())
}

fn points(places: &[Place]) -> String {
    let mut out = String::with_capacity(places.len() * 12);
    for (x, y) in places {
        // Writing to a string cannot fail.
        let _ = write!(out, "{},{} ", number(*x), number(*y));
    }
    out.truncate(out.trim_end().len());
    out
}

/// A tenth of a pixel is finer than anybody sees.
fn number(value: f32) -> String {
    let text = format!("{value:.2}");
    text.strip_suffix(".0").map(ToOwned::to_owned).unwrap_or(text)
}

fn hex(theme: Theme, ink: Ink) -> String {
    let (r, g, b) = colour(theme, ink);
    format!("#{r:02x}{g:02x}{b:02x}")
}
