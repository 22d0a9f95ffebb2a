//! Recorded series: what each column becomes, what happens to bad input, and what a directory means.

mod directory;
mod fuzz;

use std::io::{Cursor, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use watchdog_collect::recording::{Notes, Recording};
use watchdog_core::sample::{Memory, Sample};
use watchdog_core::units::{Bytes, Moment};

const MIB: u64 = 1 << 20;

/// All samples and the notes, or the error in words.
fn read_with(
    input: impl Read + Send + 'static,
    limit: Option<f64>,
) -> Result<(Vec<Sample>, Notes), String> {
    let mut recording =
        Recording::read(Path::new("a.csv"), input, limit).map_err(|error| error.to_string())?;
    let samples: Result<Vec<_>, _> = recording.by_ref().collect();
    let samples = samples.map_err(|error| error.to_string())?;
    assert!(recording.next().is_none(), "what has ended stays so");
    Ok((samples, recording.notes().clone()))
}

fn read(text: impl AsRef<[u8]>) -> Result<(Vec<Sample>, Notes), String> {
    read_with(Cursor::new(text.as_ref().to_vec()), None)
}

fn samples(text: &str) -> Vec<Sample> {
    read(text).unwrap_or_else(|error| panic!("{error} in {text}")).0
}

fn error(text: impl AsRef<[u8]>) -> String {
    read(text).expect_err("refused")
}

/// The memory of a single row; amounts in MiB, so that they are taken for bytes.
fn memory(header: &str, row: &[u64]) -> [u64; 5] {
    let cells: Vec<_> = row.iter().map(|mib| (mib * MIB).to_string()).collect();
    let samples = samples(&format!("t_seconds,{header}\n0,{}\n", cells.join(",")));
    let Memory { rss, anon, file, shmem, swap } = samples[0].memory;
    [rss, anon, file, shmem, swap].map(|bytes| bytes.0 / MIB)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("written");
    encoder.finish().expect("finished")
}

#[test]
fn memory_is_told_from_whatever_columns_there_are() {
    for (header, row, [rss, anon, file, shmem, swap]) in [
        ("rss_bytes", &[10][..], [10, 10, 0, 0, 0]),
        ("value_bytes", &[10], [10, 10, 0, 0, 0]),
        ("anon_bytes", &[7], [7, 7, 0, 0, 0]),
        ("rss_bytes,file_bytes", &[10, 4], [10, 6, 4, 0, 0]),
        ("rss_bytes,file_bytes", &[10, 12], [10, 0, 12, 0, 0]),
        ("rss_bytes,shmem_bytes", &[10, 3], [10, 7, 0, 3, 0]),
        ("rss_bytes,anon_bytes", &[10, 7], [10, 7, 3, 0, 0]),
        ("rss_bytes,anon_bytes", &[7, 10], [7, 10, 0, 0, 0]),
        ("rss_bytes,anon_bytes,shmem_bytes", &[10, 7, 1], [10, 7, 2, 1, 0]),
        ("rss_bytes,anon_bytes,file_bytes", &[10, 6, 3], [10, 6, 3, 1, 0]),
        ("rss_bytes,anon_bytes,file_bytes", &[10, 8, 3], [10, 8, 3, 0, 0]),
        ("rss_bytes,anon_bytes,file_bytes,shmem_bytes", &[10, 6, 3, 2], [10, 6, 3, 2, 0]),
        ("value_bytes,anon_bytes", &[10, 7], [10, 7, 3, 0, 0]),
        ("anon_bytes,file_bytes,swap_bytes", &[6, 3, 2], [6, 6, 3, 0, 2]),
    ] {
        assert_eq!(memory(header, row), [rss, anon, file, shmem, swap], "{header} {row:?}");
    }
}

#[test]
fn the_allocator_is_known_only_with_what_it_keeps_resident() {
    let allocator = |header: &str, row: &str| {
        let text = format!("t_seconds,rss_bytes,{header}\n0,1e9,{row}\n");
        samples(&text)[0].allocator.map(|a| [a.allocated.0, a.active.0, a.resident.0])
    };
    assert_eq!(allocator("allocated_bytes", "100"), None);
    assert_eq!(allocator("active_bytes,resident_bytes", "110,120"), None);
    assert_eq!(allocator("allocated_bytes,active_bytes", "100,110"), Some([100, 110, 110]));
    assert_eq!(allocator("allocated_bytes,resident_bytes", "100,120"), Some([100, 120, 120]));
    let all = "allocated_bytes,active_bytes,resident_bytes";
    assert_eq!(allocator(all, "100,110,120"), Some([100, 110, 120]));
    for gap in [",110,120", "100,,120", "100,110,NaN", "inf,110,120"] {
        assert_eq!(allocator(all, gap), None, "{gap}");
    }
    let other = samples(
        "t_seconds,rss_bytes,allocated_bytes,active_bytes,retained_bytes,metadata_bytes,mapped_bytes\n\
         0,1e9,1,2,3,4,5\n",
    )[0];
    let allocator = other.allocator.expect("known");
    assert_eq!([allocator.retained.0, allocator.metadata.0, allocator.mapped.0], [3, 4, 5]);
}

#[test]
fn the_column_of_a_limit_wins_over_the_one_from_outside() {
    let limits = |text: &str| -> Vec<_> {
        let (samples, _) = read_with(Cursor::new(text.to_owned()), Some(9e9)).expect("readable");
        samples.iter().map(|sample| sample.limit.map(|limit| limit.0)).collect()
    };
    let outside = Some(9_000_000_000);
    assert_eq!(limits("t_seconds,rss_bytes\n0,1e9\n"), [outside]);
    let text = "t_seconds,rss_bytes,limit_bytes\n0,1e9,\n1,1e9,2e9\n2,1e9,\n3,1e9,NaN\n4,1e9,0\n\
                5,1e9,\n6,1e9,3e9\n7,1e9,-1\n8,1e9,2e9\n9,1e9,+Inf\n10,1e9,9223372036854771712\n";
    let (two, three) = (Some(2_000_000_000), Some(3_000_000_000));
    let expected =
        [outside, two, two, two, outside, outside, three, outside, two, outside, outside];
    assert_eq!(limits(text), expected);
    for none in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let text = Cursor::new("t_seconds,rss_bytes\n0,1e9\n");
        let (samples, _) = read_with(text, Some(none)).expect("readable");
        assert_eq!(samples[0].limit, None, "{none}");
    }
}

