//! Domain types, pure decisions, and the ports they need
