//! GitHub Apps: who they are, what they are installed for, and the tokens that they make

use anyhow::{Context, ensure};
use bindery_tests::github::{ApiPlace, Options, OrgOptions, Permission, RegisteredApp, Role};
use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rustls_pki_types::{PrivatePkcs1KeyDer, pem::PemObject};
use serde_json::{Value, json};
use url::Url;

use crate::corpus::{description, fits, schema};
use crate::scene::{Answer, Auth, CALLBACK, Scene, query};

struct Apps {
    scene: Scene,
    app: RegisteredApp,
    /// On the organization, for one of its two repositories
    installation: u64,
    notes: u64,
}

impl Apps {
    async fn start() -> anyhow::Result<Self> {
        let scene = Scene::start(Options {
            api: ApiPlace::OwnHost,
            ..Options::default()
        })
        .await?;
        let github = &scene.github;
        let notes = github.add_repo("analytical", "secret", true, &[("a", "b\n")])?;
        github.add_repo("analytical", "other", true, &[("a", "b\n")])?;
        let app = github.add_github_app(
            "Binder",
            "analytical",
            CALLBACK,
            &["contents:read", "members:read"],
        )?;
        let installation = github.install(app.app_id, "analytical", &[notes])?;
        Ok(Self {
            scene,
            app,
            installation,
            notes,
        })
    }

    fn jwt(&self, issuer: &Value, (back, ahead): (i64, i64)) -> anyhow::Result<String> {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({ "iat": now - back, "exp": now + ahead, "iss": issuer });
        let der = PrivatePkcs1KeyDer::from_pem_slice(self.app.private_key.as_bytes())?;
        let key = KeyPair::from_der(der.secret_pkcs1_der());
        let key = key.map_err(|rejected| anyhow::anyhow!("{rejected}"))?;
        let header = BASE64URL_NOPAD.encode(br#"{"alg":"RS256","typ":"JWT"}"#);
        let claims = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
        let input = format!("{header}.{claims}");
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &SystemRandom::new(),
            input.as_bytes(),
            &mut signature,
        )
        .map_err(|_| anyhow::anyhow!("it can't sign"))?;
        Ok(format!("{input}.{}", BASE64URL_NOPAD.encode(&signature)))
    }

    fn good_jwt(&self) -> anyhow::Result<String> {
        self.jwt(&self.app.app_id.into(), (60, 540))
    }

