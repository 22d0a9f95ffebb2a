//! Colours by what they stand for: Okabe and Ito's, which the colour-blind tell apart, on the two backgrounds of Slack.

use super::Theme;

/// What a stroke, an area or a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// What everything is drawn on.
    Paper,
    /// Titles, labels, and the limit.
    Text,
    /// Axis labels and what else is second to read.
    Muted,
    /// The lines of the scale.
    Grid,
    /// What counts against the limit.
    Memory,
    /// What the allocator gave out.
    Allocated,
    /// What the allocator holds.
    Resident,
    /// Where memory is going.
    Forecast,
}

/// Red, green and blue.
pub(super) type Rgb = (u8, u8, u8);

/// The colour of `ink`.
pub(super) fn colour(theme: Theme, ink: Ink) -> Rgb {
    match (theme, ink) {
        (Theme::Light, Ink::Paper) => (0xff, 0xff, 0xff),
        (Theme::Light, Ink::Text) => (0x1d, 0x1c, 0x1d),
        (Theme::Light, Ink::Muted) => (0x5a, 0x5a, 0x5f),
        (Theme::Light, Ink::Grid) => (0xdd, 0xdd, 0xdf),
        (Theme::Light, Ink::Memory) => (0x00, 0x72, 0xb2),
        (Theme::Light, Ink::Allocated) => (0x00, 0x9e, 0x73),
        (Theme::Light, Ink::Resident) => (0xcc, 0x79, 0xa7),
        (Theme::Light, Ink::Forecast) => (0xd5, 0x5e, 0x00),
        (Theme::Dark, Ink::Paper) => (0x1a, 0x1d, 0x21),
        (Theme::Dark, Ink::Text) => (0xf2, 0xf2, 0xf3),
        (Theme::Dark, Ink::Muted) => (0xb4, 0xb6, 0xba),
        (Theme::Dark, Ink::Grid) => (0x3a, 0x3d, 0x42),
        (Theme::Dark, Ink::Memory) => (0x56, 0xb4, 0xe9),
        (Theme::Dark, Ink::Allocated) => (0x00, 0x9e, 0x73),
        (Theme::Dark, Ink::Resident) => (0xcc, 0x79, 0xa7),
        (Theme::Dark, Ink::Forecast) => (0xe6, 0x9f, 0x00),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.2, relative luminance.
    fn luminance((r, g, b): Rgb) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    fn contrast(theme: Theme, ink: Ink) -> f64 {
        let (a, b) = (luminance(colour(theme, ink)), luminance(colour(theme, Ink::Paper)));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_is_read_and_lines_are_seen_on_both_backgrounds() {
        for theme in [Theme::Light, Theme::Dark] {
            for ink in [Ink::Text, Ink::Muted] {
                assert!(contrast(theme, ink) >= 4.5, "{theme:?} {ink:?}");
            }
            for ink in [Ink::Memory, Ink::Allocated, Ink::Resident, Ink::Forecast] {
                assert!(contrast(theme, ink) >= 3.0, "{theme:?} {ink:?} {}", contrast(theme, ink));
            }
        }
    }
}
