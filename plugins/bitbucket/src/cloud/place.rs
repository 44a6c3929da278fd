//! What an access token of a workspace, project or repository is bound to
//!
//! Such a token is nobody's: it acts as a user of its own, is shut out of most of `/user`, and no endpoint says what it
//! is good for. So the person who hands it over says so, as the token's user name or in the host's setting `workspace`:
//! `acme`, or `acme/api` for the token of one repository.

use bindery_plugin_sdk::{Cx, Failure, Response, Result};
use serde::Deserialize;

use super::{call, describe::ACCESS_TOKEN};

/// A workspace, or one repository of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place<'a> {
    /// Slug of the workspace.
    pub(crate) workspace: &'a str,
    /// Slug of the repository; none for tokens of projects and workspaces.
    pub(crate) repository: Option<&'a str>,
}

/// What is behind a place.
#[derive(Deserialize)]
pub(crate) struct Found {
    /// Its id.
    pub(crate) uuid: String,
    /// Its name for people.
    #[serde(default)]
    pub(crate) name: String,
}

impl<'a> Place<'a> {
    /// What the token is bound to; none for tokens that are a person's.
    pub(crate) fn of(cx: &'a Cx) -> Option<Result<Self>> {
        let credential = cx.credential();
        (credential.token_kind == ACCESS_TOKEN).then(|| {
            let told = Some(credential.username.as_str()).filter(|name| !name.is_empty());
            Self::read(told.or_else(|| cx.setting("workspace")).unwrap_or_default())
        })
    }

    fn read(text: &'a str) -> Result<Self> {
        let (workspace, repository) = match text.split_once('/') {
            Some((workspace, repository)) => (workspace, Some(repository)),
            None => (text, None),
        };
        let bad = |part: &str| part.is_empty() || part.contains('/');
        if bad(workspace) || repository.is_some_and(bad) {
            return Err(Failure::invalid_argument(
                "an access token does not tell what it is for: give its workspace, or workspace/repository, as user \
                 name",
            ));
        }
        Ok(Self {
            workspace,
            repository,
        })
    }

    /// As it was written.
    pub(crate) fn name(&self) -> String {
        match self.repository {
            Some(repository) => format!("{}/{repository}", self.workspace),
            None => self.workspace.to_owned(),
        }
    }

    /// Asks for the place itself, which is as much as such a token is sure to be let to.
    pub(crate) async fn ask(&self, cx: &Cx) -> Result<Response> {
        let url = match self.repository {
            Some(repository) => cx.api(&["repositories", self.workspace, repository])?,
            None => cx.api(&["workspaces", self.workspace])?,
        };
        call::ask(cx, url).await
    }
}
