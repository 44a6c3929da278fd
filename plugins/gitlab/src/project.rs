//! A project's place in URLs, also after it was moved

use bindery_plugin_sdk::{Cx, Failure, Response, Result, Url};

use crate::{call, paging::url};

/// Moves that are followed for one question.
const MOST_MOVES: usize = 3;

/// A project, by number or by path.
#[derive(Debug)]
pub(crate) struct Project(String);

impl Project {
    /// Reads `group/sub/project`, or `id:` and the number.
    pub(crate) fn parse(repository: &str) -> Result<Self> {
        let known = match repository.strip_prefix("id:") {
            Some(id) => is_number(id).then_some(id),
            None => repository.contains('/').then_some(repository),
        };
        let known = known.ok_or_else(|| {
            Failure::invalid_argument("a repository is group/project or id:number")
        })?;
        Ok(Self(known.to_owned()))
    }

    /// Asks for something of the project, and goes after it where it was moved: GitLab then names its number. The daemon
    /// follows nothing by itself. Only the number is taken from where it leads to, since its address is the server's own
    /// idea of it.
    pub(crate) async fn get(
        &mut self,
        cx: &Cx,
        below: &[&str],
        query: impl Fn(Url) -> Url,
    ) -> Result<Response> {
        for _ in 0..MOST_MOVES {
            let segments = [&["projects", &self.0], below].concat();
            let response = call::ask(cx, query(url(cx, &segments)?)).await?;
            match (response.status(), response.header("location")) {
                (301 | 302 | 307 | 308, Some(to)) => self.0 = moved_to(to)?,
                _ => return call::good(cx, response),
            }
        }
        Err(Failure::malformed("the server redirects in circles"))
    }
}

/// `https://host/api/v4/projects/81/repository/tags` is about project 81.
fn moved_to(location: &str) -> Result<String> {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    let behind = path.split_once("/api/v4/projects/").map(|(_, rest)| rest);
    let id = behind.and_then(|rest| rest.split('/').next());
    match id.filter(|id| is_number(id)) {
        Some(id) => Ok(id.to_owned()),
        None => Err(Failure::malformed(
            "the server redirects to something that is no project",
        )),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit())
}
