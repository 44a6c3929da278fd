//! Public gRPC API of Bindery, generated from `bindery.v1` and `bindery.admin.v1`.
//!
//! The code is committed; `BINDERY_REGENERATE=1 cargo test -p bindery-codegen` rewrites it after a
//! change of the schema. `proto/API.md` is the same text for reading. Messages with a secret print
//! `[redacted]` in its place.
#![forbid(unsafe_code)]

/// Package `bindery.v1`: what registries, builders and people call.
#[allow(
    clippy::all,
    clippy::pedantic,
    clippy::use_self,
    missing_docs,
    rustdoc::all,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]
pub mod v1 {
    include!("gen/bindery.v1.rs");
}

/// Package `bindery.admin`: what the operator of the daemon calls, on a socket of its own.
pub mod admin {
    /// Package `bindery.admin.v1`.
    #[allow(
        clippy::all,
        clippy::pedantic,
        clippy::use_self,
        missing_docs,
        rustdoc::all,
        unreachable_pub,
        unused_qualifications,
        reason = "generated code"
    )]
    pub mod v1 {
        include!("gen/bindery.admin.v1.rs");
    }

    /// The schema of `bindery.admin.v1` with its imports, comments and custom options, as an encoded
    /// `google.protobuf.FileDescriptorSet`.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/bindery.admin.v1.binpb");
}

/// The schema of `bindery.v1` with its imports, comments and custom options, as an encoded
/// `google.protobuf.FileDescriptorSet`: for reflection, and for tests that walk the surface. It does
/// not hold [`admin`], whose calls exist on the admin socket only.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/bindery.v1.binpb");
