//! Who comes with which token, and what it allows

use std::collections::BTreeSet;

use crate::{
    Git, GitRequest, State,
    http::{Request, Response},
    world::{Found, Refused, Repository, Role},
};

use super::{GitLab, reply};

/// Who sent an API request
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) person: u64,
    pub(super) scopes: BTreeSet<String>,
    /// Id of the personal access token that it is
    pub(super) token: Option<u64>,
}

/// Why somebody may not come in
pub(super) struct Refusal {
    answer: Response,
    /// The family of the revoked personal access token that was presented
    family: Option<u64>,
}

impl Refusal {
    /// Rotating with a revoked token ends all that came of it: somebody else has it
    pub(super) fn rotated(self, gitlab: &mut GitLab, path: &[&str], request: &Request) -> Response {
        let rotates = path == ["personal_access_tokens", "self", "rotate"];
        if let Some(family) = self.family.filter(|_| rotates && request.method == "POST") {
            gitlab.state.world.tokens.revoke_family(family);
        }
        self.answer
    }
}

impl Caller {
    /// Reads the token of an API request
    pub(super) fn of(state: &mut State, request: &Request, now_ms: u64) -> Result<Self, Refusal> {
        let token = request
            .header("private-token")
            .or_else(|| request.authorization(&["Bearer"]));
        let refusal = |answer| Refusal {
            answer,
            family: None,
        };
        let token = token.ok_or_else(|| refusal(reply::unauthorized()))?;
        let caller = Self::with(state, token, now_ms).map_err(|why| Refusal {
            answer: reply::refused(why),
            family: state
                .world
                .tokens
                .find(token)
                .filter(|known| known.revoked)
                .map(|known| known.family),
        })?;
        match state.world.people.get(&caller.person) {
            Some(person) if person.suspended => {
                let text = "403 Forbidden - Your account has been blocked.";
                Err(refusal(reply::error(403, text)))
            }
            Some(_) => Ok(caller),
            None => Err(refusal(reply::unauthorized())),
        }
    }

    /// Whoever a token stands for: an OAuth token, or a personal one
    fn with(state: &mut State, token: &str, now_ms: u64) -> Result<Self, Refused> {
        if state.world.tokens.find(token).is_none() {
            let bearer = state.oauth.present(token, now_ms)?;
            return Ok(Self {
                person: bearer.person,
                scopes: bearer.scopes,
                token: None,
            });
        }
        let personal = state.world.tokens.present(token, now_ms)?;
        Ok(Self {
            person: personal.person,
            scopes: personal.scopes.clone(),
            token: Some(personal.id),
        })
    }

    /// Refuses a token that has none of these scopes
    pub(super) fn needs(&self, scopes: &[&str]) -> Result<(), Response> {
        match scopes.iter().any(|scope| self.scopes.contains(*scope)) {
            true => Ok(()),
            false => Err(reply::insufficient(scopes)),
        }
    }
}

/// Decides about git over HTTP: `oauth2` with an OAuth token, any user with a personal one
pub(super) fn git(
    state: &mut State,
    root: &str,
    web: &str,
    request: &GitRequest<'_>,
    now_ms: u64,
) -> Git {
    let path = request.path.strip_prefix(root).unwrap_or_default();
    let path = path.trim_matches('/').trim_end_matches(".git").to_owned();
    let caller = request
        .password
        .map(|password| Caller::with(state, password, now_ms));
    let caller = match caller {
        Some(Err(_)) => return Git::Answer(denied()),
        Some(Ok(caller)) => Some(caller),
        None => None,
    };
    let person = caller.as_ref().map(|caller| caller.person);
    let login = person.and_then(|person| state.world.people.get(&person));
    if login.is_some_and(|person| person.suspended) {
        return Git::Answer(Response::text(403, "Your account has been blocked."));
    }
    let (repository, moved) = match state.world.repository(&path) {
        Some(Found::Here(repository)) => (repository, false),
        Some(Found::Moved(repository)) => (repository, true),
        None => return Git::Answer(absent(person)),
    };
    if !state.world.may_read(person, repository) {
        return Git::Answer(absent(person));
    }
    if let Err(answer) = may(state, caller.as_ref(), repository, request.write) {
        return Git::Answer(answer);
    }
    if moved {
        let to = format!("{web}/{}.git", state.world.full_path(repository));
        return Git::Answer(Response::redirect(301, &to));
    }
    Git::Serve {
        repository: repository.id,
        login: login.map(|person| person.login.clone()).unwrap_or_default(),
    }
}

fn may(
    state: &State,
    caller: Option<&Caller>,
    repository: &Repository,
    write: bool,
) -> Result<(), Response> {
    let Some(caller) = caller else {
        return if write { Err(denied()) } else { Ok(()) };
    };
    let scopes: &[&str] = match write {
        true => &["api", "write_repository"],
        false => &["api", "read_repository", "write_repository"],
    };
    if caller.needs(scopes).is_err() {
        return Err(denied());
    }
    let role = state.world.role(caller.person, repository);
    match !write || (role >= Some(Role::Write) && !repository.archived) {
        true => Ok(()),
        false => Err(Response::text(
            403,
            "You are not allowed to push code to this project.",
        )),
    }
}

/// Those without credentials are asked for some, so that nobody learns what there is
fn absent(person: Option<u64>) -> Response {
    match person {
        Some(_) => Response::text(
            404,
            "The project you were looking for could not be found or you don't have permission to view it.",
        ),
        None => denied(),
    }
}

fn denied() -> Response {
    let text = "HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect \
                or you're required to use a token instead of a password.";
    Response::text(401, text).with("www-authenticate", "Basic realm=\"GitLab\"")
}
