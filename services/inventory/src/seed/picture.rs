//! A product's picture: the drawing of its kind in the colours of its variant.

use super::Product;

/// The wall behind every product.
const WALL: u32 = 0xf5_f1_ea;

/// The product as SVG, at most 4 KiB, without scripts, styles or links.
///
/// A drawing names its colours in braces: `m` the variant's, `d` darker, `l` lighter, `t` a tint of it, `w` paper,
/// `k` ink, `s` steel, `o` wood.
#[must_use]
pub fn picture(product: &Product) -> String {
    let tone = product.variant.tone;
    let colours = [
        ("{m}", tone),
        ("{d}", mixed(tone, 0x1a_16_12, 28)),
        ("{l}", mixed(tone, 0xff_ff_ff, 38)),
        ("{t}", mixed(tone, 0xff_ff_ff, 74)),
        ("{w}", 0xff_fd_f8),
        ("{k}", 0x33_30_2d),
        ("{s}", 0xb4_ba_c0),
        ("{o}", 0xc8_9b_68),
    ];
    let drawing =
        colours.iter().fold(product.kind.drawing.to_owned(), |drawing, (name, colour)| {
            drawing.replace(name, &format!("#{colour:06x}"))
        });
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 400 400' role='img'><title>{}</title>\
         <rect width='400' height='400' fill='#{:06x}'/><rect y='300' width='400' height='100' fill='#{:06x}'/>\
         <g stroke-linecap='round' stroke-linejoin='round'>{drawing}</g></svg>",
        product.name.replace('&', "&amp;").replace('<', "&lt;"),
        mixed(WALL, tone, 7),
        mixed(WALL, tone, 16),
    )
}

/// `percent` of `other` in `colour`, each 0xRRGGBB.
fn mixed(colour: u32, other: u32, percent: u32) -> u32 {
    [16, 8, 0].iter().fold(0, |mix, shift| {
        let part = |colour: u32| (colour >> shift) & 0xff;
        mix | ((part(colour) * (100 - percent) + part(other) * percent) / 100) << shift
    })
}

#[cfg(test)]
mod tests {
    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::*;
    use crate::seed::products;

    #[test]
    fn every_picture_is_well_formed_small_and_only_shapes() {
        for product in products() {
            let svg = picture(&product);
            assert!(svg.len() < 4096, "{}: {} bytes", product.sku, svg.len());
            assert!(!svg.contains(['{', '}']), "a colour is not known: {svg}");
            let mut reader = Reader::from_str(&svg);
            let mut shapes = 0;
            loop {
                match reader.read_event().unwrap_or_else(|error| panic!("{error}: {svg}")) {
                    Event::Start(tag) | Event::Empty(tag) => {
                        let name = String::from_utf8_lossy(tag.name().as_ref()).into_owned();
                        let allowed = "svg title g rect circle ellipse path line polygon polyline";
                        assert!(
                            allowed.split(' ').any(|allowed| allowed == name),
                            "<{name}>: {svg}"
                        );
                        shapes += 1;
                        for attribute in tag.attributes() {
                            let key =
                                attribute.unwrap_or_else(|error| panic!("{error}: {svg}")).key;
                            assert!(!key.as_ref().starts_with(b"on"), "{svg}");
                            assert!(!key.as_ref().ends_with(b"href"), "{svg}");
                        }
                    }
                    Event::Eof => break,
                    _ => {}
                }
            }
            assert!(shapes > 7, "{svg}");
        }
    }

    #[test]
    fn no_two_products_look_the_same() {
        let pictures: std::collections::BTreeSet<_> = products()
            .map(|product| picture(&product).split("</title>").last().map(str::to_owned))
            .collect();
        assert_eq!(pictures.len(), 300);
    }

    #[test]
    fn colours_are_mixed_channel_by_channel() {
        assert_eq!(mixed(0x00_00_00, 0xff_ff_ff, 0), 0x00_00_00);
        assert_eq!(mixed(0x00_00_00, 0xff_ff_ff, 100), 0xff_ff_ff);
        assert_eq!(mixed(0x10_20_30, 0x30_20_10, 50), 0x20_20_20);
    }
}
