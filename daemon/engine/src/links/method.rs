//! Ways to authorize a link, and where each is offered.

use bindery_core::{
    host::Host,
    link::{Desired, Wish},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, AuthMethod, Description},
    secret::Secret,
};

/// Ways to authorize a link.
#[derive(Debug)]
pub enum Method {
    /// A person consents in a browser, on Bindery's pages.
    OAuthCode {
        /// Id of a registered return address.
        return_to: Option<String>,
    },
    /// A person consents in a browser, and a page of the caller receives what the provider sends.
    Headless {
        /// Id of that page among the registered return addresses.
        return_to: String,
    },
    /// A person enters a code on another device.
    Device,
    /// The caller hands a token over.
    AccessToken {
        /// The token.
        token: Secret,
        /// User name or e-mail that comes with it; may be empty.
        username: String,
    },
    /// By an installation of the host's app.
    Installation {
        /// Its id. Ids can be guessed, so whoever gives one must be allowed to use every installation of the host; `None`
        /// for a person who installs the app and proves that it is theirs.
        id: Option<String>,
    },
}

impl Method {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> AuthKind {
        match self {
            Self::OAuthCode { .. } | Self::Headless { .. } => AuthKind::OAuthCode,
            Self::Device => AuthKind::Device,
            Self::AccessToken { .. } => AuthKind::AccessToken,
            Self::Installation { .. } => AuthKind::AppInstallation,
        }
    }
}

/// How a provider does a kind of authorization, if provider, host and operator offer it.
pub(crate) fn offered<'a>(
    host: &Host,
    description: &'a Description,
    kind: AuthKind,
) -> Result<&'a AuthMethod, Problem> {
    in_use(host)?;
    let method = description
        .method(kind)
        .ok_or_else(|| unsupported(host, name(kind)))?;
    permitted(host, kind)?;
    configured(host, description, kind)?;
    Ok(method)
}

fn in_use(host: &Host) -> Result<(), Problem> {
    let Desired::Disabled(Wish { reason, .. }) = &host.desired else {
        return Ok(());
    };
    let why = if reason.is_empty() {
        "no reason given"
    } else {
        reason
    };
    let message = format!(
        "hosts/{} is switched off ({why}); ask its operator",
        host.name
    );
    Err(Problem::new(Reason::HostDisabled, message).act(Who::HostOperator, ""))
}

/// O11: a code that somebody sends can be entered by the wrong person, so the device flow is there only where the operator
/// names it.
fn permitted(host: &Host, kind: AuthKind) -> Result<(), Problem> {
    let allowed = match host.allowed_methods.as_slice() {
        [] => kind != AuthKind::Device,
        some => some.contains(&kind),
    };
    if allowed {
        return Ok(());
    }
    let message = format!(
        "the operator of hosts/{} does not allow {}; choose another method, or have it added to allowed_methods",
        host.name,
        name(kind)
    );
    Err(Problem::new(Reason::MethodNotSupported, message).act(Who::HostOperator, ""))
}

fn configured(host: &Host, description: &Description, kind: AuthKind) -> Result<(), Problem> {
    let client = host.oauth_client_id.is_some();
    let lacking = match kind {
        AuthKind::OAuthCode if !client => "no OAuth client; give it a client id and secret",
        AuthKind::Device if !client => "no OAuth client; give it a client id",
        AuthKind::Device if description.endpoints.device.is_empty() => {
            "no page for the device flow; choose another method"
        }
        AuthKind::AppInstallation if host.app.is_none() => {
            "no app; give it an app id and private key"
        }
        _ => return Ok(()),
    };
    let message = format!("hosts/{} has {lacking}", host.name);
    Err(Problem::new(Reason::MethodNotSupported, message).act(Who::HostOperator, ""))
}

const fn name(kind: AuthKind) -> &'static str {
    match kind {
        AuthKind::OAuthCode => "OAuth",
        AuthKind::Device => "the device flow",
        AuthKind::AccessToken => "access tokens",
        AuthKind::AppInstallation => "app installations",
    }
}

fn unsupported(host: &Host, what: &str) -> Problem {
    let message = format!(
        "provider {} does not offer {what}; see its authentication methods",
        host.provider
    );
    Problem::new(Reason::MethodNotSupported, message)
}
