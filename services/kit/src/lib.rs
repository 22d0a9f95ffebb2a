//! What all shop services share: telemetry, health, shutdown, faults and the admin port.