#[test]
fn a_load_that_makes_no_sense_is_a_gap() {
    let text = "t_seconds,rss_bytes,load\n0,1e9,5\n1,1e9,\n2,1e9,-1\n3,1e9,nan\n4,1e9,inf\n5,1e9,0";
    let loads: Vec<_> = samples(text).iter().map(|sample| sample.load).collect();
    assert_eq!(loads, [Some(5.0), None, None, None, None, Some(0.0)]);
}

#[test]
fn time_and_age_are_as_recorded() {
    let samples = samples("t_seconds,rss_bytes\n1.7e9,1e9\n1700000000.1,1e9\n1700864000,1e9\n");
    assert_eq!(samples[1].at, Moment(1_700_000_000.1));
    assert_eq!(samples[1].wall.0, 1_700_000_000.1);
    assert!((samples[1].age - 0.1).abs() < 1e-6);
    assert_eq!(samples[2].age, 864_000.0);
}

#[test]
fn amounts_in_another_unit_keep_their_digits_and_their_proportion() {
    for limit in [1.0, 100.0, 16.0, 16384.0, 1e-3] {
        let text = format!("t_seconds,rss_bytes,limit_bytes\n0,0,{limit}\n1,{},\n", limit / 3.0);
        let samples = samples(&text);
        assert_eq!(samples[0].memory.rss, Bytes(0));
        let share = samples[1].memory.rss.fraction_of(samples[1].limit.expect("a limit"));
        assert!((share - 1.0 / 3.0).abs() < 1e-9, "{share} of {limit}");
    }
}

#[test]
fn without_a_limit_the_first_value_says_the_unit() {
    let samples = samples("t_seconds,value_bytes\n0,0\n1,0.25\n2,0.75\n");
    let [zero, quarter, more] = [0, 1, 2].map(|i| samples[i].memory.rss.0);
    assert_eq!((zero, more), (0, 3 * quarter));
    assert!(quarter > 1 << 30);
}

