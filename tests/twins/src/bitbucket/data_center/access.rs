//! Who comes with which token, and what it allows

use std::collections::BTreeSet;

use crate::{
    Git, GitRequest, State,
    http::{Request, Response},
    world::{Found, Refused, Repository, Role, World},
};

use super::reply;

/// Scopes from the least to the most; each includes those before it
const SCOPES: [&str; 4] = ["PUBLIC_REPOS", "REPO_READ", "REPO_WRITE", "REPO_ADMIN"];

/// Who sent a request
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) person: u64,
    /// Its highest scope, as a place in [`SCOPES`]
    level: usize,
}

impl Caller {
    /// Reads the token of a request; none is nobody, a bad one is refused
    pub(super) fn of(
        state: &mut State,
        request: &Request,
        now_ms: u64,
    ) -> Result<Option<Self>, Response> {
        let Some(token) = request.authorization(&["Bearer"]) else {
            return Ok(None);
        };
        let caller = Self::with(state, token, now_ms).map_err(|_| reply::unauthorized())?;
        match state.world.people.get(&caller.person) {
            Some(person) if person.suspended => Err(reply::error(
                401,
                "auth.InactiveUserAuthenticationException",
            )),
            Some(_) => Ok(Some(caller)),
            None => Err(reply::unauthorized()),
        }
    }

    fn with(state: &mut State, token: &str, now_ms: u64) -> Result<Self, Refused> {
        if state.world.tokens.find(token).is_none() {
            let bearer = state.oauth.present(token, now_ms)?;
            return Ok(Self::new(bearer.person, &bearer.scopes));
        }
        let token = state.world.tokens.present(token, now_ms)?;
        Ok(Self::new(token.person, &token.scopes))
    }

    fn new(person: u64, scopes: &BTreeSet<String>) -> Self {
        let level = SCOPES.iter().rposition(|scope| scopes.contains(*scope));
        Self {
            person,
            level: level.unwrap_or(0),
        }
    }

    /// What it may do to a repository: the less of what the person and what the token may
    pub(super) fn may(&self, world: &World, found: &Repository, wanted: Role) -> bool {
        let by_token = match wanted {
            Role::Guest | Role::Read => 1,
            Role::Write => 2,
            Role::Admin | Role::Owner => 3,
        };
        let open = wanted <= Role::Read && !found.private;
        let role = world.role(self.person, found);
        open || (role >= Some(wanted) && self.level >= by_token)
    }
}

/// Decides about git over HTTP: any user name that goes with a token as the password
pub(super) fn git(state: &mut State, root: &str, request: &GitRequest<'_>, now_ms: u64) -> Git {
    let secret = request.password.unwrap_or_default();
    let Ok(caller) = Caller::with(state, secret, now_ms) else {
        return Git::Answer(denied());
    };
    let person = state.world.people.get(&caller.person);
    let login = person
        .map(|person| person.login.clone())
        .unwrap_or_default();
    let user = request.user.unwrap_or_default();
    if user != "x-token-auth" && user != login {
        return Git::Answer(denied());
    }
    let path = request.path.strip_prefix(root).unwrap_or_default();
    let path = path
        .strip_prefix("/scm/")
        .unwrap_or_default()
        .trim_end_matches(".git");
    // A person's own project has a tilde here and none in the world.
    let path = path.strip_prefix('~').unwrap_or(path);
    let Some(Found::Here(found) | Found::Moved(found)) = state.world.repository(path) else {
        return Git::Answer(absent());
    };
    if !caller.may(&state.world, found, Role::Read) {
        return Git::Answer(absent());
    }
    match request.write && !caller.may(&state.world, found, Role::Write) {
        true => Git::Answer(Response::text(403, "You are not permitted to push.")),
        false => Git::Serve {
            repository: found.id,
            login,
        },
    }
}

fn absent() -> Response {
    Response::text(404, "Repository not found")
}

fn denied() -> Response {
    Response::text(401, "Authentication failed")
        .with("www-authenticate", "Basic realm=\"Atlassian Bitbucket\"")
}
