//! Tells people: the delivery pipeline and one file per sink.
//!
//! A report is one message that is completed in place, not a stream: the first delivery of an incident posts it,
//! later ones replace it. A sink makes one delivery and says whether to retry; retries, order and bounds are the
//! pipeline's.

pub mod alertmanager;
pub mod http;
pub mod kubernetes;
pub mod labels;
pub mod loki;
pub mod message;
pub mod pipeline;
pub mod plot;
pub mod rules;
pub mod sink;
pub mod slack;
pub mod terminal;
pub mod webhook;
