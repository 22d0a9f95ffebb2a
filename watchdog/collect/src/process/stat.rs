//! The few fields of `/proc/PID/stat` that are needed (proc(5), numbered from one).

use std::path::Path;

use crate::CollectError;
use crate::text::number;

/// Fields after the name start with the third.
const AFTER_NAME: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Field 2, without its parentheses.
    pub(crate) comm: String,
    /// Fields 14 and 15: user and kernel time in clock ticks.
    pub(crate) cpu_ticks: u64,
    /// Field 20: threads.
    pub(crate) threads: u64,
    /// Field 22: clock ticks from boot to the start.
    pub(crate) start_ticks: u64,
    /// Field 23: address space in bytes; zero for kernel threads, zombies and what is about to be one.
    pub(crate) address_space: u64,
}

impl Stat {
    /// The name may hold blanks and parentheses, so the last one closes it.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, CollectError> {
        let name = || CollectError::malformed(path, 1, "comm", bytes);
        let open = bytes.iter().position(|byte| *byte == b'(').ok_or_else(name)?;
        let close = bytes.iter().rposition(|byte| *byte == b')').ok_or_else(name)?;
        let comm = bytes.get(open + 1..close).ok_or_else(name)?;
        let fields: Vec<&[u8]> = bytes[close + 1..].trim_ascii().split(|b| *b == b' ').collect();
        let field = |index: usize, item: &'static str| {
            let text = fields.get(index - AFTER_NAME).copied().unwrap_or_default();
            number(path, 1, item, text)
        };
        Ok(Self {
            comm: String::from_utf8_lossy(comm).into_owned(),
            cpu_ticks: field(14, "utime")?.saturating_add(field(15, "stime")?),
            threads: field(20, "num_threads")?,
            start_ticks: field(22, "starttime")?,
            address_space: field(23, "vsize")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Stat, CollectError> {
        Stat::parse(Path::new("/proc/7/stat"), text.as_bytes())
    }

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let stat = parse("7 (a) b (c)) S 1 7 7 0 -1 64 1 2 3 4 50 25 0 0 20 0 1 0 4711 9000 12\n");
        let comm = "a) b (c)".into();
        let expected =
            Stat { comm, cpu_ticks: 75, threads: 1, start_ticks: 4711, address_space: 9000 };
        assert_eq!(stat.expect("parses"), expected);
    }

    #[test]
    fn what_is_no_stat_line_is_refused_by_item() {
        for (text, item) in [
            ("", "comm"),
            (")(", "comm"),
            ("7 (a", "comm"),
            ("7 (a)", "utime"),
            ("7 (a) S 1 7 7 0 -1 64 1 2 3 4 50 25 0 0 20 0 1 0 soon 9000", "starttime"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains("/proc/7/stat line 1") && error.contains(item), "{error}");
        }
    }
}
