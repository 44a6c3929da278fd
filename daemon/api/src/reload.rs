//! Policy, certificates and deny lists are read again: by a call, at a signal, or since a file changed.

use bindery_core::audit::{Deed, Survives};
use bindery_proto::v1::ErrorReason;
use data_encoding::HEXLOWER;

use crate::{
    Api,
    policy::PolicyError,
    status::{Failure, code, code_text},
};

impl Api {
    /// Reads policy, certificates and deny lists again, and writes to the audit log what counts now. What is wrong stays as it
    /// was, and is in the daemon's own log.
    pub async fn reload(&self) {
        let done = self.read_again(false);
        let mut deed = own("reload-policy", "policy");
        let policy = HEXLOWER.encode(&self.policy().current().sha256());
        fact(&mut deed, "policy_sha256", policy);
        fact(&mut deed, "denied_keys", self.denied_keys().to_string());
        match &done {
            Ok(changed) => {
                tracing::info!(changed, "Policy and certificates read again");
                fact(&mut deed, "changed", changed.to_string());
            }
            Err(failure) => {
                let error = failure.message();
                tracing::error!(
                    error,
                    "Not all of it is usable; what is wrong stays as it was"
                );
                code_text(code(failure.reason())).clone_into(&mut deed.code);
                failure.reason().as_str_name().clone_into(&mut deed.reason);
            }
        }
        self.did(deed).await;
    }

    /// Writes that a deny list counts which was changed.
    pub(crate) async fn followed_deny_list(&self, keys: usize) {
        let mut deed = own("follow-deny-list", "deny-list");
        fact(&mut deed, "denied_keys", keys.to_string());
        self.did(deed).await;
    }

    /// Reads all of it, each part by itself, so that one that is wrong holds no other back; whether the policy changed.
    ///
    /// Fails with all that is wrong.
    pub(crate) fn read_again(&self, only_check: bool) -> Result<bool, Failure> {
        let certificates = self.certificates().clone();
        let read = certificates.iter().map(|tls| match only_check {
            true => tls.check(),
            false => tls.reload(),
        });
        let wrong = read.filter_map(|done| Some(done.err()?.to_string()));
        // All are read before the first is judged.
        let wrong: Vec<String> = wrong.collect();
        let changed = self.renew_policy(only_check);
        if wrong.is_empty() {
            return changed;
        }
        let (mut message, mut violations) = (wrong.join("; "), Vec::new());
        if let Err(failure) = changed {
            message = format!("{message}; {}", failure.message());
            violations = failure.into_violations();
        }
        let named = wrong
            .into_iter()
            .map(|why| ("certificates".to_owned(), why));
        let failure = Failure::new(ErrorReason::InvalidArgument, message);
        Err(named.chain(violations).fold(failure, Failure::violation))
    }

    fn renew_policy(&self, only_check: bool) -> Result<bool, Failure> {
        let handle = self.policy();
        if !only_check {
            return handle.renew().map_err(unusable);
        }
        let next = handle.read_again().map_err(unusable)?;
        Ok(next.is_some_and(|next| next != *handle.current()))
    }

    /// Keys that no listener lets in.
    fn denied_keys(&self) -> usize {
        let certificates = self.certificates();
        certificates.iter().map(|tls| tls.door().denied.len()).sum()
    }

    /// Writes what the daemon did by itself.
    async fn did(&self, deed: Deed) {
        let action = deed.action.clone();
        if let Err(error) = self.audit().record(deed, Survives::Daemon).await {
            tracing::error!(%error, action, "What the daemon did is not in the audit log");
        }
    }
}

fn own(action: &str, resource: &str) -> Deed {
    Deed {
        actor: "daemon".to_owned(),
        action: format!("daemon/{action}"),
        resource: resource.to_owned(),
        code: "OK".to_owned(),
        ..Deed::default()
    }
}

fn fact(deed: &mut Deed, name: &str, value: String) {
    deed.facts.insert(name.to_owned(), value);
}

fn unusable(error: PolicyError) -> Failure {
    match error {
        PolicyError::Unreadable { .. } => {
            Failure::new(ErrorReason::InvalidArgument, error.to_string())
        }
        PolicyError::Invalid(errors) => {
            let message = format!(
                "the policy file is wrong; the old policy stays: {}",
                errors.join("; ")
            );
            let failure = Failure::new(ErrorReason::InvalidArgument, message);
            let violations = errors.into_iter().map(|error| ("policy".to_owned(), error));
            violations.fold(failure, Failure::violation)
        }
    }
}
