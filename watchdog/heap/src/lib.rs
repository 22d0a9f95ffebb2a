//! Heap profiles: capture over HTTP, jemalloc's format, symbolizing outside the target, the dump store.
