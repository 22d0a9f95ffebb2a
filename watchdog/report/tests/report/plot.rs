//! The picture: decoded again and looked at pixel by pixel, and whatever comes in.

use proptest::prelude::*;
use watchdog_core::forecast::KillWindow;
use watchdog_core::history::Row;
use watchdog_core::incident::{Incident, State};
use watchdog_core::sample::Allocator;
use watchdog_core::units::{Bytes, Moment, WallTime};
use watchdog_report::plot::{Mark, Plot, Theme};

use crate::plot_rows::{leak, mib, rows};
use crate::sample::confirmed;

type Rgb = [u8; 3];
const PAPER: Rgb = [0xff, 0xff, 0xff];
const TEXT: Rgb = [0x1d, 0x1c, 0x1d];
const MEMORY: Rgb = [0x00, 0x72, 0xb2];
const ALLOCATED: Rgb = [0x00, 0x9e, 0x73];
const FORECAST: Rgb = [0xd5, 0x5e, 0x00];
const NIGHT: Rgb = [0x1a, 0x1d, 0x21];

/// Below title, legend and the labels of marks.
const DATA: u32 = 230;

/// Where ten minutes ago and no memory lie.
const LEFT: f64 = 194.0;
const BOTTOM: u32 = 599;

struct Picture {
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

impl Picture {
    fn of(plot: &Plot<'_>, theme: Theme) -> Self {
        let png = plot.png(theme).expect("a picture");
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().expect("PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("pixels");
        assert_eq!(info.color_type, png::ColorType::Rgb);
        Self { width: info.width, height: info.height, bytes }
    }

    fn pixel(&self, x: u32, y: u32) -> Rgb {
        let at = (y * self.width + x) as usize * 3;
        [self.bytes[at], self.bytes[at + 1], self.bytes[at + 2]]
    }

    /// Every place of this colour among the data.
    fn places(&self, colour: Rgb) -> Vec<(u32, u32)> {
        let all = (0..self.width).flat_map(|x| (DATA..self.height).map(move |y| (x, y)));
        all.filter(|(x, y)| self.pixel(*x, *y) == colour).collect()
    }

    /// The row that this colour fills most.
    fn fullest_row(&self, colour: Rgb) -> (u32, usize) {
        let count = |y| (0..self.width).filter(|x| self.pixel(*x, y) == colour).count();
        let rows = (100..self.height).map(|y| (y, count(y)));
        rows.max_by_key(|(_, count)| *count).expect("rows")
    }
}

fn incident() -> Incident {
    let incident = confirmed();
    let (opened, told) = (incident.updated.plus(-150.0), Some(incident.updated.plus(-120.0)));
    Incident { opened, told, ..incident }
}

fn leaking(incident: &Incident) -> Vec<Row> {
    rows(incident.updated, 2000.0, 1.0, leak(180.0, 180.0, 0.4))
}

#[test]
fn memory_leads_to_now_and_the_forecast_from_there_to_the_limit() {
    let incident = incident();
    let rows = leaking(&incident);
    let picture = Picture::of(&Plot::of(&incident, &rows), Theme::Light);
    assert_eq!((picture.width, picture.height), (1200, 675));
    assert_eq!(picture.pixel(2, 2), PAPER);

    let (limit, width) = picture.fullest_row(TEXT);
    assert!(width > 600, "the limit is a line across: {width}");
    let memory = picture.places(MEMORY);
    let forecast = picture.places(FORECAST);
    assert!(memory.len() > 1000 && forecast.len() > 100, "{} {}", memory.len(), forecast.len());
    let (first, last) = (memory[0], memory[memory.len() - 1]);
    assert!(last.0 > first.0 + 500 && first.1 > last.1 + 50, "it rises: {first:?} {last:?}");
    assert!(memory.iter().all(|place| place.1 > limit), "it stays below the limit");
    let start = forecast[0];
    assert!(start.0.abs_diff(last.0) < 20 && start.1.abs_diff(last.1) < 20, "{start:?} {last:?}");
    assert!(forecast.iter().all(|place| place.0 + 20 > last.0), "it is of the future");
    let met = (0..picture.width).filter(|x| picture.pixel(*x, limit) == FORECAST);
    let met: Vec<u32> = met.collect();
    // 2 min 40 s to 4 min of a picture of 10 min and 4 min 15 s.
    assert!((80..140).contains(&met.len()), "{}", met.len());

    let now = f64::from(last.0);
    let seconds = |x: u32| (f64::from(x) - now) / (now - LEFT) * 600.0;
    assert!((seconds(met[0]) - 160.0).abs() < 12.0, "the soonest: {}", seconds(met[0]));
    let latest = seconds(met[met.len() - 1]);
    assert!((latest - 240.0).abs() < 12.0, "the latest: {latest}");
    let bytes = |y: u32| 256.0 * f64::from(BOTTOM - y) / f64::from(BOTTOM - limit);
    assert!((bytes(last.1) - 180.0).abs() < 6.0, "to scale: {}", bytes(last.1));
    assert!(!picture.places(ALLOCATED).is_empty());
}

#[test]
fn growth_that_may_stop_has_a_cone_that_stays_open() {
    let mut incident = incident();
    incident.kill = incident.kill.map(|kill| KillWindow { high: None, ..kill });
    let rows = leaking(&incident);
    let picture = Picture::of(&Plot::of(&incident, &rows), Theme::Light);
    let (limit, _) = picture.fullest_row(TEXT);
    let level = picture.places(MEMORY).last().expect("memory").1;
    // The estimate's ink laid thinly on paper.
    let cone = picture.pixel(1150, limit.midpoint(level));
    assert!(cone[0] > 0xe0 && cone[2] < 0xe8 && cone != PAPER, "{cone:?}");
    assert_eq!(picture.pixel(1150, level + 20), PAPER, "it cannot shrink");
}

#[test]
fn what_was_not_measured_stays_empty() {
    let incident = incident();
    let unmeasured = (-300.0)..(-200.0);
    let measured = |row: &Row| !unmeasured.contains(&(row.wall.0 - incident.updated.0));
    let rows: Vec<Row> = leaking(&incident).into_iter().filter(measured).collect();
    let picture = Picture::of(&Plot::of(&incident, &rows), Theme::Light);
    let mut columns: Vec<u32> = picture.places(MEMORY).into_iter().map(|place| place.0).collect();
    columns.dedup();
    let widest = columns.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!((90..140).contains(&widest.expect("columns")), "{widest:?}");
}

#[test]
fn what_is_over_has_no_forecast_and_no_later_process() {
    let incident = incident();
    let killed = Incident { state: State::Killed, closed: Some(incident.updated), ..incident };
    let mut rows = leaking(&killed);
    let end = *rows.last().expect("rows");
    let after = (1..200).map(|i| Row {
        at: Moment(end.at.0 + f64::from(i)),
        wall: end.wall.plus(f64::from(i)),
        unreclaimable: mib(20.0),
        ..end
    });
    rows.extend(after);
    let plot = Plot::of(&killed, &rows);
    assert_eq!((plot.zero, plot.kill), ("killed", None));
    assert!(plot.rows.iter().all(|row| row.unreclaimable > mib(100.0)));
    let picture = Picture::of(&plot, Theme::Light);
    assert!(picture.places(FORECAST).is_empty() && !picture.places(MEMORY).is_empty());
}

#[test]
fn a_week_of_rows_is_cut_to_what_matters() {
    let incident = incident();
    let rows = rows(incident.updated, 600_000.0, 60.0, leak(180.0, 180.0, 0.4));
    let shown = Plot::of(&incident, &rows).rows;
    let from = incident.updated.0 - shown[0].wall.0;
    assert!((500.0..=600.0).contains(&from), "three times its age before it opened: {from}");
    assert_eq!(shown.last(), rows.last());
}

#[test]
fn one_of_several_replicas_is_called_by_its_pod() {
    let mut incident = incident();
    let begins = |incident: &Incident, with: &str| {
        let title = Plot::of(incident, &[]).title;
        assert!(title.starts_with(with), "{title}");
    };
    incident.target.workload = Some("recommendations".into());
    begins(&incident, "recommendations leaks memory");
    incident.target.name = "recommendations-1".into();
    begins(&incident, "recommendations-7d9f leaks memory");
}

#[test]
fn a_near_kill_is_seen_and_so_is_what_led_to_it() {
    let mut incident = incident();
    let until = |seconds| incident.updated.plus(seconds);
    let high = Some(until(14.0));
    incident.kill = Some(KillWindow { low: until(6.0), estimate: until(9.0), high });
    incident.state = State::Imminent;
    let rows = rows(incident.updated, 2000.0, 0.5, leak(243.0, 100.0, 1.4));
    let plot = Plot::of(&incident, &rows);
    assert!(plot.rows[0].wall.0 < incident.opened.0);
    let picture = Picture::of(&plot, Theme::Light);
    let columns = |colour| picture.places(colour).into_iter().map(|place| place.0);
    let now = columns(MEMORY).max().expect("memory");
    assert!(columns(FORECAST).max().expect("a forecast") > now + 30);
}

#[test]
fn a_limit_far_above_the_use_is_only_named() {
    let mut plot_of = incident();
    (plot_of.limit, plot_of.kill) = (Some(mib(65_536.0)), None);
    let rows = leaking(&plot_of);
    let plot = Plot::of(&plot_of, &rows);
    assert!(plot.svg(Theme::Light).expect("SVG").contains("limit 64 GiB ↑"));
    assert!(Picture::of(&plot, Theme::Light).fullest_row(TEXT).1 < 600, "no line");
}

#[test]
fn nothing_known_is_said_to_be_nothing() {
    let unknown = Incident { limit: None, kill: None, ..incident() };
    let plot = Plot::of(&unknown, &[]);
    assert!(plot.svg(Theme::Light).expect("SVG").contains("no measurements"));
    let picture = Picture::of(&plot, Theme::Dark);
    assert_eq!(picture.pixel(2, 2), NIGHT);
    assert!(picture.places(MEMORY).is_empty() && picture.places(FORECAST).is_empty());
}

#[test]
fn the_drawing_is_the_committed_one() {
    let incident = incident();
    let rows = rows(incident.updated, 2000.0, 10.0, leak(180.0, 180.0, 0.4));
    let svg = Plot::of(&incident, &rows).svg(Theme::Light).expect("SVG");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report/plot.svg");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &svg).expect("written");
    }
    let expected = std::fs::read_to_string(golden).expect("run with UPDATE_GOLDEN=1 first");
    assert!(
        svg == expected,
        "look at plot.svg after `UPDATE_GOLDEN=1 cargo test -p watchdog-report`"
    );
}

#[test]
fn names_cannot_smuggle_markup_into_the_drawing() {
    let mut incident = incident();
    incident.target.name = "<script>&\"'\u{202e}]]>".into();
    let svg = Plot::of(&incident, &[]).svg(Theme::Light).expect("SVG");
    assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"), "{svg}");
    assert!(!svg.contains('\u{202e}'));
}

/// Seconds as they may come from a clock, a file or a bug.
fn time() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => 1.6e9..1.8e9_f64,
        2 => -1e3..1e3_f64,
        1 => any::<f64>(),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
    ]
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![4 => 0..1_u64 << 40, 1 => Just(0), 1 => Just(u64::MAX), 1 => any::<u64>()]
        .prop_map(Bytes)
}

