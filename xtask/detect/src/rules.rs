//! The alert rules people run today, evaluated as Prometheus would.
