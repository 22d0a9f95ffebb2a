//! The SDK's batch processors with a queue that counts what it drops.
//!
//! The processors drop silently as they are built here: their own log repeats itself with every batch. Each has a thread
//! of its own, so whoever submits never waits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::LogRecord as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder as LogBatching, BatchLogProcessor, LogBatch, LogExporter, LogProcessor,
    SdkLogRecord,
};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder as SpanBatching, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor,
};

use super::Batching;
use super::signal::Signal;

/// Spans on their way to the collector.
#[derive(Debug)]
pub(super) struct SpanQueue {
    processor: BatchSpanProcessor,
    signal: Arc<Signal>,
}

impl SpanQueue {
    /// A queue before this exporter.
    pub(super) fn start(
        exporter: impl SpanExporter + 'static,
        signal: Arc<Signal>,
        batching: &Batching,
        resource: &Resource,
    ) -> Self {
        let exporter = Counted { exporter, signal: Arc::clone(&signal) };
        let config = SpanBatching::default()
            .with_max_queue_size(batching.queue)
            .with_max_export_batch_size(batching.batch)
            .with_scheduled_delay(batching.every)
            .build();
        let mut processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        processor.set_resource(resource);
        Self { processor, signal }
    }

    /// Takes a span, or drops it if the queue is full.
    pub(super) fn submit(&self, span: SpanData) {
        if self.signal.enter() {
            self.processor.on_end(span);
        }
    }

    /// Exports what waits, blocking for this long at most.
    pub(super) fn shutdown(&self, within: Duration) {
        // What did not get away is counted.
        drop(self.processor.shutdown_with_timeout(within));
    }
}

/// Log records on their way to the collector.
#[derive(Debug)]
pub(super) struct LogQueue {
    processor: BatchLogProcessor,
    signal: Arc<Signal>,
}

impl LogQueue {
    /// A queue before this exporter.
    pub(super) fn start(
        exporter: impl LogExporter + 'static,
        signal: Arc<Signal>,
        batching: &Batching,
    ) -> Self {
        let exporter = Counted { exporter, signal: Arc::clone(&signal) };
        let config = LogBatching::default()
            .with_max_queue_size(batching.queue)
            .with_max_export_batch_size(batching.batch)
            .with_scheduled_delay(batching.every)
            .build();
        let processor = BatchLogProcessor::builder(exporter).with_batch_config(config).build();
        Self { processor, signal }
    }
}

impl LogProcessor for LogQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if !self.signal.enter() {
            return;
        }
        // The bridge leaves the time out, and gives the place in the source for a name; an event's name says its kind.
        record.set_timestamp(SystemTime::now());
        record.set_event_name("");
        self.processor.emit(record, scope);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, within: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(within)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

/// An exporter whose batches are counted.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    signal: Arc<Signal>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.exporter.export(batch).await;
        self.signal.leave(count, result.is_ok());
        result
    }

    fn shutdown_with_timeout(&self, within: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(within)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let count = batch.iter().count();
        let result = self.exporter.export(batch).await;
        self.signal.leave(count, result.is_ok());
        result
    }

    fn shutdown_with_timeout(&self, within: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(within)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
