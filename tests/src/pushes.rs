//! Deliveries of pushes as GitHub sends them, made in great numbers

use anyhow::{Context, Result};
use bindery_twins::hooks::{Hook, Outgoing, ZEROS, sign};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use serde_json::{Value, json};
use url::{Position, Url};

use crate::github::GitHub;

/// A hook as its forge knows it
#[derive(Clone)]
pub struct Hooked {
    target: Uri,
    authority: String,
    secret: String,
    repository: u64,
    full_name: String,
    body: Value,
}

/// What a push did to a branch
#[derive(Clone, Copy, Debug)]
pub struct Pushed<'a> {
    /// Short name of the branch
    pub branch: &'a str,
    /// The commit before; `None` for a branch that the push made
    pub before: Option<&'a str>,
    /// The commit after
    pub after: &'a str,
}

/// One request to a hook, which can be sent more than once
#[derive(Clone, Debug)]
pub struct Delivery {
    /// What the forge calls it
    pub id: String,
    /// `X-Hub-Signature-256`; `None` leaves it out
    signature: Option<String>,
    body: Bytes,
    target: Uri,
    authority: String,
}

impl Hooked {
    /// The only hook of a repository
    ///
    /// # Errors
    ///
    /// When it has none.
    pub fn of(standin: &GitHub, full_name: &str) -> Result<Self> {
        let hook = standin.hooks(full_name).pop().context("there is no hook")?;
        Self::by(hook, standin, full_name)
    }

    /// The hook of an app, which tells of this repository
    ///
    /// # Errors
    ///
    /// When the app has no hook, or there is no such repository.
    pub fn of_app(standin: &GitHub, app_id: u64, full_name: &str) -> Result<Self> {
        let hook = standin.app_hook(app_id).context("there is no hook")?;
        Self::by(hook, standin, full_name)
    }

    fn by(hook: Hook, standin: &GitHub, full_name: &str) -> Result<Self> {
        let url = Url::parse(&hook.url)?;
        Ok(Self {
            target: url[Position::BeforePath..].parse()?,
            authority: url[Position::BeforeHost..Position::AfterPort].to_owned(),
            secret: hook.secret.context("the hook has no secret")?,
            repository: standin.repository_id(full_name)?,
            full_name: full_name.to_owned(),
            body: least(),
        })
    }

    /// With bodies that have all that this one has: that of a recorded push
    #[must_use]
    pub fn with_body(self, body: Value) -> Self {
        Self { body, ..self }
    }

    /// With bodies of so many bytes at least: the last commit is told of again and again
    #[must_use]
    pub fn filled_to(mut self, bytes: usize) -> Self {
        while self.body.to_string().len() < bytes {
            let commits = self.body["commits"].as_array_mut();
            let Some(commits) = commits.filter(|commits| !commits.is_empty()) else {
                break;
            };
            commits.extend_from_within(commits.len() - 1..);
        }
        self
    }

    /// The delivery of a push, signed
    #[must_use]
    pub fn push(&self, id: &str, pushed: Pushed<'_>) -> Delivery {
        let body = self.body_of(pushed).to_string();
        Delivery {
            id: id.to_owned(),
            signature: Some(format!(
                "sha256={}",
                sign::sha256_hex(&self.secret, body.as_bytes())
            )),
            body: body.into(),
            target: self.target.clone(),
            authority: self.authority.clone(),
        }
    }

    /// Every way to be wrong, most with bodies of so many bytes: another body, no signature, an empty one, another's, one in
    /// capitals, another hook
    #[must_use]
    pub fn forgeries(&self, bytes: usize) -> Vec<Delivery> {
        let commit = "b".repeat(40);
        let push = Pushed {
            branch: "main",
            before: None,
            after: &commit,
        };
        let right = self.push("bad", push);
        // One byte more at least, under the signature of the shorter one.
        let long = right.padded(bytes.max(right.size() + 1));
        let capitals = right.signature().unwrap_or_default().to_uppercase();
        vec![
            long.clone(),
            long.signed(None),
            long.signed(Some(String::new())),
            long.signed(Some(format!("sha256={}", "0".repeat(64)))),
            right.signed(Some(capitals.replace("SHA256", "sha256"))),
            long.to_hook("none"),
            right.to_hook(&"0".repeat(26)),
        ]
    }

