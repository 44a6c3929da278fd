//! Real repositories: made by `git fast-import`, read by git itself

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::{GitHub, Inner};

/// A branch or a tag
#[derive(Clone, Debug)]
pub(super) struct Ref {
    /// As `refs/heads/main`
    pub(super) name: String,
    /// What it points to: a commit, or the tag object of an annotated tag
    pub(super) object: String,
    /// `commit` or `tag`
    pub(super) kind: String,
    /// The commit behind it
    pub(super) commit: String,
}

impl Ref {
    /// The name without its kind
    pub(super) fn short(&self) -> &str {
        self.name.splitn(3, '/').last().unwrap_or(&self.name)
    }
}

impl GitHub {
    /// Make branches at the head of `main`, for lists that take pages
    pub fn add_branches(&self, repo: &str, names: &[&str]) -> anyhow::Result<()> {
        let lines = names.iter();
        let lines =
            lines.map(|name| format!("reset refs/heads/{name}\nfrom refs/heads/main^0\n\n"));
        self.import(repo, &lines.collect::<String>())
    }

    /// Make a tag at the head of `main`
    pub fn add_tag(&self, repo: &str, name: &str, annotated: bool) -> anyhow::Result<()> {
        if annotated {
            return self.import(repo, &annotated_tag(name, "refs/heads/main^0"));
        }
        self.import(
            repo,
            &format!("reset refs/tags/{name}\nfrom refs/heads/main^0\n\n"),
        )
    }

    /// Commit one file to a branch that exists, and return the commit's hash
    pub fn commit(&self, repo: &str, branch: &str, file: (&str, &str)) -> anyhow::Result<String> {
        let name = format!("refs/heads/{branch}");
        self.import(repo, &commit(&name, Some(&format!("{name}^0")), &[file]))?;
        let hash = run(self.git(repo)?.args(["rev-parse", &name]), "")?;
        Ok(hash.trim().to_owned())
    }

    fn import(&self, repo: &str, stream: &str) -> anyhow::Result<()> {
        run(self.git(repo)?.args(["fast-import", "--quiet"]), stream)?;
        Ok(())
    }

    fn git(&self, repo: &str) -> anyhow::Result<Command> {
        let (owner, name) = repo.split_once('/').context("owner/name is needed")?;
        let id = self.inner.world().repo(owner, name).map(|repo| repo.id);
        let id = id.context("there is no such repository")?;
        Ok(self.inner.git(&self.inner.repository(id)))
    }
}

impl Inner {
    /// Make a repository on disk
    pub(super) fn init_repository(&self, id: u64, files: &[(&str, &str)]) -> anyhow::Result<()> {
        let dir = self.repository(id);
        let mut init = self.git(self.dir.path());
        init.args(["init", "--quiet", "--bare", "--initial-branch=main"])
            .arg(&dir);
        run(&mut init, "")?;
        if files.is_empty() {
            return Ok(());
        }
        let main = "refs/heads/main";
        let mut stream = commit(main, None, files);
        stream += &format!("reset refs/heads/develop\nfrom {main}\n\n");
        stream += &format!("reset refs/tags/v0.9.0\nfrom {main}\n\n");
        stream += &annotated_tag("v1.0.0", main);
        run(self.git(&dir).args(["fast-import", "--quiet"]), &stream)?;
        Ok(())
    }

    /// The branches and tags below a prefix, in the order of their names
    pub(super) async fn refs(&self, id: u64, prefix: &str) -> anyhow::Result<Vec<Ref>> {
        let format = "%(refname) %(objectname) %(objecttype) %(*objectname)";
        let mut command = tokio::process::Command::from(self.git(&self.repository(id)));
        command.args(["for-each-ref", &format!("--format={format}")]);
        let output = command.kill_on_drop(true).output().await?;
        ensure!(output.status.success(), "git can't list the references");
        let output = String::from_utf8(output.stdout)?;
        let refs = output.lines().filter_map(parse_ref);
        Ok(refs
            .filter(|found| found.name.starts_with(prefix))
            .collect())
    }

    pub(super) fn repository(&self, id: u64) -> PathBuf {
        self.dir.path().join(format!("{id}.git"))
    }

    /// Git with none of the configuration of whoever runs this
    pub(super) fn git(&self, dir: &Path) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(dir)
            .env_clear()
            .env("HOME", self.dir.path());
        command.env("GIT_CONFIG_NOSYSTEM", "1");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }
}

fn parse_ref(line: &str) -> Option<Ref> {
    let mut words = line.split(' ');
    let (name, object, kind) = (words.next()?, words.next()?, words.next()?);
    let peeled = words.next().filter(|peeled| !peeled.is_empty());
    Some(Ref {
        name: name.to_owned(),
        object: object.to_owned(),
        kind: kind.to_owned(),
        commit: peeled.unwrap_or(object).to_owned(),
    })
}

/// A commit in the language of `git fast-import`
fn commit(branch: &str, parent: Option<&str>, files: &[(&str, &str)]) -> String {
    let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
    let message = format!("Add {}", names.join(", "));
    let mut stream = format!("commit {branch}\ncommitter {SIGNATURE}\n{}", data(&message));
    if let Some(parent) = parent {
        stream += &format!("from {parent}\n");
    }
    for (name, content) in files {
        stream += &format!("M 100644 inline {name}\n{}", data(content));
    }
    stream + "\n"
}

fn annotated_tag(name: &str, at: &str) -> String {
    let message = data(&format!("Release {name}"));
    format!("tag {name}\nfrom {at}\ntagger {SIGNATURE}\n{message}")
}

const SIGNATURE: &str = "Stand-in <git@users.example> 1700000000 +0000";

fn data(text: &str) -> String {
    format!("data {}\n{text}\n", text.len())
}

fn run(command: &mut Command, input: &str) -> anyhow::Result<String> {
    use std::io::Write;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("git can't be started")?;
    let mut stdin = child.stdin.take().context("git has no input")?;
    stdin
        .write_all(input.as_bytes())
        .context("git reads no input")?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git failed: {said}");
    Ok(String::from_utf8(output.stdout)?)
}