prop_compose! {
    fn row()(at in time(), wall in time(), used in bytes(), allocator in proptest::option::of(bytes())) -> Row {
        let allocator = allocator.map(|allocated| Allocator {
            allocated, resident: used, ..Allocator::default()
        });
        Row {
            at: Moment(at), wall: WallTime(wall), unreclaimable: used, rss: used, shmem: used,
            file: used, limit: Some(used), allocator, load: Some(at),
        }
    }
}

prop_compose! {
    fn kill()(low in time(), estimate in time(), high in proptest::option::of(time())) -> KillWindow {
        KillWindow { low: WallTime(low), estimate: WallTime(estimate), high: high.map(WallTime) }
    }
}

fn mark() -> impl Strategy<Value = Mark> {
    (time(), ".{0,60}").prop_map(|(at, label)| Mark { at: WallTime(at), label })
}

prop_compose! {
    fn plot()(
        title in prop_oneof![".{0,200}", Just("long ".repeat(2000)), Just("x".repeat(10_000))],
        rows in proptest::collection::vec(row(), 0..40),
        limit in proptest::option::of(bytes()),
        kill in proptest::option::of(kill()),
        now in time(),
        marks in proptest::collection::vec(mark(), 0..60),
    ) -> Plot<'static> {
        // A few rows for the life of the test are no leak worth a second type.
        let rows: &'static [Row] = rows.leak();
        Plot { title, rows, limit, kill, now: WallTime(now), zero: "now", marks }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_comes_in_there_is_a_drawing_of_bounded_size(plot in plot()) {
        let svg = plot.svg(Theme::Dark).expect("SVG");
        prop_assert!(svg.len() < 300_000, "{}", svg.len());
        prop_assert!(!svg.contains("NaN") && !svg.contains("inf,"), "{svg}");
        let mut reader = quick_xml::Reader::from_str(&svg);
        while reader.read_event().expect("well-formed XML") != quick_xml::events::Event::Eof {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_comes_in_there_is_a_picture(plot in plot()) {
        let picture = Picture::of(&plot, Theme::Light);
        prop_assert_eq!((picture.width, picture.height), (1200, 675));
    }

    #[test]
    fn every_incident_has_a_picture(
        opened in time(), updated in time(), closed in proptest::option::of(time()),
        kill in proptest::option::of(kill()), rows in proptest::collection::vec(row(), 0..40),
    ) {
        let kept = Incident {
            opened: WallTime(opened), updated: WallTime(updated), closed: closed.map(WallTime),
            kill, ..incident()
        };
        Plot::of(&kept, &rows).svg(Theme::Light).expect("SVG");
    }
}

#[test]
fn a_hundred_thousand_rows_are_drawn_with_as_many_points_as_there_is_room_for() {
    let incident = incident();
    let jagged = |t: f64| if t as i64 % 2 == 0 { 100.0 } else { 150.0 };
    let rows = rows(incident.updated, 100_000.0, 1.0, jagged);
    let now = incident.updated;
    let plot = Plot {
        title: "many".into(),
        rows: &rows,
        limit: None,
        kill: None,
        now,
        zero: "now",
        marks: Vec::new(),
    };
    let svg = plot.svg(Theme::Light).expect("SVG");
    assert!(svg.len() < 300_000, "{}", svg.len());
}
