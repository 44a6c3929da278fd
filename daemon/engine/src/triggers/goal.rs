//! What a firing builds: a ref, and the commit that it points at now.

use bindery_core::{
    problem::Problem,
    provider::{Ref, RefKind},
    source::Source,
    trigger::Trigger,
};

use crate::{Engine, repositories::Paging};

/// Pages of refs that are read at most. In a repository with more, the commit stays unknown.
const PAGES: usize = 200;

/// Refs of one page.
const PAGE: u32 = 100;

/// A ref, and its commit.
#[derive(Clone, Debug)]
pub(super) struct Goal {
    /// Full name of the branch or tag.
    pub(super) reference: String,
    /// The commit; empty where it could not be found out.
    pub(super) commit: String,
}

impl Engine {
    /// The ref that is asked for, else the trigger's, else the default branch, with its commit. The link is asked, and must be
    /// usable.
    pub(super) async fn goal(
        &self,
        source: &Source,
        trigger: &Trigger,
        asked: &str,
    ) -> Result<Goal, Problem> {
        let named = [asked, &trigger.default_ref];
        let reference = match named.into_iter().find(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => self.default_branch(source).await?,
        };
        let commit = self.commit_of(source, &reference).await?;
        Ok(Goal { reference, commit })
    }

    async fn default_branch(&self, source: &Source) -> Result<String, Problem> {
        let name = by_id(source);
        let repository = self
            .repository(&source.namespace, &source.link, &name)
            .await?;
        if repository.default_branch.is_empty() {
            let message =
                "the repository has no default branch; name a ref, such as refs/heads/main";
            return Err(Problem::invalid("ref", message));
        }
        Ok(format!("refs/heads/{}", repository.default_branch))
    }

    async fn commit_of(&self, source: &Source, reference: &str) -> Result<String, Problem> {
        let (kind, short) = match reference.strip_prefix("refs/tags/") {
            Some(tag) => (RefKind::Tag, tag),
            None => (RefKind::Branch, reference.trim_start_matches("refs/heads/")),
        };
        let (name, mut cursor) = (by_id(source), String::new());
        for _ in 0..PAGES {
            let paging = Paging { cursor, size: PAGE };
            let page = self
                .list_refs(&source.namespace, &source.link, &name, Some(kind), paging)
                .await?;
            let is_it = |one: &Ref| one.kind == kind && one.name == short;
            if let Some(found) = page.items.into_iter().find(is_it) {
                return Ok(found.commit);
            }
            if page.next_cursor.is_empty() {
                return Err(absent(source, reference));
            }
            cursor = page.next_cursor;
        }
        Ok(String::new())
    }
}

fn by_id(source: &Source) -> String {
    format!("id:{}", source.repository)
}

fn absent(source: &Source, reference: &str) -> Problem {
    let message = format!(
        "{} has no {reference}; push it, or name another branch or tag",
        source.full_name
    );
    Problem::invalid("ref", message)
}
