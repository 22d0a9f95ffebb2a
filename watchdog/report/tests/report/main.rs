//! The report room's public face: the pipeline's promises, and each sink against a receiver that misbehaves.
#![cfg(test)]

mod conformance;
mod loki;
mod outbox;
mod pipeline;
mod plot;
mod plot_rows;
mod sample;
mod secrets;
mod slack;
mod terminal;
mod webhook;
