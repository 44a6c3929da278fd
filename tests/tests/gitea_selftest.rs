//! The real Gitea does what its harness says: the whole OAuth way, git, hooks, revocation

use anyhow::{Context, ensure};
use bindery_tests::gitea::{Answer, Auth, Decision, Gitea, OAuthApp, Options, Tls, User};
use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use serde_json::json;
use url::Url;

const CALLBACK: &str = "http://127.0.0.1:9/callback";
/// RFC 7636 B
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A forge with a person, an application, and a private repository
struct Scene {
    gitea: Gitea,
    person: User,
    app: OAuthApp,
}

/// The scene, or none where no Gitea was built
async fn scene(options: Options) -> anyhow::Result<Option<Scene>> {
    if let Err(reason) = Gitea::available() {
        bindery_tests::not_run(&reason);
        return Ok(None);
    }
    let gitea = Gitea::start(options).await?;
    let person = gitea.create_user("ada").await?;
    let app = gitea
        .create_oauth_app(&person, "Bindery", &[CALLBACK], true)
        .await?;
    gitea.create_repo(&person, "ada", "engine", true).await?;
    Ok(Some(Scene { gitea, person, app }))
}

impl Scene {
    fn authorize_url(&self, scope: &str) -> anyhow::Result<Url> {
        let digest = ring::digest::digest(&ring::digest::SHA256, VERIFIER.as_bytes());
        let mut url = self.gitea.url("/login/oauth/authorize")?;
        url.query_pairs_mut().extend_pairs([
            ("client_id", self.app.client_id.as_str()),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("state", "st4te"),
            ("scope", scope),
            ("code_challenge_method", "S256"),
            ("code_challenge", &BASE64URL_NOPAD.encode(digest.as_ref())),
        ]);
        Ok(url)
    }

    /// What the callback would be asked for
    async fn callback(&self, scope: &str, decision: Decision) -> anyhow::Result<Url> {
        let mut browser = self.gitea.browser();
        let url = self.authorize_url(scope)?;
        let page = self
            .gitea
            .authorize(&mut browser, &self.person, &url, decision)
            .await?;
        page.location()?.context("no redirect")
    }

    async fn code(&self, scope: &str) -> anyhow::Result<String> {
        let callback = self.callback(scope, Decision::Agree).await?;
        ensure!(
            query(&callback, "state").as_deref() == Some("st4te"),
            "the state is lost"
        );
        query(&callback, "code").with_context(|| format!("no code in {callback}"))
    }

    async fn exchange(&self, code: &str, verifier: &str) -> anyhow::Result<Answer> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", verifier),
        ];
        self.token_endpoint(&fields).await
    }

    async fn refresh(&self, token: &str) -> anyhow::Result<Answer> {
        self.token_endpoint(&[("grant_type", "refresh_token"), ("refresh_token", token)])
            .await
    }

    async fn token_endpoint(&self, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let client = Auth::Client(&self.app);
        self.gitea
            .post_form("/login/oauth/access_token", &client, fields)
            .await
    }

    async fn get(&self, path: &str, token: &str) -> anyhow::Result<Answer> {
        self.gitea
            .api("GET", path, &Auth::Bearer(token), None)
            .await
    }
}

