//! What a plugin describes, what it is asked for, and what it answers. Everything that comes from a plugin is untrusted
//! until the host has checked it.

mod call;
mod delivery;
mod description;
mod failure;
mod output;

pub use self::{
    call::{
        APP_PRIVATE_KEY, Call, CredentialFacts, Input, MINTED_TOKEN, OperationKind, ROTATED_TOKEN,
        WantedHook,
    },
    delivery::{
        Commit, Delivered, DeliveredRepository, HOOK_SECRET, Happening, HookFacts, HookSupport,
        Person, Push, RefDeleted, RepositoryChange, RepositoryChanged, SentDelivery, SignatureKind,
        SignatureScheme, TagCreated,
    },
    description::{
        AuthKind, AuthMethod, Description, Endpoints, Permission, PermissionScopes,
        RateLimitHeaders, RevocationSupport, Rotation, TokenKind, UserName,
    },
    failure::{Failure, FailureCode},
    output::{
        AccountKind, Identity, Installation, Minted, Organization, OrganizationAccess, Output, Ref,
        RefKind, Repository, Revocation, RevocationOutcome, ServerFacts, TokenFacts,
    },
};
