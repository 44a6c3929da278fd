//! A credential that was handed out, without the credential.

use crate::{
    name::{LeaseId, LinkId, NamespaceName},
    secret::Secret,
    time::Timestamp,
};

/// A record that a credential was handed out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// Its id.
    pub id: LeaseId,
    /// The link.
    pub link: LinkId,
    /// Stable id of the repository that it was asked for; empty where it was asked for the link.
    pub repository: String,
    /// What it is good for.
    pub access: Access,
    /// The provider limits the token to the repository.
    pub narrowed: bool,
    /// The token was made for this lease alone, and can be revoked by itself.
    pub minted: bool,
    /// Who got it.
    pub holder: String,
    /// When it was handed out.
    pub created: Timestamp,
    /// When the token ends; `None` where it does not, or nobody knows.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// What a credential is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Reading code.
    Read,
    /// Reading and writing code.
    ReadWrite,
}

/// The token of a lease that was minted for it alone. Sealed, bound to the host and its allowed origins.
#[derive(Debug)]
pub struct LeaseToken {
    /// The token.
    pub token: Secret,
    /// When it ends.
    pub expires: Timestamp,
}
