//! Codes: spent once, with their verifier

use std::collections::BTreeSet;

use data_encoding::BASE64URL_NOPAD;
use ring::digest;

use crate::http::first;

use super::{Pkce, Refusal, Server};

/// What a consent left for the client to fetch
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) client: String,
    pub(super) person: u64,
    pub(super) scopes: BTreeSet<String>,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<Challenge>,
    pub(super) expires: u64,
    /// The grant that it led to
    pub(super) spent: Option<u64>,
}

/// A PKCE challenge
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    pub(super) text: String,
    pub(super) hashed: bool,
}

impl Challenge {
    fn matches(&self, verifier: &str) -> bool {
        if !self.hashed {
            return self.text == verifier;
        }
        let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
        self.text == BASE64URL_NOPAD.encode(digest.as_ref())
    }
}

impl Server {
    /// Finds the code that the fields present, if everything about it fits
    pub(super) fn present_code(
        &mut self,
        client: &str,
        fields: &[(String, String)],
        now_ms: u64,
    ) -> Result<(String, Code), Refusal> {
        if let Some(verifier) = first(fields, "code_verifier") {
            self.presented.insert(verifier.to_owned());
        }
        let secret = first(fields, "code").unwrap_or_default();
        let known = self.codes.get(secret).filter(|code| code.client == client);
        let code = known.cloned().ok_or(self.rules.refusals.code)?;
        if let Some(grant) = code.spent {
            if self.rules.code_reuse_kills {
                self.kill(grant);
            }
            return Err(self.rules.refusals.code);
        }
        if now_ms >= code.expires {
            return Err(self.rules.refusals.code);
        }
        if let Err(refusal) = self.check_code(&code, fields) {
            if self.rules.mistake_burns_code {
                self.codes.remove(secret);
            }
            return Err(refusal);
        }
        Ok((secret.to_owned(), code))
    }

    fn check_code(&self, code: &Code, fields: &[(String, String)]) -> Result<(), Refusal> {
        if first(fields, "redirect_uri") != Some(code.redirect_uri.as_str()) {
            return Err(self.rules.refusals.redirect);
        }
        let verifier = first(fields, "code_verifier").unwrap_or_default();
        match &code.challenge {
            Some(challenge) if self.rules.pkce != Pkce::Ignored && !challenge.matches(verifier) => {
                Err(self.rules.refusals.verifier)
            }
            _ => Ok(()),
        }
    }
}
