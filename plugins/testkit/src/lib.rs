//! Conformance kit for provider plugins
