//! What calls on links are asked with.

use std::fmt::Display;

use bindery_proto::v1::{
    self, AccessToken, CreateLinkRequest, DeviceFlow, Link, OAuthCode, Permission,
    ReauthorizeLinkRequest, create_link_request, reauthorize_link_request,
};

use crate::Token;

/// Asks for a new link.
///
/// ```
/// use bindery_client::{LinkRequest, Token, proto::v1::Permission};
///
/// let by_person = LinkRequest::oauth("namespaces/acme", "hosts/github.com");
/// let token = Token::from("made at the provider");
/// let by_token = LinkRequest::token("namespaces/acme", "hosts/github.com", &token)
///     .permissions([Permission::Identity, Permission::ReadCode]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LinkRequest(CreateLinkRequest);

impl LinkRequest {
    /// By OAuth: a person opens the page that the answer names.
    pub fn oauth(namespace: impl Display, host: impl Display) -> Self {
        let method = create_link_request::Method::OauthCode(OAuthCode::default());
        Self::new(&namespace, &host, method)
    }

    /// By device flow: a person enters a code at the provider.
    pub fn device_flow(namespace: impl Display, host: impl Display) -> Self {
        let method = create_link_request::Method::DeviceFlow(DeviceFlow {});
        Self::new(&namespace, &host, method)
    }

    /// By a token that a person made at the provider.
    pub fn token(namespace: impl Display, host: impl Display, token: &Token) -> Self {
        let method = create_link_request::Method::AccessToken(access_token(token));
        Self::new(&namespace, &host, method)
    }

    fn new(
        namespace: &dyn Display,
        host: &dyn Display,
        method: create_link_request::Method,
    ) -> Self {
        Self(CreateLinkRequest {
            parent: namespace.to_string(),
            link: Some(Link {
                host: host.to_string(),
                ..Link::default()
            }),
            method: Some(method),
            ..CreateLinkRequest::default()
        })
    }

    fn link(&mut self) -> &mut Link {
        self.0.link.get_or_insert_default()
    }

    /// User name that belongs to the token, for providers that need one.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        if let Some(create_link_request::Method::AccessToken(token)) = &mut self.0.method {
            token.username = username.into();
        }
        self
    }

    /// Id of a registered page to return to after confirmation.
    pub fn return_to(mut self, page: impl Into<String>) -> Self {
        if let Some(create_link_request::Method::OauthCode(code)) = &mut self.0.method {
            code.return_to = page.into();
        }
        self
    }

    /// What the link is meant for; unless set, identity, organizations and reading code.
    pub fn permissions(mut self, permissions: impl IntoIterator<Item = Permission>) -> Self {
        self.link().permissions = permissions.into_iter().map(i32::from).collect();
        self
    }

    /// Name for people.
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.link().display_name = name.into();
        self
    }

    /// Login or stable id of the identity that is expected; another one is refused.
    pub fn expect_identity(mut self, identity: impl Into<String>) -> Self {
        self.0.expected_identity = identity.into();
        self
    }

    /// Links a personal account although the namespace requires a service account.
    pub fn allow_personal_account(mut self) -> Self {
        self.0.allow_personal_account = true;
        self
    }

    /// A UUID of the caller's own, to repeat the same intent after a crash.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }

    pub(crate) fn into_message(self) -> CreateLinkRequest {
        self.0
    }
}

/// Asks to authorize a link anew.
#[derive(Clone, Debug)]
#[must_use]
pub struct ReauthorizeRequest(ReauthorizeLinkRequest);

impl ReauthorizeRequest {
    /// In the same way as the last time.
    pub fn new(name: impl Display) -> Self {
        let name = name.to_string();
        Self(ReauthorizeLinkRequest {
            name,
            ..ReauthorizeLinkRequest::default()
        })
    }

    /// By OAuth.
    pub fn oauth(mut self) -> Self {
        let method = reauthorize_link_request::Method::OauthCode(OAuthCode::default());
        self.0.method = Some(method);
        self
    }

    /// By a token that a person made at the provider.
    pub fn token(mut self, token: &Token) -> Self {
        let method = reauthorize_link_request::Method::AccessToken(access_token(token));
        self.0.method = Some(method);
        self
    }

    /// What the link is meant for from now on.
    pub fn permissions(mut self, permissions: impl IntoIterator<Item = Permission>) -> Self {
        self.0.permissions = permissions.into_iter().map(i32::from).collect();
        self
    }

    /// Accepts another identity than before.
    pub fn allow_identity_change(mut self) -> Self {
        self.0.allow_identity_change = true;
        self
    }

    pub(crate) fn into_message(self) -> ReauthorizeLinkRequest {
        self.0
    }
}

/// Asks to unlink.
#[derive(Clone, Debug)]
#[must_use]
pub struct UnlinkRequest(v1::UnlinkRequest);

impl UnlinkRequest {
    /// Unlinks `namespaces/{namespace}/links/{link}`.
    pub fn new(name: impl Display) -> Self {
        Self(v1::UnlinkRequest {
            name: name.to_string(),
            ..v1::UnlinkRequest::default()
        })
    }

    /// Why, for people.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = reason.into();
        self
    }

    /// Goes on where other links share the grant and lose it too.
    pub fn accept_shared_grant(mut self, accept: bool) -> Self {
        self.0.accept_shared_grant = accept;
        self
    }

    /// Erases the secrets even where the grant can't be removed now.
    pub fn force(mut self, force: bool) -> Self {
        self.0.force = force;
        self
    }

    /// Leaves the hooks at the provider.
    pub fn keep_hooks(mut self, keep: bool) -> Self {
        self.0.keep_hooks = keep;
        self
    }

    /// Does nothing and returns what would be done.
    pub fn preview(mut self, preview: bool) -> Self {
        self.0.validate_only = preview;
        self
    }

    pub(crate) fn into_message(self) -> v1::UnlinkRequest {
        self.0
    }
}

fn access_token(token: &Token) -> AccessToken {
    AccessToken {
        token: token.expose().to_owned(),
        username: String::new(),
    }
}
