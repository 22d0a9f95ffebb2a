//! Everything that is logged, by us and by the libraries, at every level.

use std::io;
use std::sync::{Arc, Mutex};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What was logged through `tracing` on this thread since it was started, and through `log` in the whole program.
pub(super) struct Log {
    lines: Lines,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

/// For libraries that do not speak `tracing`: `log` has one receiver for the whole program.
struct Foreign(Mutex<String>);

static FOREIGN: Foreign = Foreign(Mutex::new(String::new()));

impl Log {
    pub(super) fn start() -> Self {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(lines.clone())
            .finish();
        // Another test may have been first.
        drop(log::set_logger(&FOREIGN));
        log::set_max_level(log::LevelFilter::Trace);
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub(super) fn text(&self) -> String {
        let own = String::from_utf8_lossy(&self.lines.0.lock().expect("the log")).into_owned();
        own + &FOREIGN.0.lock().expect("the log")
    }
}

impl log::Log for Foreign {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}: {}\n", record.level(), record.target(), record.args());
        self.0.lock().expect("the log").push_str(&line);
    }

    fn flush(&self) {}
}

impl io::Write for Lines {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
