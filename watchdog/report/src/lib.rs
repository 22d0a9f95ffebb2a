//! Tells people: the delivery pipeline and one file per sink.
