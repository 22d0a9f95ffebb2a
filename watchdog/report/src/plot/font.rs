//! The letters: two small cuts of DejaVu Sans that travel in the program, as a container has no fonts.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId, OutlineBuilder};

static REGULAR: LazyLock<Option<Face<'static>>> =
    LazyLock::new(|| Face::parse(include_bytes!("../../assets/dejavu-sans-subset.ttf"), 0).ok());
static BOLD: LazyLock<Option<Face<'static>>> = LazyLock::new(|| {
    Face::parse(include_bytes!("../../assets/dejavu-sans-bold-subset.ttf"), 0).ok()
});

/// The embedded font cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the embedded font cannot be read: the program was built wrongly")]
pub struct FontError;

/// How heavy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Labels.
    Regular,
    /// Titles.
    Bold,
}

/// A font at a size in pixels an em.
pub(super) struct Font {
    face: &'static Face<'static>,
    scale: f32,
}

impl Font {
    /// The font of this weight.
    pub(super) fn new(weight: Weight, size: f32) -> Result<Self, FontError> {
        let face = match weight {
            Weight::Regular => REGULAR.as_ref(),
            Weight::Bold => BOLD.as_ref(),
        };
        let face = face.ok_or(FontError)?;
        Ok(Self { face, scale: size / f32::from(face.units_per_em().max(1)) })
    }

    /// The width of `text` in pixels.
    pub(super) fn width(&self, text: &str) -> f32 {
        text.chars().map(|c| self.advance(self.glyph(c))).sum()
    }

    /// `text` cut so that it is at most `width` pixels wide, the last letter an ellipsis when something was cut.
    pub(super) fn fitted(&self, text: &str, width: f32) -> String {
        let mut left = width - self.width("…");
        // Where to cut so that an ellipsis still fits.
        let mut cut = 0;
        let mut used = 0.0;
        for (at, c) in text.char_indices() {
            let advance = self.advance(self.glyph(c));
            used += advance;
            if used > width {
                return format!("{}…", text[..cut].trim_end());
            }
            left -= advance;
            if left >= 0.0 {
                cut = at + c.len_utf8();
            }
        }
        text.to_owned()
    }

    /// `text` in two lines of at most `width` pixels: before a bracket if that is in its latter half, else between words,
    /// but not within an amount; the second is longer where that does not do.
    pub(super) fn broken<'t>(&self, text: &'t str, width: f32) -> (&'t str, &'t str) {
        if self.width(text) <= width {
            return (text, "");
        }
        let last = |pattern: &str| {
            let fits = |end: &usize| self.width(&text[..*end]) <= width;
            let ends = text.match_indices(pattern).map(|(at, _)| at).take_while(fits);
            ends.filter(|end| !splits_amount(&text[..*end], &text[*end..])).last()
        };
        let bracket = last(" (").filter(|end| self.width(&text[..*end]) > width / 2.0);
        match bracket.or_else(|| last(" ")) {
            Some(end) => (&text[..end], text[end..].trim_start()),
            None => (text, ""),
        }
    }

    /// Gives the outlines of `text` to `builder`, its first letter's origin at `(x, y)`, y downwards.
    pub(super) fn outline(&self, text: &str, (x, y): (f32, f32), builder: &mut dyn OutlineBuilder) {
        let mut placed = Placed { builder, x, y, scale: self.scale };
        for c in text.chars() {
            let glyph = self.glyph(c);
            self.face.outline_glyph(glyph, &mut placed);
            placed.x += self.advance(glyph);
        }
    }

    /// What the font lacks is a replacement mark, so that nothing vanishes unseen.
    fn glyph(&self, c: char) -> GlyphId {
        let index = |c| self.face.glyph_index(c);
        index(c).or_else(|| index('\u{fffd}')).unwrap_or_default()
    }

    fn advance(&self, glyph: GlyphId) -> f32 {
        f32::from(self.face.glyph_hor_advance(glyph).unwrap_or_default()) * self.scale
    }
}

/// Whether a line end here would tear `4 min 24 s` apart.
fn splits_amount(before: &str, after: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    let unit = before.rsplit(' ').next().unwrap_or_default();
    let goes_on = after.trim_start().starts_with(is_digit);
    before.ends_with(is_digit) || (goes_on && ["d", "h", "min"].contains(&unit))
}

/// Moves and scales outlines, and turns them the right way up: a font's y goes upwards.
struct Placed<'a> {
    builder: &'a mut dyn OutlineBuilder,
    x: f32,
    y: f32,
    scale: f32,
}

impl Placed<'_> {
    fn place(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, self.y - y * self.scale)
    }
}

impl OutlineBuilder for Placed<'_> {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.builder.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.place(x, y);
        self.builder.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.place(x1, y1), self.place(x, y));
        self.builder.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2)) = (self.place(x1, y1), self.place(x2, y2));
        let (x, y) = self.place(x, y);
        self.builder.curve_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.builder.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_fonts_have_every_letter_that_our_words_are_made_of() {
        for weight in [Weight::Regular, Weight::Bold] {
            let font = Font::new(weight, 30.0).expect("a font");
            let missing = font.glyph('\u{fffd}');
            for c in "aZ09 –−…→←↑≈·/:%()+äöüßéñ£".chars() {
                assert!(font.glyph(c) != missing, "{c}");
            }
            assert_eq!(font.glyph('🦀'), missing);
        }
    }

    #[test]
    fn a_title_is_broken_where_people_pause() {
        let font = Font::new(Weight::Regular, 30.0).expect("a font");
        let title = "shop leaks memory: killed in 3 min 10 s (2 min – 4 min)";
        let whole = font.width(title);
        assert_eq!(font.broken(title, whole), (title, ""));
        let both = ("shop leaks memory: killed in 3 min 10 s", "(2 min – 4 min)");
        assert_eq!(font.broken(title, whole * 0.9), both);
        let (first, second) = font.broken(title, whole * 0.3);
        assert_eq!(format!("{first} {second}"), title);
        assert!(font.width(first) <= whole * 0.3);
        assert_eq!(font.broken("unbreakable", 10.0), ("unbreakable", ""));
        let title = "shop was killed, 4 min 24 s after the first report";
        let width = font.width("shop was killed, 4 min 24 s");
        let whole = ("shop was killed, 4 min 24 s", "after the first report");
        assert_eq!(font.broken(title, width), whole);
        let none = ("shop was killed,", "4 min 24 s after the first report");
        assert_eq!(font.broken(title, width - 10.0), none);
    }

    #[test]
    fn a_text_is_cut_at_its_width() {
        let font = Font::new(Weight::Regular, 30.0).expect("a font");
        assert_eq!(font.fitted("short", 200.0), "short");
        assert_eq!(font.fitted("", 0.0), "");
        for width in [0.0, 10.0, 40.0, 100.0, 1000.0] {
            let cut = font.fitted(&"memory ".repeat(1000), width);
            assert!(cut.ends_with('…'), "{cut}");
            assert!(font.width(&cut) <= width.max(font.width("…")), "{width} {cut}");
        }
        let whole = "exactly";
        assert_eq!(font.fitted(whole, font.width(whole)), whole);
    }
}
