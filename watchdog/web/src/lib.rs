//! What the watchdog shows: metrics, the API, the page and heap-dump downloads.