    fn body_of(&self, pushed: Pushed<'_>) -> Value {
        let mut body = self.body.clone();
        body["ref"] = format!("refs/heads/{}", pushed.branch).into();
        body["before"] = pushed.before.unwrap_or(ZEROS).into();
        body["after"] = pushed.after.into();
        body["created"] = pushed.before.is_none().into();
        body["deleted"] = false.into();
        body["head_commit"]["id"] = pushed.after.into();
        body["repository"]["id"] = self.repository.into();
        body["repository"]["full_name"] = self.full_name.as_str().into();
        let commits = body["commits"].as_array_mut();
        if let Some(last) = commits.and_then(|commits| commits.last_mut()) {
            last["id"] = pushed.after.into();
        }
        body
    }
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooked")
            .field("full_name", &self.full_name)
            .finish_non_exhaustive()
    }
}

impl Delivery {
    /// One that was on the wire
    ///
    /// # Errors
    ///
    /// When it was sent to no URL.
    pub fn caught(sent: &Outgoing) -> Result<Self> {
        let url = Url::parse(&sent.url)?;
        let header = |name| sent.header(name).map(str::to_owned);
        Ok(Self {
            id: header("X-GitHub-Delivery").unwrap_or_default(),
            signature: header("X-Hub-Signature-256"),
            body: sent.body.clone().into(),
            target: url[Position::BeforePath..].parse()?,
            authority: url[Position::BeforeHost..Position::AfterPort].to_owned(),
        })
    }

    /// Bytes of its body
    #[must_use]
    pub const fn size(&self) -> usize {
        self.body.len()
    }

    /// Its signature, if it has one
    #[must_use]
    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// The same under another id
    #[must_use]
    pub fn again_as(&self, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..self.clone()
        }
    }

    /// The same with another signature, or none
    #[must_use]
    pub fn signed(&self, signature: Option<String>) -> Self {
        Self {
            signature,
            ..self.clone()
        }
    }

    /// The same with spaces behind its body, up to so many bytes; the signature stays as it was
    #[must_use]
    pub fn padded(&self, bytes: usize) -> Self {
        let mut body = self.body.to_vec();
        body.resize(bytes.max(body.len()), b' ');
        Self {
            body: body.into(),
            ..self.clone()
        }
    }

    /// The same to another hook, which may not exist
    #[must_use]
    pub fn to_hook(&self, id: &str) -> Self {
        let target = format!("/hooks/{id}").parse();
        Self {
            target: target.unwrap_or_else(|_| self.target.clone()),
            ..self.clone()
        }
    }

    pub(crate) fn request(&self) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::post(self.target.clone())
            .header("host", &self.authority)
            .header("user-agent", "GitHub-Hookshot/5d1c9a2")
            .header("content-type", "application/json")
            .header("x-github-delivery", &self.id)
            .header("x-github-event", "push");
        if let Some(signature) = &self.signature {
            request = request.header("x-hub-signature-256", signature);
        }
        Ok(request.body(Full::new(self.body.clone()))?)
    }
}

impl Delivery {
    /// The bytes of the whole request, as HTTP/1.1 has them
    pub(crate) fn on_the_wire(&self) -> Vec<u8> {
        let signature = self.signature.as_ref();
        let signature = signature.map(|value| format!("x-hub-signature-256: {value}\r\n"));
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\nuser-agent: GitHub-Hookshot/5d1c9a2\r\ncontent-type: application/json\r\n\
             x-github-delivery: {}\r\nx-github-event: push\r\n{}content-length: {}\r\n\r\n",
            self.target,
            self.authority,
            self.id,
            signature.unwrap_or_default(),
            self.body.len(),
        );
        [head.as_bytes(), &self.body].concat()
    }
}

/// The members of a push that somebody reads
fn least() -> Value {
    let commit = json!({
        "id": "", "message": "Mend it", "timestamp": "2026-01-02T03:04:05Z", "url": "https://forge.example/commit",
        "author": {"name": "Octo", "email": "octo@users.example"}, "added": [], "removed": [], "modified": ["README.md"],
    });
    json!({
        "forced": false,
        "commits": [commit.clone()],
        "head_commit": commit,
        "repository": {"pushed_at": 1_767_323_045},
        "pusher": {"name": "octo", "email": "octo@users.example"},
        "sender": {"login": "octo", "id": 1, "type": "User"},
    })
}
