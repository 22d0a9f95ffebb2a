//! What a picture is made of, whatever it is painted on: lines, areas, dots and texts, in pixels from the upper left.

use super::font::Weight;
use super::palette::Ink;

/// The size of a picture: 16 to 9, four pixels to a point on a phone.
pub(super) const SIZE: (u16, u16) = (1200, 675);

/// A place in pixels.
pub(super) type Place = (f32, f32);

/// Which end of a text its place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// One stroke of the brush; later ones cover earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// A line through places.
    Line { through: Vec<Place>, ink: Ink, width: f32, dash: Option<[f32; 2]> },
    /// What a line encloses, as see-through as `alpha` says.
    Area { around: Vec<Place>, ink: Ink, alpha: f32 },
    /// A disc.
    Dot { at: Place, radius: f32, ink: Ink },
    /// One line of text on its baseline, with a rim of paper where it stands on other things.
    Text { at: Place, text: String, size: f32, ink: Ink, weight: Weight, anchor: Anchor, rim: bool },
}

impl Shape {
    /// The same text with a rim of paper.
    pub(super) fn with_rim(mut self) -> Self {
        if let Self::Text { rim, .. } = &mut self {
            *rim = true;
        }
        self
    }
}

/// A label: regular, of the normal size, without a rim.
pub(super) fn label(at: Place, text: impl Into<String>, ink: Ink, anchor: Anchor) -> Shape {
    Shape::Text {
        at,
        text: text.into(),
        size: LABEL,
        ink,
        weight: Weight::Regular,
        anchor,
        rim: false,
    }
}

/// Pixels an em of labels: more than 8 points where Slack shows pictures of a thread on a phone, 295 points wide.
pub(super) const LABEL: f32 = 34.0;
