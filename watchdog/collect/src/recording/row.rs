//! One row of a series: its cells, and what is known of the process from them.

use watchdog_core::sample::{Allocator, Memory};

use super::error::{Problem, excerpt};
use super::header::Column;
use super::scale::Scale;

/// What cgroup v1 and some exporters say for "no limit" is just below 2^63.
const NO_LIMIT: f64 = (1u64 << 62) as f64;

/// All of them must be known in a row: a gap in one would look like a jump of the others.
const MEMORY: [Column; 6] =
    [Column::Rss, Column::Value, Column::Anon, Column::File, Column::Shmem, Column::Swap];

/// One cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Cell {
    /// The file has no such column.
    #[default]
    Absent,
    /// Empty or `NaN`: not known in this row.
    Gap,
    /// A number, perhaps infinite.
    Number(f64),
}

impl Cell {
    pub(super) fn parse(column: Column, text: &str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Ok(Self::Gap);
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_nan() => Ok(Self::Gap),
            Ok(value) => Ok(Self::Number(value)),
            Err(_) => Err(Problem::NotANumber { column: column.name(), text: excerpt(text) }),
        }
    }

    fn finite(self) -> Option<f64> {
        match self {
            Self::Number(value) if value.is_finite() => Some(value),
            _ => None,
        }
    }
}

/// The cells of a row by what they mean.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    cells: [Cell; Column::COUNT],
}

impl Row {
    pub(super) fn set(&mut self, column: Column, cell: Cell) {
        self.cells[column as usize] = cell;
    }

    fn cell(&self, column: Column) -> Cell {
        self.cells[column as usize]
    }

    pub(super) fn time(&self) -> Option<f64> {
        self.cell(Column::Time).finite()
    }

    pub(super) fn load(&self) -> Option<f64> {
        self.cell(Column::Load).finite().filter(|load| *load >= 0.0)
    }

    /// What the row says of the limit; `None` where it says nothing, `Some(None)` where it says that there is none.
    pub(super) fn limit(&self) -> Option<Option<f64>> {
        match self.cell(Column::Limit) {
            Cell::Number(value) => Some(limit(value)),
            Cell::Absent | Cell::Gap => None,
        }
    }

    /// The memory; `None` in a gap.
    pub(super) fn memory(&self) -> Result<Option<Amounts>, Problem> {
        let [rss, value, anon, file, shmem, swap] = match self.amounts(MEMORY)? {
            Some(amounts) => amounts,
            None => return Ok(None),
        };
        let total = rss.or(value);
        let shared = shmem.unwrap_or(0.0);
        let (anon, file, shmem) = match (total, anon, file) {
            (Some(total), Some(anon), Some(file)) => {
                (anon, file, shmem.unwrap_or_else(|| less(total, anon + file)))
            }
            // Nothing tells file pages from shared memory: taken for what does no harm.
            (Some(total), Some(anon), None) => (anon, less(total, anon + shared), shared),
            (None, Some(anon), file) => (anon, file.unwrap_or(0.0), shared),
            (Some(total), None, file) => {
                let file = file.unwrap_or(0.0);
                (less(total, file + shared), file, shared)
            }
            (None, None, _) => return Ok(None),
        };
        let rss = total.unwrap_or(anon);
        Ok(Some(Amounts { rss, anon, file, shmem, swap: swap.unwrap_or(0.0) }))
    }

    /// What the allocator says of itself; `None` where not all that is needed is known.
    pub(super) fn allocator(&self) -> Result<Option<AllocatorAmounts>, Problem> {
        use Column::{Active, Allocated, Mapped, Metadata, Resident, Retained};
        let columns = [Allocated, Active, Resident, Retained, Mapped, Metadata];
        let Some([allocated, active, resident, retained, mapped, metadata]) =
            self.amounts(columns)?
        else {
            return Ok(None);
        };
        Ok(allocated.zip(resident.or(active)).map(|(allocated, resident)| AllocatorAmounts {
            allocated,
            active: active.unwrap_or(resident),
            resident,
            retained: retained.unwrap_or(0.0),
            mapped: mapped.unwrap_or(0.0),
            metadata: metadata.unwrap_or(0.0),
        }))
    }

    /// The amounts of some columns, each `None` where the file lacks the column; `None` for all where one is a gap.
    fn amounts<const N: usize>(
        &self,
        columns: [Column; N],
    ) -> Result<Option<[Option<f64>; N]>, Problem> {
        let mut amounts = [None; N];
        let mut gap = false;
        for (amount, column) in amounts.iter_mut().zip(columns) {
            match self.cell(column) {
                Cell::Absent => {}
                Cell::Gap => gap = true,
                Cell::Number(value) if value.is_infinite() => gap = true,
                Cell::Number(value) if value < 0.0 => {
                    return Err(Problem::Negative { column: column.name(), value });
                }
                Cell::Number(value) => *amount = Some(value),
            }
        }
        Ok((!gap).then_some(amounts))
    }
}

/// A limit, unless the number stands for none.
pub(super) fn limit(value: f64) -> Option<f64> {
    (value > 0.0 && value < NO_LIMIT).then_some(value)
}

fn less(total: f64, parts: f64) -> f64 {
    (total - parts).max(0.0)
}

/// [`Memory`] in the unit of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amounts {
    rss: f64,
    anon: f64,
    file: f64,
    shmem: f64,
    swap: f64,
}

impl Amounts {
    /// The largest of them.
    pub(super) fn most(&self) -> f64 {
        [self.anon, self.file, self.shmem, self.swap].into_iter().fold(self.rss, f64::max)
    }

    pub(super) fn scaled(&self, scale: &Scale) -> Result<Memory, Problem> {
        Ok(Memory {
            rss: scale.bytes(self.rss)?,
            anon: scale.bytes(self.anon)?,
            file: scale.bytes(self.file)?,
            shmem: scale.bytes(self.shmem)?,
            swap: scale.bytes(self.swap)?,
        })
    }
}

/// [`Allocator`] in the unit of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllocatorAmounts {
    allocated: f64,
    active: f64,
    resident: f64,
    retained: f64,
    mapped: f64,
    metadata: f64,
}

impl AllocatorAmounts {
    pub(super) fn scaled(&self, scale: &Scale) -> Result<Allocator, Problem> {
        Ok(Allocator {
            allocated: scale.bytes(self.allocated)?,
            active: scale.bytes(self.active)?,
            resident: scale.bytes(self.resident)?,
            retained: scale.bytes(self.retained)?,
            mapped: scale.bytes(self.mapped)?,
            metadata: scale.bytes(self.metadata)?,
            profiling: false,
        })
    }
}
