//! The functions that hold most, as a table.
