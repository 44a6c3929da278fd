//! What happened to branches and tags, as git tells it

use std::process::Command;

use bindery_twins::{
    hooks::{Commit, RefChange, Target},
    world::{Ref as KnownRef, World},
};

use super::{Ref, Repositories, run};

/// More commits than that are not looked at
const MOST: &str = "--max-count=2048";
/// Parts of a commit, and commits, apart from each other
const FORMAT: &str = "--format=%x1e%H%x1f%P%x1f%an%x1f%ae%x1f%ct%x1f%B%x1f";

/// A branch or tag as twins write it down
pub(crate) fn known(found: Ref) -> KnownRef {
    KnownRef {
        tag_object: (found.kind == "tag").then_some(found.object),
        name: found.name,
        commit: found.commit,
    }
}

impl Repositories {
    /// What turned one list of branches and tags into another, with the commits that are new
    pub(crate) fn changes(
        &self,
        id: u64,
        old: &[KnownRef],
        new: &[KnownRef],
    ) -> anyhow::Result<Vec<RefChange>> {
        let changes = World::difference(old, new).into_iter();
        changes
            .map(|change| self.with_history(id, old, change))
            .collect()
    }

    fn with_history(
        &self,
        id: u64,
        old: &[KnownRef],
        mut change: RefChange,
    ) -> anyhow::Result<RefChange> {
        let Some(after) = &change.after else {
            return Ok(change);
        };
        let known: Vec<_> = match &change.before {
            Some(before) => vec![before.commit.as_str()],
            None => old.iter().map(|found| found.commit.as_str()).collect(),
        };
        change.commits = self.commits(id, &after.commit, &known)?;
        if let Some(before) = &change.before {
            change.forced = change.is_tag() || !self.contains(id, before, after);
        }
        Ok(change)
    }

    /// Commits that a commit has and others have not, oldest first
    fn commits(&self, id: u64, of: &str, without: &[&str]) -> anyhow::Result<Vec<Commit>> {
        let mut command = self.log(id);
        command.arg(of).arg("--not").args(without);
        let output = run(command.args(["--"]), "")?;
        Ok(output.split('\u{1e}').filter_map(parse).collect())
    }

    /// One commit, as a delivery about a branch's head needs it
    pub(crate) fn commit_of(&self, id: u64, hash: &str) -> anyhow::Result<Option<Commit>> {
        let mut command = self.log(id);
        let output = run(command.args(["--no-walk", hash, "--"]), "")?;
        Ok(output.split('\u{1e}').find_map(parse))
    }

    fn log(&self, id: u64) -> Command {
        let mut command = self.git(&self.path(id));
        let options = [
            "log",
            "--reverse",
            "--name-status",
            "--no-renames",
            MOST,
            FORMAT,
        ];
        command.args(options);
        command
    }

    fn contains(&self, id: u64, before: &Target, after: &Target) -> bool {
        let mut command = self.git(&self.path(id));
        command.args(["merge-base", "--is-ancestor", &before.commit, &after.commit]);
        command.status().is_ok_and(|status| status.success())
    }
}

fn parse(text: &str) -> Option<Commit> {
    let mut parts = text.split('\u{1f}');
    let mut next = || parts.next();
    let (id, parents, author, email) = (next()?, next()?, next()?, next()?);
    let (seconds, message, files) = (next()?, next()?, next()?);
    let changed = |kind: &str| {
        let lines = files.lines().filter_map(|line| line.split_once('\t'));
        let lines = lines.filter(|(letter, _)| *letter == kind);
        lines.map(|(_, name)| name.to_owned()).collect()
    };
    Some(Commit {
        id: id.to_owned(),
        parent: parents.split(' ').next().unwrap_or_default().to_owned(),
        message: message.trim_end().to_owned(),
        author: author.to_owned(),
        email: email.to_owned(),
        at_ms: seconds.parse::<u64>().ok()? * 1_000,
        added: changed("A"),
        modified: changed("M"),
        removed: changed("D"),
    })
}