#[test]
fn the_form_of_the_text_does_not_matter() {
    let plain = samples("t_seconds,rss_bytes\n0,1e9\n1,2000000000\n");
    for text in [
        "t_seconds,rss_bytes\r\n0,1e9\r\n1,2000000000\r\n",
        "\u{feff}t_seconds,rss_bytes\n0,1e9\n1,2000000000",
        "\n\nt_seconds,rss_bytes\n\n0,1e9\n\n1,2000000000\n\n\n",
        "  t_seconds ,\trss_bytes \n 0 , 1e9\n1,  2000000000 \n",
        "\"t_seconds\",\"rss_bytes\"\n\"0\",\"1e9\"\n\"1\",\" 2000000000\"\n",
        "\u{feff}\"t_seconds\",rss_bytes\r\n0,1e9\r\n1,2000000000\r\n",
    ] {
        assert_eq!(samples(text), plain, "{text:?}");
    }
    let with_more = "note,rss_bytes,t_seconds,note\n\"a, \"\"b\"\"\",1e9,0,\n,2000000000,1,x\n";
    let (same, notes) = read(with_more).expect("readable");
    assert_eq!(same, plain);
    assert_eq!(notes.ignored, ["note", "note"]);
}

#[test]
fn value_is_not_used_beside_rss() {
    let (samples, notes) =
        read("t_seconds,value_bytes,rss_bytes\n0,what?,1e9\n").expect("readable");
    assert_eq!(samples[0].memory.rss, Bytes(1_000_000_000));
    assert_eq!(notes.ignored, ["value_bytes"]);
}

#[test]
fn rows_without_a_value_and_rows_with_the_same_time_are_left_out_and_counted() {
    let (samples, notes) = read(
        "t_seconds,rss_bytes,anon_bytes\n0,,1e9\n1,2e9,1e9\n2,NaN,1e9\n3,2e9,inf\n4,2e9,-Inf\n\
         5,2e9,1e9\n5,3e9,1e9\n5,3e9,1e9\n90000,2e9,1e9\n",
    )
    .expect("readable");
    let times: Vec<_> = samples.iter().map(|sample| sample.at.0).collect();
    assert_eq!(times, [1.0, 5.0, 90_000.0]);
    assert_eq!(samples[0].age, 1.0, "the recording began with the gap");
    assert_eq!((notes.gaps, notes.repeated), (4, 2));
}

#[test]
fn what_cannot_be_used_is_refused_with_file_and_line() {
    for (text, expected) in [
        ("", "a.csv:1: the file is empty"),
        ("\n\r\n\n", "a.csv:1: the file is empty"),
        ("t_seconds,rss_bytes\n", "a.csv:1: there is no row with a value"),
        ("t_seconds,rss_bytes\n0,\n1,\n", "a.csv:3: there is no row with a value"),
        ("time,rss_bytes\n0,1\n", "a.csv:1: there is no column t_seconds; the header is `time,rss"),
        ("t_seconds;rss_bytes\n0;1\n", "a.csv:1: there is no column t_seconds; the header is `t_"),
        ("\n\nt_seconds,load\n0,1\n", "a.csv:3: there is no column rss_bytes, value_bytes or anon"),
        ("t_seconds,rss_bytes,rss_bytes\n0,1,1\n", "a.csv:1: the column rss_bytes is there twice"),
        ("t_seconds,rss_bytes,t_seconds\n", "a.csv:1: the column t_seconds is there twice"),
        ("t_seconds,rss_bytes\n0,1\n1,x12\n", "a.csv:3: rss_bytes cannot be `x12`"),
        ("t_seconds,rss_bytes\n\n\n0,1 GiB\n", "a.csv:4: rss_bytes cannot be `1 GiB`"),
        ("t_seconds,rss_bytes,load\n0,1,high\n", "a.csv:2: load cannot be `high`"),
        ("t_seconds,rss_bytes\nnow,1\n", "a.csv:2: t_seconds cannot be `now`"),
        ("t_seconds,rss_bytes\n0,1\n,1\n", "a.csv:3: t_seconds is empty or no finite number"),
        ("t_seconds,rss_bytes\ninf,1\n", "a.csv:2: t_seconds is empty or no finite number"),
        ("t_seconds,rss_bytes\n1.7e12,1\n", "a.csv:2: t_seconds is 1700000000000, which cannot be"),
        ("t_seconds,rss_bytes\n0,1\n1,-5\n", "a.csv:3: rss_bytes cannot be negative, as -5 is"),
        (
            "t_seconds,rss_bytes,allocated_bytes\n0,1,-1\n",
            "a.csv:2: allocated_bytes cannot be negative, as -1 is",
        ),
        ("t_seconds,rss_bytes\n1,1\n3,1\n2.5,1\n", "a.csv:4: t_seconds goes back from 3 to 2.5"),
        ("t_seconds,rss_bytes\n1,1\n2,\n1,1\n", "a.csv:4: t_seconds goes back from 2 to 1"),
        ("t_seconds,rss_bytes\n0,1\n1\n", "a.csv:3: 1 cells, but the header has 2"),
        ("t_seconds,rss_bytes\n0,1\n1,2,3\n", "a.csv:3: 3 cells, but the header has 2"),
        ("t_seconds,rss_bytes\n0,1\n1,\"2\n2,3\n", "a.csv:3: a quote is not closed in this line"),
        ("t_seconds,rss_bytes\n0,1e9\n1,1e19\n", "a.csv:3: 10000000000000000000 is too large besi"),
    ] {
        let found = error(text);
        assert!(found.starts_with(expected), "{text:?}: {found}");
    }
}

