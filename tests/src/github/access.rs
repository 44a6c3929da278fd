//! Who asks, and what they may see

use data_encoding::BASE64;
use http::{HeaderMap, StatusCode, header};

use super::reply::Reply;
use super::seed::{Permission, Role, Sso};
use super::world::{Org, Repo, Token, TokenKind, World};
use super::{Inner, app_api, jwt, scopes};

/// Whoever sent an API request
#[derive(Clone, Debug)]
pub(super) enum Caller {
    Nobody,
    Token(Box<Token>),
    /// An app, by its JWT
    App(u64),
}

const RESTRICTED_DOCS: &str =
    "https://docs.github.com/articles/restricting-access-to-your-organization-s-data/";

impl Caller {
    /// Read the credentials of an API request; wrong ones are an error, none are not
    pub(super) fn of(inner: &Inner, headers: &HeaderMap) -> Result<Self, Reply> {
        let Some(secret) = secret(headers) else {
            return Ok(Self::Nobody);
        };
        let now = inner.now();
        let mut world = inner.world();
        if inner.is_locked_out(&world, now) {
            let text = "Maximum number of login attempts exceeded. Please try again later.";
            return Err(Reply::error(StatusCode::FORBIDDEN, text, ""));
        }
        if jwt::is_one(&secret) {
            return jwt::signer(&world, &secret, now).map(|app| Self::App(app.id));
        }
        if world.is_unseen(&secret) {
            return Err(bad_credentials());
        }
        if let Some(token) = world.live_token(&secret, now) {
            world.is_in_good_standing(token)?;
            return Ok(Self::Token(Box::new(token.clone())));
        }
        world.bad_credentials = (world.bad_credentials.0 + 1, now);
        Err(bad_credentials())
    }

    /// The token, or the answer to those who need one and have none
    pub(super) fn token(&self, page: &str) -> Result<&Token, Reply> {
        match self {
            Self::Token(token) => Ok(token),
            Self::Nobody | Self::App(_) => Err(Reply::error(
                StatusCode::UNAUTHORIZED,
                "Requires authentication",
                page,
            )),
        }
    }

    pub(super) fn known(&self) -> Option<&Token> {
        self.token("").ok()
    }
}

impl Inner {
    /// Whether so many bad credentials came that nobody is believed for a while
    fn is_locked_out(&self, world: &World, now: i64) -> bool {
        let (count, last) = world.bad_credentials;
        let limit = self.options.lockout_after;
        limit.is_some_and(|limit| count >= limit && now < last + 300)
    }
}

fn bad_credentials() -> Reply {
    Reply::error(StatusCode::UNAUTHORIZED, "Bad credentials", "")
}

impl World {
    /// Whether a replica does not know the token yet; every question brings it nearer
    fn is_unseen(&mut self, secret: &str) -> bool {
        let Some(left) = self.unseen.get_mut(secret).filter(|left| **left > 0) else {
            return false;
        };
        *left -= 1;
        true
    }

    /// Whether neither the person nor the installation is suspended; the error is the answer
    fn is_in_good_standing(&self, token: &Token) -> Result<(), Reply> {
        if self.suspended.contains(&token.login) {
            let text = "Sorry. Your account was suspended";
            return Err(Reply::error(StatusCode::FORBIDDEN, text, ""));
        }
        let installation = token.installation().and_then(|id| self.installation(id));
        match installation.and_then(|one| one.suspended) {
            Some(_) => Err(app_api::suspended()),
            None => Ok(()),
        }
    }

    /// How far a token goes in a repository, before what its scopes or permissions say
    pub(super) fn reach(&self, token: &Token, repo: &Repo) -> Option<Permission> {
        match &token.kind {
            TokenKind::Installation { id, repos } => {
                let covered = self.installation(*id).is_some_and(|one| one.covers(repo));
                let chosen = repos.as_ref().is_none_or(|repos| repos.contains(&repo.id));
                let writes = token.scopes.contains("contents:write");
                let level = if writes {
                    Permission::Push
                } else {
                    Permission::Pull
                };
                (covered && chosen).then_some(level)
            }
            TokenKind::AppUser { app, .. } => {
                let mut installed = self.installations.iter();
                let covered = installed
                    .any(|one| one.app == *app && one.suspended.is_none() && one.covers(repo));
                self.permission(repo, &token.login).filter(|_| covered)
            }
            _ => self.permission(repo, &token.login),
        }
    }

    /// How far somebody may go in a repository
    pub(super) fn permission(&self, repo: &Repo, login: &str) -> Option<Permission> {
        if repo.owner.eq_ignore_ascii_case(login) {
            return Some(Permission::Admin);
        }
        let org = self.org(&repo.owner);
        let role = org.and_then(|org| org.members.get(login));
        let inherited = role.map(|role| match role {
            Role::Owner => Permission::Admin,
            Role::Member => Permission::Pull,
        });
        inherited.max(repo.collaborators.get(login).copied())
    }

