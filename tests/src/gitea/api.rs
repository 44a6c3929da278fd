//! What a test sets up through Gitea's own API

use anyhow::{Context, ensure};
use data_encoding::BASE64;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::{Gitea, config};

/// Somebody who can sign in
#[derive(Clone, Debug)]
pub struct User {
    /// The user name
    pub name: String,
    /// The password
    pub password: String,
}

/// An application that a user registered
#[derive(Clone, Debug)]
pub struct OAuthApp {
    /// Its number in pages and in the API
    pub id: i64,
    /// The client id
    pub client_id: String,
    /// The client secret; public clients have one too and don't use it
    pub client_secret: String,
}

/// Who makes a request
#[derive(Clone, Debug)]
pub enum Auth<'a> {
    /// Nobody in particular
    Nobody,
    /// A user with a password
    Basic(&'a User),
    /// An OAuth client with its secret
    Client(&'a OAuthApp),
    /// Whoever a token belongs to, as `Authorization: Bearer`
    Bearer(&'a str),
}

/// What a request got
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status
    pub status: StatusCode,
    /// The headers
    pub headers: HeaderMap,
    /// The body, as text
    pub text: String,
    /// The body, as JSON; null where it isn't JSON
    pub json: Value,
}

impl User {
    pub(super) fn named(name: &str) -> anyhow::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            password: config::random()?,
        })
    }

    /// The address the user is registered with
    #[must_use]
    pub fn email(&self) -> String {
        format!("{}@example.com", self.name)
    }
}

impl Auth<'_> {
    fn header(&self) -> Option<String> {
        let basic = |name: &str, secret: &str| {
            Some(format!(
                "Basic {}",
                BASE64.encode(format!("{name}:{secret}").as_bytes())
            ))
        };
        match self {
            Self::Nobody => None,
            Self::Basic(user) => basic(&user.name, &user.password),
            Self::Client(app) => basic(&app.client_id, &app.client_secret),
            Self::Bearer(token) => Some(format!("Bearer {token}")),
        }
    }
}

impl Answer {
    /// A header's value, when it is there and is text
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A text in the JSON body
    pub fn text_at(&self, pointer: &str) -> anyhow::Result<String> {
        let found = self.json.pointer(pointer).and_then(Value::as_str);
        let found = found.with_context(|| format!("no {pointer} in {}", self.text))?;
        Ok(found.to_owned())
    }
}

impl Gitea {
    /// Send a request with a JSON body, or with none, and take any answer
    pub async fn api(
        &self,
        method: &str,
        path: &str,
        auth: &Auth<'_>,
        body: Option<Value>,
    ) -> anyhow::Result<Answer> {
        let body = body.map(|body| ("application/json", body.to_string()));
        self.send(method, path, auth, body).await
    }

    /// Send a form, as OAuth endpoints want it, and take any answer
    pub async fn post_form(
        &self,
        path: &str,
        auth: &Auth<'_>,
        fields: &[(&str, &str)],
    ) -> anyhow::Result<Answer> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let body = form.extend_pairs(fields).finish();
        let body = ("application/x-www-form-urlencoded", body);
        self.send("POST", path, auth, Some(body)).await
    }

    /// Create a user who can sign in
    pub async fn create_user(&self, name: &str) -> anyhow::Result<User> {
        let user = User::named(name)?;
        let body = json!({
            "username": user.name,
            "email": user.email(),
            "password": user.password,
            "must_change_password": false,
        });
        self.create("/api/v1/admin/users", &self.admin, body)
            .await?;
        Ok(user)
    }

    /// Create an organization that a user owns
    pub async fn create_org(&self, owner: &User, name: &str) -> anyhow::Result<()> {
        self.create("/api/v1/orgs", owner, json!({ "username": name }))
            .await?;
        Ok(())
    }

    /// Create a repository with a first commit on `main`, for a user or for one of their
    /// organizations
    pub async fn create_repo(
        &self,
        user: &User,
        owner: &str,
        name: &str,
        private: bool,
    ) -> anyhow::Result<()> {
        let path = if owner == user.name {
            "/api/v1/user/repos".to_owned()
        } else {
            format!("/api/v1/orgs/{owner}/repos")
        };
        let body = json!({
            "name": name,
            "private": private,
            "auto_init": true,
            "default_branch": "main",
        });
        self.create(&path, user, body).await?;
        Ok(())
    }

    /// Register an OAuth application
    pub async fn create_oauth_app(
        &self,
        user: &User,
        name: &str,
        redirect_uris: &[&str],
        confidential: bool,
    ) -> anyhow::Result<OAuthApp> {
        let body = json!({
            "name": name,
            "redirect_uris": redirect_uris,
            "confidential_client": confidential,
        });
        let answer = self
            .create("/api/v1/user/applications/oauth2", user, body)
            .await?;
        Ok(OAuthApp {
            id: answer.json["id"]
                .as_i64()
                .context("the application has no id")?,
            client_id: answer.text_at("/client_id")?,
            client_secret: answer.text_at("/client_secret")?,
        })
    }

    /// Create a personal access token
    pub async fn create_token(
        &self,
        user: &User,
        name: &str,
        scopes: &[&str],
    ) -> anyhow::Result<String> {
        let path = format!("/api/v1/users/{}/tokens", user.name);
        let body = json!({ "name": name, "scopes": scopes });
        self.create(&path, user, body).await?.text_at("/sha1")
    }

    /// Delete a personal access token by its name
    pub async fn delete_token(&self, user: &User, name: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/users/{}/tokens/{name}", user.name);
        let answer = self.api("DELETE", &path, &Auth::Basic(user), None).await?;
        ensure!(
            answer.status.is_success(),
            "{path}: {} {}",
            answer.status,
            answer.text
        );
        Ok(())
    }

    async fn create(&self, path: &str, user: &User, body: Value) -> anyhow::Result<Answer> {
        let answer = self
            .api("POST", path, &Auth::Basic(user), Some(body))
            .await?;
        let created = answer.status == StatusCode::CREATED;
        ensure!(created, "{path}: {} {}", answer.status, answer.text);
        Ok(answer)
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        auth: &Auth<'_>,
        body: Option<(&str, String)>,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(method)
            .header("accept", "application/json");
        if let Some(header) = auth.header() {
            request = request.header(AUTHORIZATION, header);
        }
        if let Some((kind, _)) = &body {
            request = request.header(CONTENT_TYPE, *kind);
        }
        let request = request.body(body.map(|(_, body)| body).unwrap_or_default())?;
        let (parts, body) = self
            .wire
            .send(&self.url(path)?, request)
            .await?
            .into_parts();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            json: serde_json::from_slice(&body).unwrap_or_default(),
            text: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}
