//! One forge with a person, an app and repositories, and a plain client for them

use anyhow::Context;
use bindery_tests::browser::Wire;
use bindery_tests::github::{Decision, GitHub, OAuthApp, Options, OrgOptions, Person, Role};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use url::{Url, form_urlencoded};

pub(crate) const CALLBACK: &str = "http://127.0.0.1:9/callback";
/// RFC 7636 B
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const SCOPE: &str = "repo read:org";

pub(crate) struct Scene {
    pub(crate) github: GitHub,
    pub(crate) ada: Person,
    pub(crate) app: OAuthApp,
    pub(crate) wire: Wire,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

pub(crate) enum Auth<'a> {
    Nobody,
    Bearer(&'a str),
    Basic(&'a str, &'a str),
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn text_at(&self, key: &str) -> anyhow::Result<String> {
        let found = self.json[key].as_str().map(str::to_owned);
        found.with_context(|| format!("no {key} in {}", self.text))
    }
}

impl Scene {
    pub(crate) async fn start(options: Options) -> anyhow::Result<Self> {
        let roots: Vec<_> = options.tls.iter().map(|tls| tls.root_pem.clone()).collect();
        let roots: Vec<_> = roots.iter().map(String::as_str).collect();
        let wire = Wire::with_roots(&roots)?;
        let github = GitHub::start(options).await?;
        let ada = github.add_user("ada");
        github.add_org("analytical", OrgOptions::default());
        github.add_member("analytical", "ada", Role::Owner)?;
        github.add_repo("ada", "engine", true, &[("README.md", "# Engine\n")])?;
        github.add_repo("analytical", "notes", false, &[("README.md", "# Notes\n")])?;
        let app = github.add_oauth_app("Bindery", "analytical", &[CALLBACK]);
        Ok(Self {
            github,
            ada,
            app,
            wire,
        })
    }

    pub(crate) fn authorize_url(&self, scope: &str) -> anyhow::Result<Url> {
        let digest = ring::digest::digest(&ring::digest::SHA256, VERIFIER.as_bytes());
        let mut url = self.github.url("/login/oauth/authorize")?;
        url.query_pairs_mut().extend_pairs([
            ("client_id", self.app.client_id.as_str()),
            ("redirect_uri", CALLBACK),
            ("state", "st4te"),
            ("scope", scope),
            ("code_challenge_method", "S256"),
            ("code_challenge", &BASE64URL_NOPAD.encode(digest.as_ref())),
        ]);
        Ok(url)
    }

    /// What the callback would be asked for
    pub(crate) async fn callback(&self, url: &Url, decision: Decision) -> anyhow::Result<Url> {
        let mut browser = self.github.browser();
        let page = self
            .github
            .authorize(&mut browser, &self.ada, url, decision)
            .await?;
        page.location()?.context("no redirect")
    }

    pub(crate) async fn code(&self, scope: &str) -> anyhow::Result<String> {
        let url = self.authorize_url(scope)?;
        let callback = self.callback(&url, Decision::Agree).await?;
        query(&callback, "code").with_context(|| format!("no code in {callback}"))
    }

    pub(crate) async fn exchange(&self, code: &str, verifier: &str) -> anyhow::Result<Answer> {
        self.token_endpoint(&[
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ])
        .await
    }

    pub(crate) async fn tokens(&self, scope: &str) -> anyhow::Result<Answer> {
        let code = self.code(scope).await?;
        self.exchange(&code, VERIFIER).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> anyhow::Result<Answer> {
        self.token_endpoint(&[("grant_type", "refresh_token"), ("refresh_token", token)])
            .await
    }

    pub(crate) async fn token_endpoint(&self, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let client = [
            ("client_id", self.app.client_id.as_str()),
            ("client_secret", self.app.client_secret.as_str()),
        ];
        self.token_request(&[&client, fields].concat()).await
    }

    /// Ask the token endpoint for exactly this
    pub(crate) async fn token_request(&self, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = Request::post("/")
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)?;
        let url = self.github.url("/login/oauth/access_token")?;
        self.send(&url, request).await
    }

    pub(crate) async fn get(&self, path: &str, auth: Auth<'_>) -> anyhow::Result<Answer> {
        self.api("GET", path, auth, None).await
    }

    pub(crate) async fn api(
        &self,
        method: &str,
        path: &str,
        auth: Auth<'_>,
        body: Option<Value>,
    ) -> anyhow::Result<Answer> {
        let url = Url::parse(&format!("{}{path}", self.base()))?;
        let mut request = Request::builder().method(method);
        request = match auth {
            Auth::Nobody => request,
            Auth::Bearer(token) => request.header("authorization", format!("Bearer {token}")),
            Auth::Basic(user, password) => {
                let pair = BASE64.encode(format!("{user}:{password}").as_bytes());
                request.header("authorization", format!("Basic {pair}"))
            }
        };
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send(&url, request.body(body)?).await
    }

    /// The API's base without a slash at its end
    pub(crate) fn base(&self) -> String {
        let base = self.github.api_url().to_string();
        base.trim_end_matches('/').to_owned()
    }

    pub(crate) async fn send(&self, url: &Url, request: Request<String>) -> anyhow::Result<Answer> {
        let (parts, body) = self.wire.send(url, request).await?.into_parts();
        let text = String::from_utf8(body.to_vec())?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            json: serde_json::from_str(&text).unwrap_or_default(),
            text,
        })
    }
}

pub(crate) fn query(url: &Url, name: &str) -> Option<String> {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

/// GitHub refuses tokens with status 200
pub(crate) fn refused(answer: &Answer, error: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json["error"], error, "{}", answer.text);
    assert!(answer.json["error_description"].is_string());
    assert!(answer.json["error_uri"].is_string());
}
