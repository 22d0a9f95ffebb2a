//! A scene as PNG.

use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, PathBuilder, Pixmap, Stroke, StrokeDash, Transform,
};
use ttf_parser::OutlineBuilder;

use super::font::Font;
use super::palette::{Ink, colour};
use super::scene::{Anchor, Place, SIZE, Shape};
use super::{PlotError, Theme};

/// The rim of paper round a text.
const RIM: f32 = 10.0;

/// Paints the scene.
pub(super) fn png(scene: &[Shape], theme: Theme) -> Result<Vec<u8>, PlotError> {
    let mut canvas = Canvas::new(theme)?;
    for shape in scene {
        canvas.draw(shape)?;
    }
    encode(&canvas.pixels)
}

struct Canvas {
    pixels: Pixmap,
    theme: Theme,
}

impl Canvas {
    fn new(theme: Theme) -> Result<Self, PlotError> {
        let (width, height) = (u32::from(SIZE.0), u32::from(SIZE.1));
        let mut pixels = Pixmap::new(width, height).ok_or(PlotError::Canvas)?;
        let (r, g, b) = colour(theme, Ink::Paper);
        pixels.fill(Color::from_rgba8(r, g, b, 255));
        Ok(Self { pixels, theme })
    }

    fn draw(&mut self, shape: &Shape) -> Result<(), PlotError> {
        match shape {
            Shape::Line { through, ink, width, dash } => {
                let mut path = PathBuilder::new();
                trace(&mut path, through);
                let dash = dash.and_then(|dash| StrokeDash::new(dash.to_vec(), 0.0));
                self.stroke(path, *ink, *width, dash);
            }
            Shape::Area { around, ink, alpha } => {
                let mut path = PathBuilder::new();
                trace(&mut path, around);
                path.close();
                self.fill(path, *ink, *alpha);
            }
            Shape::Dot { at, radius, ink } => {
                let mut path = PathBuilder::new();
                path.push_circle(at.0, at.1, *radius);
                self.fill(path, *ink, 1.0);
            }
            Shape::Text { at, text, size, ink, weight, anchor, rim } => {
                let font = Font::new(*weight, *size)?;
                let path = outlined(&font, text, *at, *anchor);
                if *rim {
                    self.stroke(path.clone(), Ink::Paper, RIM, None);
                }
                self.fill(path, *ink, 1.0);
            }
        }
        Ok(())
    }

    /// A path that encloses or joins nothing is nothing to paint.
    fn stroke(&mut self, path: PathBuilder, ink: Ink, width: f32, dash: Option<StrokeDash>) {
        let Some(path) = path.finish() else { return };
        let line_cap = if dash.is_some() { LineCap::Butt } else { LineCap::Round };
        let stroke =
            Stroke { width, line_cap, line_join: LineJoin::Round, dash, ..Stroke::default() };
        let paint = self.paint(ink, 1.0);
        self.pixels.stroke_path(&path, &paint, &stroke, Transform::identity(), None);
    }

    fn fill(&mut self, path: PathBuilder, ink: Ink, alpha: f32) {
        let Some(path) = path.finish() else { return };
        let paint = self.paint(ink, alpha);
        self.pixels.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
    }

    fn paint(&self, ink: Ink, alpha: f32) -> Paint<'static> {
        let (r, g, b) = colour(self.theme, ink);
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        paint.set_color_rgba8(r, g, b, (alpha.clamp(0.0, 1.0) * 255.0) as u8);
        paint
    }
}

fn trace(path: &mut PathBuilder, places: &[Place]) {
    let Some((first, rest)) = places.split_first() else { return };
    path.move_to(first.0, first.1);
    for place in rest {
        path.line_to(place.0, place.1);
    }
}

fn outlined(font: &Font, text: &str, (x, y): Place, anchor: Anchor) -> PathBuilder {
    let left = match anchor {
        Anchor::Start => x,
        Anchor::Middle => x - font.width(text) / 2.0,
        Anchor::End => x - font.width(text),
    };
    let mut outline = Outline(PathBuilder::new());
    font.outline(text, (left, y), &mut outline);
    outline.0
}

/// The painter's path as the font's.
struct Outline(PathBuilder);

impl OutlineBuilder for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.0.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.0.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// Row by row, so that no second copy of the picture is needed. The paper is opaque, so every pixel is.
fn encode(pixels: &Pixmap) -> Result<Vec<u8>, PlotError> {
    let mut out = Vec::with_capacity(64 * 1024);
    let mut encoder = png::Encoder::new(&mut out, pixels.width(), pixels.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Balanced);
    // Flat colours repeat better than their differences do.
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header()?;
    let mut stream = writer.stream_writer()?;
    let mut row = Vec::with_capacity(pixels.width() as usize * 3);
    for line in pixels.pixels().chunks(pixels.width() as usize) {
        row.clear();
        row.extend(line.iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]));
        std::io::Write::write_all(&mut stream, &row).map_err(png::EncodingError::from)?;
    }
    stream.finish()?;
    writer.finish()?;
    Ok(out)
}
