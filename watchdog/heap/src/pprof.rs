//! pprof protobuf, in and out.
