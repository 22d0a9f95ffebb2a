//! The first line of a series: which column means what, and how a row is taken apart.

use super::error::{Problem, excerpt};
use super::row::{Cell, Row};

/// A column that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Time,
    Rss,
    Value,
    Anon,
    File,
    Shmem,
    Swap,
    Allocated,
    Active,
    Resident,
    Retained,
    Metadata,
    Mapped,
    Limit,
    Load,
}

impl Column {
    pub(super) const COUNT: usize = Self::ALL.len();

    const ALL: [Self; 15] = [
        Self::Time,
        Self::Rss,
        Self::Value,
        Self::Anon,
        Self::File,
        Self::Shmem,
        Self::Swap,
        Self::Allocated,
        Self::Active,
        Self::Resident,
        Self::Retained,
        Self::Metadata,
        Self::Mapped,
        Self::Limit,
        Self::Load,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Time => "t_seconds",
            Self::Rss => "rss_bytes",
            Self::Value => "value_bytes",
            Self::Anon => "anon_bytes",
            Self::File => "file_bytes",
            Self::Shmem => "shmem_bytes",
            Self::Swap => "swap_bytes",
            Self::Allocated => "allocated_bytes",
            Self::Active => "active_bytes",
            Self::Resident => "resident_bytes",
            Self::Retained => "retained_bytes",
            Self::Metadata => "metadata_bytes",
            Self::Mapped => "mapped_bytes",
            Self::Limit => "limit_bytes",
            Self::Load => "load",
        }
    }
}

/// What the columns of a file mean, in their order.
#[derive(Debug)]
pub(super) struct Header {
    columns: Vec<Option<Column>>,
    ignored: Vec<String>,
}

impl Header {
    pub(super) fn parse(line: &str) -> Result<Self, Problem> {
        let mut columns = Vec::new();
        let mut ignored = Vec::new();
        for name in cells(line) {
            let name = name?;
            let column = Column::ALL.into_iter().find(|column| column.name() == name);
            if let Some(column) = column
                && columns.contains(&Some(column))
            {
                return Err(Problem::DuplicateColumn { name: column.name() });
            }
            if column.is_none() {
                ignored.push(excerpt(name));
            }
            columns.push(column);
        }
        let mut header = Self { columns, ignored };
        if header.has(Column::Rss) {
            header.ignore(Column::Value);
        }
        let missing = |wanted| Problem::MissingColumn { wanted, header: excerpt(line) };
        if !header.has(Column::Time) {
            return Err(missing("t_seconds"));
        }
        if ![Column::Rss, Column::Value, Column::Anon].into_iter().any(|column| header.has(column))
        {
            return Err(missing("rss_bytes, value_bytes or anon_bytes"));
        }
        Ok(header)
    }

    pub(super) fn has(&self, column: Column) -> bool {
        self.columns.contains(&Some(column))
    }

    fn ignore(&mut self, unused: Column) {
        for column in self.columns.iter_mut().filter(|column| **column == Some(unused)) {
            *column = None;
            self.ignored.push(unused.name().to_owned());
        }
    }

    /// Columns that are not used.
    pub(super) fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// One row; cells of ignored columns may be anything.
    pub(super) fn row(&self, line: &str) -> Result<Row, Problem> {
        let mut row = Row::default();
        let mut found = 0;
        for text in cells(line) {
            let text = text?;
            if let Some(Some(column)) = self.columns.get(found) {
                row.set(*column, Cell::parse(*column, text)?);
            }
            found += 1;
        }
        let wanted = self.columns.len();
        if found == wanted { Ok(row) } else { Err(Problem::Ragged { wanted, found }) }
    }
}

/// The cells of a line, without the spaces and the quotes around them.
fn cells(line: &str) -> impl Iterator<Item = Result<&str, Problem>> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = end_of_cell(text) else {
            rest = None;
            return Some(Err(Problem::OpenQuote));
        };
        rest = text.get(end + 1..);
        Some(Ok(bare(&text[..end])))
    })
}

/// Where the first comma outside quotes is, or the end of the text; `None` where a quote is not closed. A doubled
/// quote inside a quoted cell closes and opens it again.
fn end_of_cell(text: &str) -> Option<usize> {
    let mut quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => return Some(at),
            _ => {}
        }
    }
    (!quoted).then_some(text.len())
}

fn bare(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).map_or(cell, str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<&str> {
        cells(line).collect::<Result<_, _>>().expect("closed quotes")
    }

    #[test]
    fn a_line_is_split_at_its_commas() {
        assert_eq!(split("1, 2 ,\"3\",,\" 4 \""), ["1", "2", "3", "", "4"]);
        assert_eq!(split(""), [""]);
        assert_eq!(split(","), ["", ""]);
    }

    #[test]
    fn a_comma_in_quotes_is_part_of_the_cell() {
        assert_eq!(split(r#""a, ""b"", c",2"#), [r#"a, ""b"", c"#, "2"]);
        assert!(cells("1,\"2,3").any(|cell| cell.is_err()));
    }

    #[test]
    fn every_column_has_its_place_in_the_table_of_all() {
        for (index, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column as usize, index, "{column:?}");
        }
    }
}
