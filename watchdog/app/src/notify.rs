//! `oomen notify --test`: sends a report of each kind to each configured place, and says what happened.

mod sample;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use watchdog_core::incident::Incident;
use watchdog_report::sink::{Delivery, DeliveryError, Evidence, Sink};

use crate::cli::NotifyArgs;
use crate::config::{Config, Environment};
use crate::context::wall_now;
use crate::telling::configured;
use sample::Sample;

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// A place that asks for more steps than this has lost its way.
const MAX_STEPS: usize = 32;

/// Sends the samples.
///
/// # Errors
/// When the configuration is wrong or names nobody to tell.
pub async fn run(args: &NotifyArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.test, "say --test: sample reports are all that this command sends");
    let config = Config::load_for_telling(&args.watch, Environment::read())?;
    rustls::crypto::ring::default_provider().install_default().ok();
    let sample = Arc::new(Sample::of(wall_now()));
    let evidence: Arc<dyn Evidence> = Arc::clone(&sample) as _;
    let sinks = configured(&config, &evidence)?;
    anyhow::ensure!(
        !sinks.is_empty(),
        "nobody is configured to be told: give --slack-channel, or [slack], [alertmanager], [loki], \
         [webhook] or [kubernetes] in the configuration"
    );
    let mut failed = 0;
    for sink in &sinks {
        failed += send_all(sink.as_ref(), &sample).await;
    }
    match failed {
        0 => println!("every sample was taken"),
        1 => println!("1 sample was not taken"),
        _ => println!("{failed} samples were not taken"),
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The whole course of both sample incidents to one place. Returns how many states it did not take.
async fn send_all(sink: &dyn Sink, sample: &Sample) -> usize {
    let mut failed = 0;
    for course in sample.courses() {
        let mut memory = None;
        for incident in course {
            let (name, state) = (sink.name(), incident.state.as_str());
            let began = Instant::now();
            match send(sink, &incident, &mut memory).await {
                Ok(()) => {
                    println!(
                        "ok      {name:<14} {state:<10} {:.1} s",
                        began.elapsed().as_secs_f64()
                    );
                }
                Err(error) => {
                    failed += 1;
                    println!("broken  {name:<14} {state:<10} {error}");
                }
            }
        }
    }
    failed
}

/// Every step of one state, no faster than the place can take them.
async fn send(
    sink: &dyn Sink,
    incident: &Incident,
    memory: &mut Option<Value>,
) -> Result<(), DeliveryError> {
    for _ in 0..MAX_STEPS {
        let incidents = std::slice::from_ref(incident);
        let delivery = Delivery { incidents, memory: memory.as_ref(), unsure_since: None };
        let step = tokio::time::timeout(PATIENCE, sink.deliver(delivery)).await;
        let progress =
            step.map_err(|_| DeliveryError::unsure(format!("no answer within {PATIENCE:?}")))??;
        *memory = progress.memory;
        if let Some(pace) = sink.habits().pace {
            tokio::time::sleep(pace.every).await;
        }
        if !progress.more {
            return Ok(());
        }
    }
    Err(DeliveryError::permanent(format!("it is not done after {MAX_STEPS} steps: a defect")))
}
