//! What calls on links are asked with.

use std::fmt::Display;

use bindery_proto::v1::{
    self, AccessToken, AppInstallation, ConfirmLinkRequest, CreateLinkRequest, DeviceFlow, Link,
    OAuthCode, Permission, ReauthorizeLinkRequest, create_link_request, reauthorize_link_request,
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

    /// By an installation of the host's app. Without its id a person installs the app on the page that the answer names.
    pub fn app_installation(
        namespace: impl Display,
        host: impl Display,
        installation: Option<&str>,
    ) -> Self {
        let method = create_link_request::Method::AppInstallation(installed(installation));
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

    /// The caller's own page receives code and state, and hands them in with [`complete_link`](crate::Client::complete_link).
    /// It needs [`return_to`](Self::return_to).
    pub fn headless(mut self) -> Self {
        if let Some(create_link_request::Method::OauthCode(code)) = &mut self.0.method {
            code.headless = true;
        }
        self
    }

    /// The identity is a service account, not a person's.
    pub fn service_account(mut self) -> Self {
        self.link().service_account = true;
        self
    }

    /// Pairs for selection.
    pub fn labels(mut self, labels: impl IntoIterator<Item = (String, String)>) -> Self {
        self.link().labels.extend(labels);
        self
    }

    /// Checks everything, with a token also at the provider, and makes no link.
    pub fn preview(mut self) -> Self {
        self.0.validate_only = true;
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

    /// Namespaces that the person may choose instead on the confirm page: `namespaces/{namespace}`.
    pub fn offer(mut self, namespaces: impl IntoIterator<Item = String>) -> Self {
        self.0.offered_namespaces.extend(namespaces);
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

    /// By device flow.
    pub fn device_flow(mut self) -> Self {
        let method = reauthorize_link_request::Method::DeviceFlow(DeviceFlow {});
        self.0.method = Some(method);
        self
    }

    /// By an installation of the host's app.
    pub fn app_installation(mut self, installation: Option<&str>) -> Self {
        let method = reauthorize_link_request::Method::AppInstallation(installed(installation));
        self.0.method = Some(method);
        self
    }

    /// User name that belongs to the token, for providers that need one.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        if let Some(reauthorize_link_request::Method::AccessToken(token)) = &mut self.0.method {
            token.username = username.into();
        }
        self
    }

    /// Links a personal account although the namespace requires a service account.
    pub fn allow_personal_account(mut self) -> Self {
        self.0.allow_personal_account = true;
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

/// Asks to confirm who was linked.
#[derive(Clone, Debug)]
#[must_use]
pub struct ConfirmRequest(ConfirmLinkRequest);

impl ConfirmRequest {
    /// Confirms `namespaces/{namespace}/links/{link}` as it is.
    pub fn new(name: impl Display) -> Self {
        Self(ConfirmLinkRequest {
            name: name.to_string(),
            ..ConfirmLinkRequest::default()
        })
    }

    /// The code that the page showed; needed where the flow ran in a browser.
    pub fn code(mut self, code: &Token) -> Self {
        code.expose().clone_into(&mut self.0.link_code);
        self
    }

    /// Stable id of the identity that was shown; another one is refused.
    pub fn identity(mut self, stable_id: impl Into<String>) -> Self {
        self.0.identity_stable_id = stable_id.into();
        self
    }

    /// The namespace that the person chose; the link keeps its id and gets a new name.
    pub fn namespace(mut self, namespace: impl Display) -> Self {
        self.0.namespace = namespace.to_string();
        self
    }

    /// The instance type that the person confirmed.
    pub fn instance_type(mut self, instance_type: impl Into<String>) -> Self {
        self.0.instance_type = instance_type.into();
        self
    }

    /// The region that the person confirmed.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.0.region = region.into();
        self
    }

    /// Links a personal account although the namespace requires a service account.
    pub fn allow_personal_account(mut self) -> Self {
        self.0.allow_personal_account = true;
        self
    }

    pub(crate) fn into_message(self) -> ConfirmLinkRequest {
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

    /// Ends only the link's own token where other links share the grant, and leaves the grant to them.
    pub fn keep_shared_grant(mut self, keep: bool) -> Self {
        self.0.keep_shared_grant = keep;
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

fn installed(id: Option<&str>) -> AppInstallation {
    AppInstallation {
        installation_id: id.unwrap_or_default().to_owned(),
    }
}

fn access_token(token: &Token) -> AccessToken {
    AccessToken {
        token: token.expose().to_owned(),
        username: String::new(),
    }
}
