//! The report room's public face: the pipeline's promises, and each sink against a receiver that misbehaves.
#![cfg(test)]

mod alertmanager;
mod chaos;
mod conformance;
mod loki;
mod outbox;
mod pipeline;
mod plot;
mod plot_rows;
mod rules;
mod sample;
mod screens;
mod screens_html;
mod screens_markup;
mod screens_shots;
mod secrets;
mod slack;
mod slack_golden;
mod slack_steps;
mod slack_story;
mod slack_webhook;
mod terminal;
mod webhook;
