//! The HTTP listener: start, callback and confirm pages, health, metrics
