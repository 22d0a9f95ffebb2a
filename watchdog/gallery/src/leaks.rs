//! Programs that leak, each in the way that real services do. The function that a report must name stands beside it.

pub(crate) mod async_task;
pub(crate) mod closure;
pub(crate) mod elsewhere;
pub(crate) mod forgotten_subscriber;
pub(crate) mod generic;
pub(crate) mod label_explosion;
pub(crate) mod library;
pub(crate) mod reference_cycle;
pub(crate) mod stuck_tasks;
pub(crate) mod trait_object;
pub(crate) mod two_leaks;
pub(crate) mod unbounded_cache;
