//! The one HTTP client, and the only place where a secret meets the bytes of a request
