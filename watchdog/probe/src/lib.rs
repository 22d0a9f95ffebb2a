//! What a Rust service links to be watchable: allocator statistics and heap dumps on its admin port.