fn query(url: &Url, name: &str) -> Option<String> {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

fn refused(answer: &Answer, error: &str) {
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
    assert_eq!(answer.json["error"], error, "{}", answer.text);
}

/// A person agrees once; the code is good for one exchange with the right verifier, the token for
/// the API and git, the refresh token for one refresh; and all of it ends when the person says so
#[tokio::test]
async fn the_whole_oauth_way_is_real() -> anyhow::Result<()> {
    let Some(scene) = scene(Options::default()).await? else {
        return Ok(());
    };
    let code = scene.code("read:user read:repository").await?;
    refused(
        &scene.exchange(&code, "wrong").await?,
        "unauthorized_client",
    );
    let tokens = scene.exchange(&code, VERIFIER).await?;
    let access = tokens.text_at("/access_token")?;
    refused(
        &scene.exchange(&code, VERIFIER).await?,
        "unauthorized_client",
    );

    let identity = scene.get("/api/v1/user", &access).await?;
    assert_eq!(identity.json["login"], "ada");
    let into = tempfile::tempdir()?;
    let clone = scene
        .gitea
        .clone_with("ada/engine", ("oauth2", &access), into.path())
        .await;
    clone.context("the token doesn't clone")?;
    assert!(into.path().join("README.md").exists());

    let old = tokens.text_at("/refresh_token")?;
    let renewed = scene.refresh(&old).await?;
    refused(&scene.refresh(&old).await?, "unauthorized_client");

    let mut browser = scene.gitea.browser();
    scene.gitea.sign_in(&mut browser, &scene.person).await?;
    let grants = scene.gitea.grants(&mut browser).await?;
    assert_eq!(grants.len(), 1);
    scene.gitea.revoke_grant(&mut browser, &grants[0]).await?;
    let dead = scene
        .get("/api/v1/user", &renewed.text_at("/access_token")?)
        .await?;
    assert_eq!(dead.status, StatusCode::UNAUTHORIZED);
    refused(
        &scene.refresh(&renewed.text_at("/refresh_token")?).await?,
        "invalid_grant",
    );

    let asked = scene
        .gitea
        .requests_with("POST /login/oauth/access_token")
        .await?;
    let granted = asked.iter().filter(|line| line.ends_with(" 200")).count();
    assert_eq!((asked.len(), granted), (6, 2), "{asked:?}");
    Ok(())
}

/// Somebody who refuses is sent back with an error and no code
#[tokio::test]
async fn a_refusal_comes_back_as_one() -> anyhow::Result<()> {
    let Some(scene) = scene(Options::default()).await? else {
        return Ok(());
    };
    let callback = scene.callback("read:user", Decision::Refuse).await?;
    assert_eq!(query(&callback, "error").as_deref(), Some("access_denied"));
    assert_eq!(query(&callback, "code"), None);
    Ok(())
}

/// Hooks are made with a token, pushes arrive, and what was stored outlives a kill
#[tokio::test]
async fn hooks_pushes_and_restarts_are_real() -> anyhow::Result<()> {
    let Some(mut scene) = scene(Options::default()).await? else {
        return Ok(());
    };
    let scopes = ["write:repository", "read:user"];
    let token = scene
        .gitea
        .create_token(&scene.person, "hooks", &scopes)
        .await?;
    let hook = json!({
        "type": "gitea",
        "active": true,
        "events": ["push"],
        "config": { "url": "http://127.0.0.1:9/hook", "content_type": "json", "secret": "s" },
    });
    let path = "/api/v1/repos/ada/engine/hooks";
    let made = scene
        .gitea
        .api("POST", path, &Auth::Bearer(&token), Some(hook))
        .await?;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);

    let file = ("notes", "one\n");
    let pushed = scene
        .gitea
        .push(&scene.person, "ada/engine", "topic/a", file)
        .await?;
    scene.gitea.stop();
    scene.gitea.resume().await?;
    let branch = scene
        .get("/api/v1/repos/ada/engine/branches/topic/a", &token)
        .await?;
    assert_eq!(
        branch.json["commit"]["id"],
        pushed.as_str(),
        "{}",
        branch.text
    );

    scene.gitea.delete_token(&scene.person, "hooks").await?;
    let dead = scene.get("/api/v1/user", &token).await?;
    assert_eq!(dead.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

/// Over HTTPS, only who trusts its certificate authority talks to it, and that is enough for git
#[tokio::test]
async fn https_is_real() -> anyhow::Result<()> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let tls = Tls {
        cert_pem: certified.cert.pem(),
        key_pem: certified.signing_key.serialize_pem(),
        root_pem: certified.cert.pem(),
    };
    let options = Options {
        host: "localhost".to_owned(),
        tls: Some(tls),
        ..Options::default()
    };
    let Some(scene) = scene(options).await? else {
        return Ok(());
    };
    let mut stranger = bindery_tests::browser::Browser::new()?;
    assert!(stranger.get(&scene.gitea.base).await.is_err());
    let file = ("notes", "one\n");
    scene
        .gitea
        .push(&scene.person, "ada/engine", "main", file)
        .await?;
    assert!(!scene.code("read:user").await?.is_empty());
    Ok(())
}

/// Access tokens live as long as the options say
#[tokio::test]
async fn access_tokens_live_as_long_as_told() -> anyhow::Result<()> {
    let options = Options {
        access_token_seconds: -1,
        ..Options::default()
    };
    let Some(scene) = scene(options).await? else {
        return Ok(());
    };
    let code = scene.code("read:user").await?;
    let tokens = scene.exchange(&code, VERIFIER).await?;
    assert_eq!(tokens.json["expires_in"], -1);
    let expired = scene
        .get("/api/v1/user", &tokens.text_at("/access_token")?)
        .await?;
    assert_eq!(expired.status, StatusCode::UNAUTHORIZED);
    Ok(())
}
