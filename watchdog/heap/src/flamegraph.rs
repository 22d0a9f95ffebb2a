//! Flamegraphs as SVG: of one profile, and of the difference of two.