    async fn as_app(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Answer> {
        let jwt = self.good_jwt()?;
        self.scene.api(method, path, Auth::Bearer(&jwt), body).await
    }

    fn path(&self, rest: &str) -> String {
        format!("/app/installations/{}{rest}", self.installation)
    }

    /// The token of a person who comes back from the page
    async fn token_of(&self, back: &Url) -> anyhow::Result<String> {
        let code = query(back, "code").context("no code")?;
        let fields = [
            ("client_id", self.app.client_id.as_str()),
            ("client_secret", self.app.client_secret.as_str()),
            ("code", code.as_str()),
        ];
        let answer = self.scene.token_request(&fields).await?;
        let token = answer.text_at("access_token")?;
        ensure!(token.starts_with("ghu_") && answer.json["refresh_token"].is_string());
        Ok(token)
    }

    async fn mint(&self, body: Value) -> anyhow::Result<Answer> {
        let path = self.path("/access_tokens");
        self.as_app("POST", &path, Some(body)).await
    }
}

/// An app is known by number or client id; what is signed badly, in the future or for too long is refused
#[tokio::test]
async fn a_jwt_is_checked() -> anyhow::Result<()> {
    let apps = Apps::start().await?;
    let good = json!(apps.app.app_id);
    let text = json!(apps.app.app_id.to_string());
    let client = json!(apps.app.client_id);
    let ask = async |jwt: String| apps.scene.get("/app", Auth::Bearer(&jwt)).await;
    for issuer in [&good, &text, &client] {
        let answer = ask(apps.jwt(issuer, (60, 540))?).await?;
        assert_eq!(answer.json["slug"], "binder", "{issuer}");
    }
    for (window, word) in [
        ((60, 700), "too far in the future"),
        ((60, -1), "future time"),
        ((-120, 540), "'iat'"),
    ] {
        let answer = ask(apps.jwt(&good, window)?).await?;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{word}");
        ensure!(answer.text.contains(word), "{}", answer.text);
    }
    let unknown = ask(apps.jwt(&json!(1), (60, 540))?).await?;
    assert_eq!(unknown.json["message"], "Integration not found");
    let (head, _) = apps
        .good_jwt()?
        .rsplit_once('.')
        .map(own)
        .context("a JWT")?;
    let forged = ask(format!("{head}.{}", "A".repeat(342))).await?;
    assert_eq!(forged.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

fn own((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

/// A token reaches what the installation is for and no more, and less where less was asked for
#[tokio::test]
async fn a_token_is_as_narrow_as_its_installation() -> anyhow::Result<()> {
    let apps = Apps::start().await?;
    let answer = apps.mint(json!({})).await?;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert_eq!(answer.json["repository_selection"], "selected");
    let token = answer.text_at("token")?;
    ensure!(token.len() > 500 && token.contains('.'), "{}", token.len());
    let auth = || Auth::Bearer(&token);
    let list = apps.scene.get("/installation/repositories", auth()).await?;
    assert_eq!(list.json["total_count"], 1);
    let refs = "/repos/analytical/secret/branches";
    assert_eq!(apps.scene.get(refs, auth()).await?.status, StatusCode::OK);
    let other = apps.scene.get("/repos/analytical/other", auth()).await?;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    let user = apps.scene.get("/user", auth()).await?;
    assert_eq!(
        user.json["message"],
        "Resource not accessible by integration"
    );
    let narrow = json!({
        "repository_ids": [apps.notes],
        "permissions": { "metadata": "read" },
    });
    let narrow = apps.mint(narrow).await?.text_at("token")?;
    let refused = apps.scene.get(refs, Auth::Bearer(&narrow)).await?;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    Ok(())
}

/// More than was granted, and repositories that are not covered, are 422
#[tokio::test]
async fn asking_for_more_is_refused() -> anyhow::Result<()> {
    let apps = Apps::start().await?;
    for body in [
        json!({ "permissions": { "contents": "write" } }),
        json!({ "permissions": { "administration": "read" } }),
        json!({ "repositories": ["other"] }),
        json!({ "repository_ids": vec![apps.notes; 501] }),
    ] {
        let answer = apps.mint(body.clone()).await?;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    Ok(())
}

/// Suspended, ended and uninstalled are told apart, for the app and for its tokens
#[tokio::test]
async fn an_installation_ends() -> anyhow::Result<()> {
    let apps = Apps::start().await?;
    let github = &apps.scene.github;
    let token = apps.mint(json!({})).await?.text_at("token")?;
    let list = async || {
        let auth = Auth::Bearer(&token);
        apps.scene.get("/installation/repositories", auth).await
    };
    github.suspend_installation(apps.installation, true)?;
    for answer in [apps.mint(json!({})).await?, list().await?] {
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(
            answer.json["message"],
            "This installation has been suspended"
        );
    }
    let shown = apps.as_app("GET", &apps.path(""), None).await?;
    ensure!(shown.json["suspended_at"].is_string(), "{}", shown.text);
    github.suspend_installation(apps.installation, false)?;
    let end = Auth::Bearer(&token);
    let ended = apps
        .scene
        .api("DELETE", "/installation/token", end, None)
        .await?;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert_eq!(list().await?.status, StatusCode::UNAUTHORIZED);
    let gone = apps.as_app("DELETE", &apps.path(""), None).await?;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(apps.mint(json!({})).await?.status, StatusCode::NOT_FOUND);
    assert_eq!(github.installations(), Vec::<u64>::new());
    Ok(())
}

/// A person installs on a page and comes back with a code, whose token sees exactly the installations
#[tokio::test]
async fn a_person_installs_by_page() -> anyhow::Result<()> {
    let apps = Apps::start().await?;
    let github = &apps.scene.github;
    let url = github.url("/apps/binder/installations/new?state=st4te")?;
    let mut browser = github.browser();
    let ada = &apps.scene.ada;
    let page = github
        .install_by_page(&mut browser, ada, &url, ("ada", "all"))
        .await?;
    let back = page.location()?.context("no redirect")?;
    assert_eq!(query(&back, "state").as_deref(), Some("st4te"));
    assert_eq!(query(&back, "setup_action").as_deref(), Some("install"));
    let id = query(&back, "installation_id").context("no installation")?;
    let token = apps.token_of(&back).await?;
    let mine = apps
        .scene
        .get("/user/installations", Auth::Bearer(&token))
        .await?;
    assert_eq!(mine.json["total_count"], 2, "{}", mine.text);
    let path = format!("/user/installations/{id}/repositories");
    let repos = apps.scene.get(&path, Auth::Bearer(&token)).await?;
    assert_eq!(repos.json["repositories"][0]["full_name"], "ada/engine");
    Ok(())
}

/// Who does not own an organization can only ask for the app, and comes back without an installation
#[tokio::test]
async fn a_member_only_asks() -> anyhow::Result<()> {
    let apps = Apps::start().await?;
    let github = &apps.scene.github;
    github.add_org("closed", OrgOptions::default());
    github.add_member("closed", "ada", Role::Member)?;
    let url = github.url("/apps/binder/installations/new")?;
    let mut browser = github.browser();
    let ada = &apps.scene.ada;
    let page = github
        .install_by_page(&mut browser, ada, &url, ("closed", "all"))
        .await?;
    let back = page.location()?.context("no redirect")?;
    assert_eq!(query(&back, "setup_action").as_deref(), Some("request"));
    assert_eq!(query(&back, "installation_id"), None);
    assert_eq!(github.installations(), [apps.installation]);
    Ok(())
}

/// Whoever reads one repository of an installation sees it in their list, and only the membership tells that they own
/// nothing of the account
#[tokio::test]
async fn a_list_is_no_proof_of_owning() -> anyhow::Result<()> {
    let apps = Apps::start().await?;
    let github = &apps.scene.github;
    let guest = github.add_user("guest");
    github.add_collaborator("analytical/secret", "guest", Permission::Pull)?;
    let url = github.url("/apps/binder/installations/new")?;
    let mut browser = github.browser();
    let page = github
        .install_by_page(&mut browser, &guest, &url, ("guest", "all"))
        .await?;
    let token = apps
        .token_of(&page.location()?.context("no redirect")?)
        .await?;
    let ask = async |path| apps.scene.get(path, Auth::Bearer(&token)).await;
    let mine = ask("/user/installations").await?;
    assert_eq!(mine.json["installations"][0]["id"], apps.installation);
    let membership = "/user/memberships/orgs/analytical";
    assert_eq!(ask(membership).await?.status, StatusCode::NOT_FOUND);
    github.add_member("analytical", "guest", Role::Member)?;
    assert_eq!(ask(membership).await?.json["role"], "member");
    github.add_member("analytical", "guest", Role::Owner)?;
    let answer = ask(membership).await?;
    assert_eq!(answer.json["role"], "admin");
    if let Some(description) = description()? {
        let membership = &description["components"]["schemas"]["org-membership"];
        fits(&description, membership, &answer.json)?;
    }
    Ok(())
}

/// Every answer about apps is valid under GitHub's own description of it
#[tokio::test]
async fn app_answers_fit_the_official_description() -> anyhow::Result<()> {
    let Some(description) = description()? else {
        return Ok(());
    };
    let apps = Apps::start().await?;
    let minted = apps.mint(json!({ "repositories": ["secret"] })).await?;
    let token = minted.text_at("token")?;
    let list = apps
        .scene
        .get("/installation/repositories", Auth::Bearer(&token))
        .await?;
    let one = "/app/installations/{installation_id}";
    for (path, method, status, answer) in [
        (
            "/app",
            "get",
            "200",
            apps.as_app("GET", "/app", None).await?,
        ),
        (
            one,
            "get",
            "200",
            apps.as_app("GET", &apps.path(""), None).await?,
        ),
        (&format!("{one}/access_tokens"), "post", "201", minted),
        ("/installation/repositories", "get", "200", list),
    ] {
        let schema = schema(&description, path, method, status)?;
        fits(&description, schema, &answer.json).with_context(|| path.to_owned())?;
    }
    Ok(())
}
