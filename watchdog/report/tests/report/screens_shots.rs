//! Pictures of the messages for people who read the documentation, taken by Chromium.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::screens_html::{Scene, page};

/// Pixels of a picture for each of the page's.
const SCALE: f64 = 1.6;
/// Higher than any message is, in the page's pixels.
const TALL: u32 = 2400;
/// Bytes of one picture at most.
const MOST: usize = 200 * 1024;

/// Takes a picture of each scene on a phone, and of some as they are on a desktop at night. Needs Chromium, and the fonts
/// Lato and Noto Color Emoji to look as in Slack.
pub(crate) fn take(scenes: &[Scene], into: &Path) {
    for scene in scenes {
        shoot(scene, "light", "phone", into);
        if ["imminent", "replicas"].contains(&scene.id) {
            shoot(scene, "dark", "desktop", into);
        }
    }
}

fn shoot(scene: &Scene, theme: &str, device: &str, into: &Path) {
    let directory = tempfile::tempdir().expect("a directory");
    let (html, shot) = (directory.path().join("page.html"), directory.path().join("shot.png"));
    let alone = page(std::slice::from_ref(scene), theme, device);
    let alone = alone.replace("</style>", "nav, h2 { display: none }\n</style>");
    std::fs::write(&html, alone).expect("written");
    let width = if device == "phone" { 375 } else { 680 };
    let status = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .arg(format!("--force-device-scale-factor={SCALE}"))
        .arg(format!("--window-size={width},{TALL}"))
        .arg(format!("--screenshot={}", shot.display()))
        .arg(format!("file://{}", html.display()))
        .output()
        .expect("chromium");
    assert!(status.status.success(), "{status:?}");
    let picture = cropped(&std::fs::read(shot).expect("a picture"));
    let name = format!("{}-{device}-{theme}.png", scene.id);
    assert!(picture.len() <= MOST, "{name} has {} bytes", picture.len());
    std::fs::write(into.join(name), picture).expect("written");
}

/// Without the empty rows at its end, but for a margin.
fn cropped(png: &[u8]) -> Vec<u8> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().expect("PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    let channels = info.color_type.samples();
    let rows: Vec<&[u8]> = pixels.chunks(info.width as usize * channels).collect();
    let empty = rows[rows.len() - 1];
    let last = rows.iter().rposition(|row| *row != empty).expect("something");
    let rows = &rows[..(last + 16).min(rows.len())];
    let colours = rows.iter().flat_map(|row| row.chunks(channels));
    let colours: Vec<Rgb> = colours.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    let palette = palette(&colours);
    let mut near = BTreeMap::new();
    let mut index =
        |colour: &Rgb| *near.entry(*colour).or_insert_with(|| nearest(*colour, &palette));
    let indexed: Vec<u8> = colours.iter().map(&mut index).collect();

    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, info.width, rows.len() as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(palette.concat());
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&indexed).expect("pixels");
    writer.finish().expect("an end");
    out
}

type Rgb = [u8; 3];

/// 256 colours: the commonest, and of the others those that would be missed most. What is left are the edges of letters.
fn palette(colours: &[Rgb]) -> Vec<Rgb> {
    let mut counts: BTreeMap<Rgb, u32> = BTreeMap::new();
    for colour in colours {
        *counts.entry(*colour).or_default() += 1;
    }
    let mut counts: Vec<(Rgb, u32)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut palette: Vec<Rgb> = counts.iter().take(64).map(|(colour, _)| *colour).collect();
    while palette.len() < 256 && palette.len() < counts.len() {
        let missed = |(colour, count): &(Rgb, u32)| {
            u64::from(*count)
                * u64::from(apart(*colour, palette[usize::from(nearest(*colour, &palette))]))
        };
        let most = counts.iter().max_by_key(|colour| missed(colour)).expect("colours");
        palette.push(most.0);
    }
    palette
}

fn apart(a: Rgb, b: Rgb) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

fn nearest(colour: Rgb, palette: &[Rgb]) -> u8 {
    let nearest = (0..palette.len()).min_by_key(|index| apart(colour, palette[*index]));
    nearest.expect("a palette") as u8
}
