//! The little that the webhooks of both editions have in common

use bindery_plugin_sdk::{
    Failure, Result, Secret,
    v1::{self, HookSupport, RevocationOutcome, SignatureKind, SignatureScheme},
};

/// Name of the only scheme. The header is the one that elsewhere holds a SHA-1; here it is SHA-256.
pub(crate) const SCHEME: &str = "hmac-sha256";

/// The hook's secret.
pub(crate) const SECRET: Secret = Secret("hook_secret");

/// What webhooks are like, but for the header with the id of a delivery.
pub(crate) fn support(id_header: &str) -> HookSupport {
    HookSupport {
        schemes: vec![SignatureScheme {
            name: SCHEME.to_owned(),
            kind: SignatureKind::BodyHmacSha256.into(),
            header: "x-hub-signature".to_owned(),
            prefix: "sha256=".to_owned(),
            ..SignatureScheme::default()
        }],
        event_header: "x-event-key".to_owned(),
        id_headers: vec![id_header.to_owned()],
        ..HookSupport::default()
    }
}

pub(crate) fn check_scheme(scheme: &str) -> Result<()> {
    match scheme {
        SCHEME => Ok(()),
        _ => Err(Failure::invalid_argument(
            "Bitbucket signs with hmac-sha256 and nothing else",
        )),
    }
}

/// What became of a hook that was to go.
pub(crate) fn gone(outcome: RevocationOutcome) -> v1::Revocation {
    let message = match outcome {
        RevocationOutcome::Done => "the hook is deleted",
        _ => "the repository has no such hook any more",
    };
    v1::Revocation {
        outcome: outcome.into(),
        message: message.to_owned(),
        ..v1::Revocation::default()
    }
}

/// What of a hook is not as it should be.
pub(crate) fn deviations<const N: usize>(right: [(&str, bool); N]) -> Vec<String> {
    let wrong = right.into_iter().filter(|(_, right)| !right);
    wrong.map(|(what, _)| what.to_owned()).collect()
}
