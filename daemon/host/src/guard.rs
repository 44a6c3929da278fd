//! Whether the manifest allows what an operation asks for

use bindery_core::{
    exchange::{Effect, EffectKind, HttpRequest, Segment},
    provider::OperationKind,
};
use thiserror::Error;

use crate::{
    allowlist::{Base, path_below},
    manifest::{Manifest, Requests, operation_name},
    text,
};

/// The rules for one operation on one host.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    operation: &'static str,
    requests: Requests,
    api_base: String,
    web_base: String,
}

/// What the manifest does not allow. Never holds a query, since that may hold what somebody searched for.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum Violation {
    #[error("operation {operation} asked for {method} {path}, which the manifest does not allow")]
    Request {
        operation: &'static str,
        method: String,
        path: String,
    },
    #[error("operation {operation} asked for {method} outside the host's base URLs")]
    Elsewhere {
        operation: &'static str,
        method: String,
    },
    #[error("operation {operation} named the secret '{secret}', which the manifest does not allow")]
    Secret {
        operation: &'static str,
        secret: String,
    },
}

impl Guard {
    pub(crate) fn new(
        manifest: &Manifest,
        kind: OperationKind,
        api_base: &str,
        web_base: &str,
    ) -> Self {
        let operation = operation_name(kind);
        Self {
            operation,
            requests: manifest
                .requests
                .get(operation)
                .cloned()
                .unwrap_or_default(),
            api_base: api_base.to_owned(),
            web_base: web_base.to_owned(),
        }
    }

    /// Checks one effect before anybody acts on it.
    pub(crate) fn check(&self, effect: &Effect) -> Result<(), Violation> {
        match &effect.kind {
            EffectKind::Http(request) => self.http(request),
            EffectKind::VerifyMac { secret, .. } => self.secret(secret),
            EffectKind::SignJwt {
                secret, store_as, ..
            } => {
                self.secret(secret)?;
                self.secret(store_as)
            }
        }
    }

    fn http(&self, request: &HttpRequest) -> Result<(), Violation> {
        self.request(&request.method, &request.url)?;
        let values = request.headers.iter().flat_map(|(_, value)| value);
        for segment in values.chain(&request.body) {
            if let Segment::Secret { name, .. } = segment {
                self.secret(name)?;
            }
        }
        request
            .capture
            .iter()
            .try_for_each(|capture| self.secret(&capture.secret))
    }

    fn request(&self, method: &str, url: &str) -> Result<(), Violation> {
        let bases = [(Base::Api, &self.api_base), (Base::Web, &self.web_base)];
        let allowed = bases.into_iter().any(|(base, prefix)| {
            path_below(url, prefix).is_ok_and(|path| {
                self.requests
                    .allow
                    .iter()
                    .any(|pattern| pattern.matches(base, method, &path))
            })
        });
        if allowed {
            Ok(())
        } else {
            Err(self.refusal(method, url))
        }
    }

    fn refusal(&self, method: &str, url: &str) -> Violation {
        let (operation, method) = (self.operation, text::clean(method, 16));
        let path = [&self.api_base, &self.web_base]
            .into_iter()
            .find_map(|base| {
                let rest = url
                    .strip_prefix(base.trim_end_matches('/'))
                    .filter(|_| !base.is_empty())?;
                let path = rest.split(['?', '#']).next()?;
                (path.is_empty() || path.starts_with('/')).then(|| text::clean(path, 200))
            });
        match path {
            Some(path) => Violation::Request {
                operation,
                method,
                path,
            },
            None => Violation::Elsewhere { operation, method },
        }
    }

    fn secret(&self, name: &str) -> Result<(), Violation> {
        if self.requests.secrets.contains(name) {
            return Ok(());
        }
        Err(Violation::Secret {
            operation: self.operation,
            secret: text::clean(name, 64),
        })
    }
}

#[cfg(test)]
mod tests;
