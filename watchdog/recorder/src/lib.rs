//! The flight recorder: a heap profile in shared memory, written by the watched process and read by anybody.
