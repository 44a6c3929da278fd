//! Use cases over ports: linking, refresh, credentials, unlink
