//! Real repositories: made by `git fast-import`, read by git itself, served by `git http-backend`

mod history;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use hyper::body::Bytes;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

pub(crate) use history::known;

/// A branch or a tag
#[derive(Clone, Debug)]
pub(crate) struct Ref {
    /// As `refs/heads/main`
    pub(crate) name: String,
    /// What it points to: a commit, or the tag object of an annotated tag
    pub(crate) object: String,
    /// `commit` or `tag`
    pub(crate) kind: String,
    /// The commit behind it
    pub(crate) commit: String,
}

impl Ref {
    /// The name without its kind
    pub(crate) fn short(&self) -> &str {
        self.name.splitn(3, '/').last().unwrap_or(&self.name)
    }
}

/// What a branch or tag is made to point to
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point<'a> {
    /// This object
    To(&'a str),
    /// Nothing: it is removed
    Nowhere,
}

/// A folder with bare repositories, each one under its number
#[derive(Debug)]
pub(crate) struct Repositories {
    dir: TempDir,
}

/// One request of git over HTTP, which somebody has allowed
pub(crate) struct Call<'a> {
    /// Number of the repository
    pub(crate) repository: u64,
    /// `info/refs`, `git-upload-pack`, `git-receive-pack`
    pub(crate) rest: &'a str,
    /// Method
    pub(crate) method: &'a Method,
    /// Query, without the question mark
    pub(crate) query: &'a str,
    /// Headers
    pub(crate) headers: &'a HeaderMap,
    /// Body
    pub(crate) body: &'a Bytes,
    /// Who asks; `None` for nobody
    pub(crate) user: Option<&'a str>,
}

