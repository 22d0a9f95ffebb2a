//! The pure middle of the watchdog: samples and the time go in; trend, verdict, forecast, culprit and incident come out.
//!
//! Nothing here opens a file or a socket, reads a clock or starts a task, so every incident can be
//! replayed from its samples.

pub mod culprit;
pub mod detector;
pub mod envelope;
pub mod fit;
pub mod forecast;
pub mod gate;
pub mod history;
pub mod incident;
pub mod load;
pub mod net;
pub mod profile;
pub mod record;
pub mod replay;
pub mod sample;
pub mod saturation;
pub mod trend;
pub mod units;
pub mod verdict;
