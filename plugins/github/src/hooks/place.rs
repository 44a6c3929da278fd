//! Where a repository's hooks are, and whether the token is let to them
//!
//! GitHub answers 404 to whoever may not see hooks, as if they were not there. What is not there and what is hidden are told
//! apart by the scopes that the refusal names, and by the repository itself.

use bindery_plugin_sdk::{Cx, Failure, Request, Response, Result, Secret, Url, v1};

use super::facts::Hook;
use crate::{
    account, call,
    repositories::{self, split},
};

/// Names that are tried for one request: a repository may have been renamed meanwhile.
const MOST_NAMES: usize = 2;

/// A repository by its name, and whether the identity administers it, once that is known.
#[derive(Debug)]
pub(super) struct Place {
    full_name: String,
    administered: Option<bool>,
}

impl Place {
    /// The place of `owner/name`, or of the repository with an id: no path by id is documented for hooks.
    pub(super) async fn find(cx: &Cx, repository: &str) -> Result<Self> {
        let mut place = Self {
            full_name: repository.to_owned(),
            administered: None,
        };
        if repository.starts_with("id:") {
            place.look(cx).await?;
        }
        Ok(place)
    }

    /// Asks for the repository, also where it was renamed.
    async fn look(&mut self, cx: &Cx) -> Result<()> {
        let found = repositories::get(cx, &self.full_name).await?;
        self.full_name = found.full_name;
        self.administered = Some(found.can_administer);
        Ok(())
    }

    /// Sends a request to something below the repository. A redirect means another name, which is then looked up: what
    /// writes is not sent to where an answer points.
    pub(super) async fn send(
        &mut self,
        cx: &Cx,
        below: &[&str],
        request: impl Fn(Url) -> Request,
    ) -> Result<Response> {
        for _ in 0..MOST_NAMES {
            let (owner, name) = split(&self.full_name)?;
            let url = cx.api(&[&["repos", owner, name], below].concat())?;
            let request = call::common(request(url)).bearer(Secret("access_token"));
            let response = cx.send(request).await?;
            if !matches!(response.status(), 301 | 302 | 307 | 308) {
                return Ok(response);
            }
            self.look(cx).await?;
        }
        Err(Failure::malformed("the server redirects in circles"))
    }

    /// The response if it is good.
    pub(super) async fn good(&mut self, cx: &Cx, response: Response) -> Result<Response> {
        if response.status() == 404 {
            self.is_open(cx, &response).await?;
            return Err(Failure::not_found("the repository has no such hook").with_status(404));
        }
        call::good(cx, response)
    }

    /// Nothing, if the response has the one status that means success and no body.
    pub(super) async fn done(&mut self, cx: &Cx, response: Response, status: u16) -> Result<()> {
        let response = self.good(cx, response).await?;
        if response.status() == status {
            Ok(())
        } else {
            Err(response.failure(cx.now_unix_ms()))
        }
    }

    /// Whether a 404 is about what was asked for, and not about the right to ask.
    ///
    /// A token that is made of permissions is told of a missing one by a 403, so only the identity's own right is asked for
    /// here; an installation has none beside its permissions.
    pub(super) async fn is_open(&mut self, cx: &Cx, response: &Response) -> Result<()> {
        if let Some(scopes) = call::missing_scopes(response) {
            return Err(Failure::scope_missing(scopes).with_status(404));
        }
        if self.administered.is_none() {
            self.look(cx).await?;
        }
        if self.administered == Some(true) || account::is_installation(cx) {
            return Ok(());
        }
        let told = "only who administers the repository may see and change its hooks";
        let failure = Failure::permission_denied(told).with_status(404);
        Err(failure.with_action_uri(self.page(cx)?))
    }

    /// Page where people see the hooks.
    pub(super) fn page(&self, cx: &Cx) -> Result<String> {
        let (owner, name) = split(&self.full_name)?;
        Ok(cx.web(&[owner, name, "settings", "hooks"])?.into())
    }

    /// Hooks as they are told.
    pub(super) fn facts(&self, cx: &Cx, hooks: Vec<Hook>) -> Result<Vec<v1::HookFacts>> {
        let page = self.page(cx)?;
        let facts = hooks.into_iter().map(|hook| hook.into_facts(&page));
        Ok(facts.collect())
    }
}