impl Repositories {
    /// None at first
    pub(crate) fn new() -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("bindery-repositories-")?;
        Ok(Self { dir })
    }

    /// Make one on disk
    pub(crate) fn init(&self, id: u64, files: &[(&str, &str)]) -> anyhow::Result<()> {
        let dir = self.path(id);
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
        self.import(id, &stream)
    }

    /// Make branches at the head of `main`
    pub(crate) fn add_branches(&self, id: u64, names: &[&str]) -> anyhow::Result<()> {
        let lines = names.iter();
        let lines =
            lines.map(|name| format!("reset refs/heads/{name}\nfrom refs/heads/main^0\n\n"));
        self.import(id, &lines.collect::<String>())
    }

    /// Make tags at the head of `main`
    pub(crate) fn add_tags(&self, id: u64, names: &[&str], annotated: bool) -> anyhow::Result<()> {
        let main = "refs/heads/main^0";
        let lines = names.iter().map(|name| match annotated {
            true => annotated_tag(name, main),
            false => format!("reset refs/tags/{name}\nfrom {main}\n\n"),
        });
        self.import(id, &lines.collect::<String>())
    }

    /// Let branches and tags, by their full names, point elsewhere
    pub(crate) fn point(&self, id: u64, refs: &[(&str, Point<'_>)]) -> anyhow::Result<()> {
        let lines = refs.iter().map(|(name, point)| match point {
            Point::To(object) => format!("update {name} {object}\n"),
            Point::Nowhere => format!("delete {name}\n"),
        });
        let mut command = self.git(&self.path(id));
        let lines: String = lines.collect();
        run(command.args(["update-ref", "--stdin"]), &lines)?;
        Ok(())
    }

    /// Commit one file to a branch that exists, and return the commit's hash
    pub(crate) fn commit(
        &self,
        id: u64,
        branch: &str,
        file: (&str, &str),
    ) -> anyhow::Result<String> {
        let name = format!("refs/heads/{branch}");
        self.import(id, &commit(&name, Some(&format!("{name}^0")), &[file]))?;
        let mut command = self.git(&self.path(id));
        let hash = run(command.args(["rev-parse", &name]), "")?;
        Ok(hash.trim().to_owned())
    }

    fn import(&self, id: u64, stream: &str) -> anyhow::Result<()> {
        let mut command = self.git(&self.path(id));
        run(command.args(["fast-import", "--quiet"]), stream)?;
        Ok(())
    }

    /// The branches and tags below a prefix, in the order of their names
    pub(crate) async fn refs(&self, id: u64, prefix: &str) -> anyhow::Result<Vec<Ref>> {
        let mut command = tokio::process::Command::from(self.for_each_ref(id));
        let output = command.kill_on_drop(true).output().await?;
        ensure!(output.status.success(), "git can't list the references");
        let output = String::from_utf8(output.stdout)?;
        let refs = output.lines().filter_map(parse_ref);
        Ok(refs
            .filter(|found| found.name.starts_with(prefix))
            .collect())
    }

    /// All branches and tags, for those who can't wait
    pub(crate) fn all_refs(&self, id: u64) -> anyhow::Result<Vec<Ref>> {
        let output = run(&mut self.for_each_ref(id), "")?;
        Ok(output.lines().filter_map(parse_ref).collect())
    }

    fn for_each_ref(&self, id: u64) -> Command {
        let format = "%(refname) %(objectname) %(objecttype) %(*objectname)";
        let mut command = self.git(&self.path(id));
        command.args(["for-each-ref", &format!("--format={format}")]);
        command
    }

    /// Lets git answer
    pub(crate) async fn serve(&self, call: &Call<'_>) -> anyhow::Result<Response> {
        let mut command = self.git(self.dir.path());
        command.arg("http-backend");
        command.env("GIT_PROJECT_ROOT", self.dir.path());
        command.env("GIT_HTTP_EXPORT_ALL", "1");
        let path = format!("/{}.git/{}", call.repository, call.rest);
        command.env("PATH_INFO", path);
        command.env("REQUEST_METHOD", call.method.as_str());
        command.env("QUERY_STRING", call.query);
        command.env("CONTENT_LENGTH", call.body.len().to_string());
        if let Some(user) = call.user {
            command.env("REMOTE_USER", user);
        }
        let variables = [
            ("content-type", "CONTENT_TYPE"),
            ("content-encoding", "HTTP_CONTENT_ENCODING"),
            ("git-protocol", "GIT_PROTOCOL"),
        ];
        for (name, variable) in variables {
            let value = call.headers.get(name).and_then(|value| value.to_str().ok());
            if let Some(value) = value {
                command.env(variable, value);
            }
        }
        cgi(command, call.body).await
    }

    fn path(&self, id: u64) -> PathBuf {
        self.dir.path().join(format!("{id}.git"))
    }

    /// Git with none of the configuration of whoever runs this
    fn git(&self, dir: &Path) -> Command {
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

async fn cgi(command: Command, body: &Bytes) -> anyhow::Result<Response> {
    let mut command = tokio::process::Command::from(command);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command
        .kill_on_drop(true)
        .spawn()
        .context("git can't be started")?;
    let mut stdin = child.stdin.take().context("git has no input")?;
    let body = body.clone();
    // Both directions at once, as either side may fill its pipe first.
    let fed = tokio::spawn(async move { stdin.write_all(&body).await });
    let output = child.wait_with_output().await?;
    // Git may answer before it has read all; what it says counts.
    let _ = fed.await;
    parse_cgi(&output.stdout)
}

fn parse_cgi(output: &[u8]) -> anyhow::Result<Response> {
    let end = output.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.context("git http-backend gave no answer")?;
    let head = std::str::from_utf8(&output[..end])?;
    let mut answer = Response::new(Body::from(output[end + 4..].to_vec()));
    for line in head.lines() {
        let (name, value) = line.split_once(':').context("git gave a bad header")?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            *answer.status_mut() = code.parse()?;
        } else {
            let name: HeaderName = name.parse()?;
            answer
                .headers_mut()
                .insert(name, HeaderValue::from_str(value)?);
        }
    }
    Ok(answer)
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
