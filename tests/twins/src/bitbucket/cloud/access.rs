//! Who comes with which token, and what its scopes allow

use std::collections::BTreeSet;

use crate::{
    Git, GitRequest, State,
    http::{Request, Response},
    world::{Found, Refused, Role},
};

use super::reply;

/// Who sent a request
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) person: u64,
    scopes: BTreeSet<String>,
    /// Whether it is an API token, whose scopes have other names and imply nothing
    api_token: bool,
    /// Whether it is a token of a workspace, project or repository
    pub(super) is_nobody: bool,
}

/// What an endpoint needs
#[derive(Clone, Copy, Debug)]
pub(super) enum Needs {
    /// To know who it is
    Account,
    /// To know the workspaces
    Workspaces,
    /// To read repositories
    Read,
    /// To push
    Write,
    /// To look at hooks
    HookRead,
    /// To make and change hooks
    HookWrite,
    /// To remove hooks
    HookDelete,
    /// To be told of pull requests
    PullRequests,
    /// To be told of issues
    Issues,
}

impl Needs {
    /// The scope of API tokens
    const fn of_api_token(self) -> &'static str {
        match self {
            Self::Account => "read:user:bitbucket",
            Self::Workspaces => "read:workspace:bitbucket",
            Self::Read => "read:repository:bitbucket",
            Self::Write => "write:repository:bitbucket",
            Self::HookRead => "read:webhook:bitbucket",
            Self::HookWrite => "write:webhook:bitbucket",
            Self::HookDelete => "delete:webhook:bitbucket",
            Self::PullRequests => "read:pullrequest:bitbucket",
            Self::Issues => "read:issue:bitbucket",
        }
    }

    /// The scope of consumers, and those that imply it
    const fn of_consumer(self) -> &'static [&'static str] {
        match self {
            Self::Account | Self::Workspaces => &["account", "account:write"],
            Self::Read => &["repository", "repository:write", "pullrequest", "project"],
            Self::Write => &["repository:write", "pullrequest:write"],
            Self::HookRead | Self::HookWrite | Self::HookDelete => &["webhook"],
            Self::PullRequests => &["pullrequest", "pullrequest:write"],
            Self::Issues => &["issue", "issue:write"],
        }
    }
}

impl Caller {
    /// Reads the token of an API request: an API token as Basic with the e-mail address, any other as Bearer
    pub(super) fn of(state: &mut State, request: &Request, now_ms: u64) -> Result<Self, Response> {
        let caller = match request.basic_credentials() {
            Some(basic) => Self::by_email(state, &basic.user, &basic.password, now_ms),
            None => {
                let token = request.authorization(&["Bearer"]).unwrap_or_default();
                Self::by_consent(state, token, now_ms)
            }
        };
        let caller = caller.map_err(|_| reply::unauthorized())?;
        match state.world.people.get(&caller.person) {
            Some(person) if !person.suspended => Ok(caller),
            _ => Err(reply::unauthorized()),
        }
    }

    fn by_email(
        state: &mut State,
        email: &str,
        secret: &str,
        now_ms: u64,
    ) -> Result<Self, Refused> {
        let caller = Self::by_api_token(state, secret, now_ms)?;
        let person = state.world.people.get(&caller.person);
        match person.is_some_and(|person| person.email.eq_ignore_ascii_case(email)) {
            true => Ok(caller),
            false => Err(Refused::Unknown),
        }
    }

    fn by_api_token(state: &mut State, secret: &str, now_ms: u64) -> Result<Self, Refused> {
        let token = state.world.tokens.present(secret, now_ms)?;
        Ok(Self {
            person: token.person,
            scopes: token.scopes.clone(),
            api_token: true,
            is_nobody: false,
        })
    }

    fn by_consent(state: &mut State, secret: &str, now_ms: u64) -> Result<Self, Refused> {
        if let Some(own) = Self::by_itself(state, secret, now_ms)? {
            return Ok(own);
        }
        let bearer = state.oauth.present(secret, now_ms)?;
        Ok(Self {
            person: bearer.person,
            scopes: bearer.scopes,
            api_token: false,
            is_nobody: false,
        })
    }

    /// An access token, which stands for nobody; `None` for any other
    fn by_itself(state: &mut State, secret: &str, now_ms: u64) -> Result<Option<Self>, Refused> {
        let bot = state.world.tokens.find(secret).is_some_and(|token| {
            let person = state.world.people.get(&token.person);
            person.is_some_and(|person| person.bot)
        });
        if !bot {
            return Ok(None);
        }
        let token = state.world.tokens.present(secret, now_ms)?;
        Ok(Some(Self {
            person: token.person,
            scopes: token.scopes.clone(),
            api_token: false,
            is_nobody: true,
        }))
    }

    /// Refuses a token without the scope
    pub(super) fn needs(&self, needs: Needs) -> Result<(), Response> {
        let enough: &[&str] = match self.api_token {
            true => &[needs.of_api_token()],
            false => needs.of_consumer(),
        };
        if enough.iter().any(|scope| self.scopes.contains(*scope)) {
            return Ok(());
        }
        let granted: Vec<_> = self.scopes.iter().map(String::as_str).collect();
        Err(reply::insufficient(&enough[..1], &granted))
    }

    /// As `X-OAuth-Scopes` has it
    pub(super) fn scope_list(&self) -> String {
        let scopes: Vec<_> = self.scopes.iter().map(String::as_str).collect();
        scopes.join(", ")
    }
}

/// Decides about git over HTTP: a user name for each kind of token, and no other
pub(super) fn git(state: &mut State, request: &GitRequest<'_>, now_ms: u64) -> Git {
    let caller = match (request.user, request.password) {
        (Some("x-token-auth"), Some(secret)) => Caller::by_consent(state, secret, now_ms),
        (Some(user), Some(secret)) => named(state, user, secret, now_ms),
        _ => Err(Refused::Unknown),
    };
    let Ok(caller) = caller else {
        return Git::Answer(denied());
    };
    let needs = if request.write {
        Needs::Write
    } else {
        Needs::Read
    };
    if caller.needs(needs).is_err() {
        return Git::Answer(Response::text(403, "You lack the scope for this."));
    }
    let path = request.path.trim_matches('/').trim_end_matches(".git");
    let Some(Found::Here(repository) | Found::Moved(repository)) = state.world.repository(path)
    else {
        return Git::Answer(absent());
    };
    if !state.world.may_read(Some(caller.person), repository) {
        return Git::Answer(absent());
    }
    let role = state.world.role(caller.person, repository);
    if request.write && role < Some(Role::Write) {
        return Git::Answer(Response::text(403, "You do not have write access."));
    }
    let person = state.world.people.get(&caller.person);
    Git::Serve {
        repository: repository.id,
        login: person
            .map(|person| person.login.clone())
            .unwrap_or_default(),
    }
}

/// An API token goes with its person's user name, or with the one that stands for any
fn named(state: &mut State, user: &str, secret: &str, now_ms: u64) -> Result<Caller, Refused> {
    let caller = Caller::by_api_token(state, secret, now_ms)?;
    let person = state.world.people.get(&caller.person);
    let own = person.is_some_and(|person| person.login == user);
    match own || user == "x-bitbucket-api-token-auth" {
        true => Ok(caller),
        false => Err(Refused::Unknown),
    }
}

fn absent() -> Response {
    Response::text(404, "Repository not found")
}

fn denied() -> Response {
    Response::text(401, "Authentication failed")
        .with("www-authenticate", "Basic realm=\"Bitbucket.org HTTP\"")
}
