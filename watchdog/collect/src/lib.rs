//! Reads the watched process: /proc, cgroup v1 and v2, allocator statistics, finding targets.
