//! Where a project's hooks are, and what an error there means

use bindery_plugin_sdk::{Cx, Failure, Response, Result, Url, v1};

use super::facts::Hook;
use crate::{call, repositories};

/// A project by its number.
#[derive(Debug)]
pub(super) struct Place {
    id: String,
    page: String,
}

impl Place {
    pub(super) async fn find(cx: &Cx, repository: &str) -> Result<Self> {
        let found = repositories::get(cx, repository).await?;
        Ok(Self {
            page: format!("{}/{}/-/hooks", cx.web_base(), found.full_name),
            id: found.stable_id,
        })
    }

    /// The URL of the list of hooks, or of something below it.
    pub(super) fn url(&self, cx: &Cx, below: &[&str]) -> Result<Url> {
        cx.api(&[&["projects", &self.id, "hooks"], below].concat())
    }

    pub(super) async fn get(&self, cx: &Cx, url: Url) -> Result<Response> {
        let response = call::ask(cx, url).await?;
        self.done(cx, &response, 200).map(|()| response)
    }

    /// Nothing, if the response has the one status that means success.
    pub(super) fn done(&self, cx: &Cx, response: &Response, status: u16) -> Result<()> {
        if response.status() == status {
            Ok(())
        } else {
            Err(self.failure(cx, response))
        }
    }

    /// The failure that a response stands for. The project is there, so what is not there is the hook.
    pub(super) fn failure(&self, cx: &Cx, response: &Response) -> Failure {
        let failure = call::failure(cx, response);
        match failure.code() {
            v1::Code::NotFound if call::is_unknown_route(response) => {
                Failure::unsupported("the server is too old for this")
            }
            v1::Code::NotFound => Failure::not_found("the project has no such hook"),
            v1::Code::PermissionDenied => Failure::permission_denied(
                "only maintainers of the project may see and change its hooks",
            )
            .with_action_uri(self.page()),
            _ => return failure,
        }
        .with_status(response.status())
    }

    /// Page where people see the hooks.
    pub(super) fn page(&self) -> String {
        self.page.clone()
    }

    /// A hook as it is told, after `scheme` was set where the server does not say.
    pub(super) fn facts(&self, hook: Hook, scheme: &str) -> v1::HookFacts {
        hook.into_facts(&self.page, scheme)
    }
}
