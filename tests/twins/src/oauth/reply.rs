//! What a token endpoint's answers look like

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::{
    http::{Request, Response},
    time,
};

use super::{Refusal, family::Issued};

/// What a good reply looks like, and how errors come
#[derive(Clone, Debug)]
pub struct Reply {
    /// Member with the granted scopes; `None` without
    pub scope_member: Option<&'static str>,
    /// Between scopes
    pub scope_separator: &'static str,
    /// Whether `created_at` (seconds since 1970) is there
    pub created_at: bool,
    /// `token_type`
    pub token_type: &'static str,
    /// Whether errors have status 200
    pub errors_with_200: bool,
    /// In which format
    pub coding: Coding,
}

/// In which format a token endpoint answers
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coding {
    /// JSON, always
    Json,
    /// A form, unless `Accept` asks for JSON
    FormByDefault,
}

impl Reply {
    /// As RFC 6749 section 5.1 has it
    #[must_use]
    pub const fn rfc() -> Self {
        Self {
            scope_member: Some("scope"),
            scope_separator: " ",
            created_at: false,
            token_type: "Bearer",
            errors_with_200: false,
            coding: Coding::Json,
        }
    }

    pub(super) fn issued(&self, request: &Request, issued: &Issued, now_ms: u64) -> Response {
        let mut pairs: Vec<(&str, Value)> = vec![
            ("access_token", issued.access.as_str().into()),
            ("token_type", self.token_type.into()),
        ];
        if let Some(end) = issued.expires {
            let left = time::seconds(end.saturating_sub(now_ms));
            pairs.push(("expires_in", left.into()));
        }
        if let Some(refresh) = &issued.refresh {
            pairs.push(("refresh_token", refresh.as_str().into()));
        }
        if let Some(member) = self.scope_member {
            pairs.push((member, self.scopes(&issued.scopes).into()));
        }
        if self.created_at {
            pairs.push(("created_at", time::seconds(now_ms).into()));
        }
        self.written(request, 200, pairs)
    }

    pub(super) fn refused(&self, request: &Request, refusal: Refusal) -> Response {
        let pairs = vec![
            ("error", refusal.error.into()),
            ("error_description", refusal.description.into()),
        ];
        let status = if self.errors_with_200 {
            200
        } else {
            refusal.status
        };
        let answer = self.written(request, status, pairs);
        match status {
            // RFC 6749 section 5.2
            401 => answer.with("www-authenticate", "Basic realm=\"OAuth\""),
            _ => answer,
        }
    }

    fn scopes(&self, scopes: &BTreeSet<String>) -> String {
        let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
        scopes.join(self.scope_separator)
    }

    fn written(&self, request: &Request, status: u16, pairs: Vec<(&str, Value)>) -> Response {
        let json = self.coding == Coding::Json || request.wants_json();
        let response = if json {
            let members = pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value));
            Response::json(status, &Value::Object(members.collect::<Map<_, _>>()))
        } else {
            let mut form = form_urlencoded::Serializer::new(String::new());
            for (name, value) in &pairs {
                let number = value.to_string();
                form.append_pair(name, value.as_str().unwrap_or(&number));
            }
            Response::body(
                status,
                "application/x-www-form-urlencoded; charset=utf-8",
                form.finish(),
            )
        };
        response.with("cache-control", "no-store")
    }
}
