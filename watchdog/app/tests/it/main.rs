//! The program `oomen` from outside: real processes, a kernel that really kills, and servers that misbehave.

#[cfg(test)]
mod backtest;
#[cfg(test)]
mod config;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod gallery;
#[cfg(test)]
mod heap_files;
#[cfg(test)]
mod help;
#[cfg(test)]
mod hostile_probe;
#[cfg(test)]
mod hostile_slack;
#[cfg(test)]
mod load;
#[cfg(test)]
mod otlp;
#[cfg(test)]
mod pprof_endpoint;
#[cfg(test)]
mod pyroscope;
#[cfg(test)]
mod recorder;
#[cfg(test)]
mod restart;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod run;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod state_bound;
#[cfg(test)]
mod support;
#[cfg(test)]
mod telling;
#[cfg(test)]
mod two_apps;
#[cfg(test)]
mod unprivileged;
#[cfg(test)]
mod watchdog_dies;

/// The program's own, because it counts what a thread asks for.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
