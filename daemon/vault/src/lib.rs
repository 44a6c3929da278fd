//! The only way to the store: sealing, key ring, records, manifest
