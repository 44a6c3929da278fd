//! Opaque bytes, kept: the store behind Bindery