    /// Whether a caller may read a repository; the error is the answer
    pub(super) fn may_read(&self, caller: &Caller, repo: &Repo) -> Result<(), Reply> {
        const PAGE: &str = "/repos/repos#get-a-repository";
        if !repo.private {
            return Ok(());
        }
        let token = caller.known().ok_or_else(|| Reply::not_found(PAGE))?;
        if self.reach(token, repo).is_none() || !token.reaches(repo) {
            return Err(Reply::not_found(PAGE));
        }
        self.org(&repo.owner)
            .map_or(Ok(()), |org| org.admits(token))
    }
}

impl Token {
    /// Whether the token's own limits leave a private repository in it
    fn reaches(&self, repo: &Repo) -> bool {
        match &self.kind {
            TokenKind::FineGrainedPat { .. } => self.reaches_account(&repo.owner),
            TokenKind::OAuth { .. } | TokenKind::ClassicPat => self.covers("repo"),
            // What an app reaches is where it is installed.
            TokenKind::AppUser { .. } | TokenKind::Installation { .. } => true,
        }
    }

    /// Whether the token is for what this account owns; only fine-grained ones are for one alone
    pub(super) fn reaches_account(&self, login: &str) -> bool {
        match &self.kind {
            TokenKind::FineGrainedPat { owner } => owner.eq_ignore_ascii_case(login),
            _ => true,
        }
    }

    pub(super) fn covers(&self, scope: &str) -> bool {
        scopes::covers(&self.scopes, scope)
    }

    /// Whether a fine-grained token has a permission; other tokens are not asked
    pub(super) fn permits(&self, permission: &str) -> Result<(), Reply> {
        let (name, _) = permission.split_once(':').unwrap_or((permission, ""));
        let has = |level: &str| self.scopes.contains(&format!("{name}:{level}"));
        // Every fine-grained token can read metadata.
        if !self.is_fine_grained() || name == "metadata" || has("read") || has("write") {
            return Ok(());
        }
        let text = if self.is_personal() {
            "Resource not accessible by personal access token"
        } else {
            "Resource not accessible by integration"
        };
        Err(Reply::error(StatusCode::FORBIDDEN, text, "")
            .with("x-accepted-github-permissions", format!("{name}=read")))
    }
}

impl Org {
    /// Whether private things of the organization are open to a token; the error is the answer
    pub(super) fn admits(&self, token: &Token) -> Result<(), Reply> {
        if self.restricts(token) {
            return Err(self.restriction());
        }
        if self.wants_sso(token) {
            let text = "Resource protected by organization SAML enforcement. You must grant your \
                        OAuth token access to this organization.";
            let reply = Reply::error(StatusCode::FORBIDDEN, text, "");
            let url = format!("{}/sso?authorization_request={}", self.url, token.id);
            return Err(reply.with("x-github-sso", format!("required; url={url}")));
        }
        Ok(())
    }

    /// Whether the token is of an OAuth app that no owner let in
    pub(super) fn restricts(&self, token: &Token) -> bool {
        let TokenKind::OAuth { client_id } = &token.kind else {
            return false;
        };
        self.restricted && !self.approved.contains(client_id)
    }

    /// Whether the token first needs to be authorized for single sign-on
    pub(super) fn wants_sso(&self, token: &Token) -> bool {
        let concerned = match self.sso {
            None => false,
            Some(Sso::PersonalTokens) => token.is_personal(),
            Some(Sso::AllTokens) => token.installation().is_none(),
        };
        concerned && !token.sso.contains(&self.login)
    }

    fn restriction(&self) -> Reply {
        let text = format!(
            "Although you appear to have the correct authorization credentials, the `{}` \
             organization has enabled OAuth App access restrictions, meaning that data access to \
             third-parties is limited. For more information on these restrictions, including how \
             to enable this app, visit {RESTRICTED_DOCS}",
            self.login
        );
        let mut reply = Reply::error(StatusCode::FORBIDDEN, &text, "");
        if let Some(body) = &mut reply.body {
            body["documentation_url"] = RESTRICTED_DOCS.into();
        }
        reply
    }
}

/// The token in `Authorization`: `Bearer`, `token`, or the password of `Basic`
pub(super) fn secret(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?;
    let value = value.to_str().unwrap_or_default();
    let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        let (user, password) = basic(headers).unwrap_or_default();
        // `user:x-oauth-basic` and an empty password put the token first.
        let first = password.is_empty() || password == "x-oauth-basic";
        return Some(if first { user } else { password });
    }
    Some(rest.trim().to_owned())
}

/// User and password of `Basic`
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let decoded = BASE64.decode(rest.trim().as_bytes()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let basic = scheme.eq_ignore_ascii_case("basic");
    basic.then(|| (user.to_owned(), password.to_owned()))
}
