//! Measures the heap profiler beside the tools people use today.

fn main() {}