#[test]
fn what_is_not_text_is_refused() {
    let found = error(b"t_seconds,rss_bytes\n0,1\n1,\xff2\n");
    assert!(found.starts_with("a.csv:3: not UTF-8 text"), "{found}");
    let found = error(b"\xff\xfet\0_\0");
    assert!(found.starts_with("a.csv:1: not UTF-8 text"), "{found}");
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_memory() {
    let head = "t_seconds,rss_bytes,note\n0,1,";
    let endless = Cursor::new(head).chain(std::io::repeat(b'x'));
    let found = read_with(endless, None).expect_err("refused");
    assert_eq!(found, "a.csv:2: longer than 64 KiB; is this a CSV file?");
    let found = read_with(std::io::repeat(b'x'), None).expect_err("refused");
    assert_eq!(found, "a.csv:1: longer than 64 KiB; is this a CSV file?");
    let longest = |end: &str| format!("{head}{}{end}", "x".repeat(64 * 1024 - 4));
    for end in ["", "\n", "\r\n"] {
        assert_eq!(samples(&longest(end)).len(), 1);
        error(longest(&format!("x{end}")));
    }
}

#[test]
fn gzip_is_told_by_its_first_bytes_and_may_have_several_members() {
    let (head, tail) = ("t_seconds,rss_bytes\n0,1e9\n1,1", "e9\n2,1e9\n");
    let plain = samples(&[head, tail].concat());
    let whole = gzip([head, tail].concat().as_bytes());
    assert_eq!(read(&whole).expect("readable").0, plain);
    let members = [gzip(head.as_bytes()), gzip(b""), gzip(tail.as_bytes())].concat();
    assert_eq!(read(members).expect("readable").0, plain);
    assert!(error(gzip(b"")).starts_with("a.csv:1: the file is empty"));
}

#[test]
fn damaged_gzip_is_refused_with_the_line_up_to_which_it_could_be_read() {
    let rows: String = (0..5000).map(|t| format!("{t},{}\n", 1_000_000_000 + t * 7919)).collect();
    let whole = gzip(format!("t_seconds,rss_bytes\n{rows}").as_bytes());
    let short = error(&whole[..whole.len() / 2]);
    let (line, lines) = short
        .strip_prefix("a.csv:")
        .and_then(|rest| rest.split_once(": cannot be read further, after "))
        .and_then(|(line, rest)| Some((line, rest.split_once(" whole lines: ")?.0)))
        .unwrap_or_else(|| panic!("{short}"));
    let (line, lines): (u64, u64) = (line.parse().expect("a line"), lines.parse().expect("lines"));
    assert!(line == lines + 1 && (1000..5000).contains(&lines), "{short}");
    let mut wrong_sum = whole.clone();
    let sum = whole.len() - 8;
    wrong_sum[sum] ^= 1;
    let found = error(&wrong_sum);
    assert!(found.starts_with("a.csv:5002: cannot be read further, after 5001 whole"), "{found}");
    assert!(error([whole, b"rubbish".to_vec()].concat()).contains("after 5001 whole lines"));
    assert!(error(b"\x1f\x8b").starts_with("a.csv:1: cannot be read further, after 0 whole"));
}
