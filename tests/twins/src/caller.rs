//! Who comes with which token, for forges where one header takes both kinds

use std::collections::BTreeSet;

use crate::{
    Git, GitRequest, State,
    http::Response,
    world::{Found, Refused, Repository, Role},
};

/// Who sent a request
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) person: u64,
    pub(crate) login: String,
    pub(crate) scopes: BTreeSet<String>,
    pub(crate) suspended: bool,
}

/// What a forge says to git
#[derive(Clone, Copy, Debug)]
pub(crate) struct GitWords<'a> {
    /// Path of the forge on its host; empty at the top
    pub(crate) root: &'a str,
    /// In the challenge
    pub(crate) realm: &'a str,
    /// Whether these scopes let somebody read, or write
    pub(crate) allows: fn(&BTreeSet<String>, bool) -> bool,
}

impl Caller {
    /// Whoever a token stands for: an OAuth token, or a personal one
    pub(crate) fn with(state: &mut State, token: &str, now_ms: u64) -> Result<Self, Refused> {
        let (person, scopes) = if state.world.tokens.find(token).is_none() {
            let bearer = state.oauth.present(token, now_ms)?;
            (bearer.person, bearer.scopes)
        } else {
            let personal = state.world.tokens.present(token, now_ms)?;
            (personal.person, personal.scopes.clone())
        };
        let known = state.world.people.get(&person).ok_or(Refused::Unknown)?;
        Ok(Self {
            person,
            login: known.login.clone(),
            scopes,
            suspended: known.suspended,
        })
    }

    /// Whether the token has one of these scopes
    pub(crate) fn has(&self, scopes: &[&str]) -> bool {
        scopes.iter().any(|scope| self.scopes.contains(*scope))
    }
}

/// Decides about git over HTTP: any user, and the token as password
pub(crate) fn git(
    state: &mut State,
    words: GitWords<'_>,
    request: &GitRequest<'_>,
    now_ms: u64,
) -> Git {
    let challenge = format!("Basic realm=\"{}\"", words.realm);
    let denied =
        || Git::Answer(Response::text(401, "Unauthorized").with("www-authenticate", &challenge));
    let caller = match request.password {
        None => None,
        Some(password) => match Caller::with(state, password, now_ms) {
            Ok(caller) if !caller.suspended => Some(caller),
            _ => return denied(),
        },
    };
    let path = request.path.strip_prefix(words.root).unwrap_or_default();
    let path = path.trim_matches('/').trim_end_matches(".git");
    let person = caller.as_ref().map(|caller| caller.person);
    let found = state.world.repository(path).and_then(|found| match found {
        Found::Here(repository) | Found::Moved(repository) => {
            let seen = state.world.may_read(person, repository);
            seen.then_some(repository)
        }
    });
    match (found, caller) {
        (None, None) => denied(),
        (None, Some(_)) => Git::Answer(Response::text(404, "Not Found")),
        (Some(_), None) if request.write => denied(),
        (Some(repository), caller) => serve(state, words, repository, caller, request.write),
    }
}

fn serve(
    state: &State,
    words: GitWords<'_>,
    repository: &Repository,
    caller: Option<Caller>,
    write: bool,
) -> Git {
    let Some(caller) = caller else {
        return Git::Serve {
            repository: repository.id,
            login: String::new(),
        };
    };
    let role = state.world.role(caller.person, repository);
    let writes = role >= Some(Role::Write) && !repository.archived;
    if !(words.allows)(&caller.scopes, write) || (write && !writes) {
        return Git::Answer(Response::text(403, "Forbidden"));
    }
    Git::Serve {
        repository: repository.id,
        login: caller.login,
    }
}
