//! Repositories, organizations, lists and git

use std::path::Path;

use anyhow::{Context, ensure};
use bindery_tests::github::{
    ApiPlace, GitHub, Options, OrgOptions, Pat, PatKind, Permission, Role, Sso, Tls, TokenShape,
};
use http::StatusCode;
use tokio::process::Command;
use url::Url;

use crate::scene::{Auth, SCOPE, Scene};

fn classic(github: &GitHub, scopes: &[&str]) -> anyhow::Result<String> {
    let kind = PatKind::Classic { scopes };
    github.add_pat(
        "ada",
        &Pat {
            kind,
            expires_in: None,
        },
    )
}

async fn clone(github: &GitHub, repo: &str, secret: &str, into: &Path) -> anyhow::Result<()> {
    let url = with_token(github, repo, secret)?;
    git(into, &["clone", "--quiet", url.as_str(), "."]).await
}

fn with_token(github: &GitHub, repo: &str, secret: &str) -> anyhow::Result<Url> {
    let mut url = github.url(&format!("{repo}.git"))?;
    url.set_username("anyone").ok().context("no user name")?;
    url.set_password(Some(secret)).ok().context("no password")?;
    Ok(url)
}

async fn git(into: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(into)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_SSL_NO_VERIFY", "1")
        .env("HOME", into)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    Ok(())
}

/// Real git clones with a token as the password, and not without a good one
#[tokio::test]
async fn git_clones_with_a_token() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let into = tempfile::tempdir()?;
    let token = scene.tokens(SCOPE).await?.text_at("access_token")?;
    clone(&scene.github, "ada/engine", &token, into.path()).await?;
    let text = std::fs::read_to_string(into.path().join("README.md"))?;
    assert_eq!(text, "# Engine\n");

    let weak = classic(&scene.github, &["read:org"])?;
    for bad in ["gho_wrong", weak.as_str()] {
        let elsewhere = tempfile::tempdir()?;
        let refused = clone(&scene.github, "ada/engine", bad, elsewhere.path()).await;
        assert!(refused.is_err());
    }
    let url = scene
        .github
        .url("/ada/engine.git/info/refs?service=git-upload-pack")?;
    let request = http::Request::get("/").body(String::new())?;
    let asked = scene.send(&url, request).await?;
    assert_eq!(asked.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        asked.header("www-authenticate"),
        Some("Basic realm=\"GitHub\"")
    );
    Ok(())
}

/// Who may write pushes with real git; who may only read is refused
#[tokio::test]
async fn git_pushes_where_the_person_may_write() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let github = &scene.github;
    let files = [("README.md", "# Loom\n")];
    github.add_user("joseph");
    for (name, permission) in [("loom", Permission::Push), ("cards", Permission::Pull)] {
        github.add_repo("joseph", name, true, &files)?;
        github.add_collaborator(&format!("joseph/{name}"), "ada", permission)?;
    }
    let token = classic(github, &["repo"])?;
    for (repo, allowed) in [("joseph/loom", true), ("joseph/cards", false)] {
        let into = tempfile::tempdir()?;
        clone(github, repo, &token, into.path()).await?;
        let url = with_token(github, repo, &token)?;
        let push = ["push", "--quiet", url.as_str(), "main:refs/heads/topic"];
        let pushed = git(into.path(), &push).await;
        assert_eq!(pushed.is_ok(), allowed, "{repo}: {pushed:?}");
        let path = format!("/repos/{repo}/branches/topic");
        let branch = scene.get(&path, Auth::Bearer(&token)).await?;
        assert_eq!(branch.status == StatusCode::OK, allowed, "{repo}");
    }
    Ok(())
}

/// Lists come in pages whose links lead to the numbered repository, each item once
#[tokio::test]
async fn pages_lead_through_the_whole_list() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let names: Vec<_> = (0..5).map(|number| format!("topic/{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    scene.github.add_branches("ada/engine", &names)?;
    let token = classic(&scene.github, &["repo"])?;
    let mut seen = Vec::new();
    let mut path = "/repos/ada/engine/branches?per_page=3".to_owned();
    let links = loop {
        let page = scene.get(&path, Auth::Bearer(&token)).await?;
        let items = page.json.as_array().context("no list")?;
        seen.extend(
            items
                .iter()
                .filter_map(|item| item["name"].as_str().map(str::to_owned)),
        );
        let links = page.header("link").context("no links")?.to_owned();
        let next = links
            .split(", ")
            .find(|link| link.ends_with("rel=\"next\""));
        let Some(next) = next else { break links };
        let url = next.split(['<', '>']).nth(1).context("no URL")?;
        let rest = url
            .strip_prefix(scene.base().as_str())
            .context("another host")?;
        assert!(rest.starts_with("/repositories/"), "{rest}");
        path = rest.to_owned();
    };
    assert_eq!(seen.len(), 7, "{seen:?}");
    assert!(
        links.contains("rel=\"first\"") && links.contains("rel=\"prev\""),
        "{links}"
    );
    Ok(())
}

/// Branches, tags and references are those of the real repository; an annotated tag is an object
/// of its own, and a list of tags shows the commit behind it
#[tokio::test]
async fn references_are_real() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let token = classic(&scene.github, &["repo"])?;
    let get = |path: &str| {
        let path = format!("/repos/ada/engine{path}");
        let (scene, token) = (&scene, &token);
        async move { scene.get(&path, Auth::Bearer(token)).await }
    };
    let tags = get("/tags").await?;
    assert_eq!(tags.json[0]["name"], "v1.0.0");
    assert_eq!(tags.json[0]["commit"]["sha"], tags.json[1]["commit"]["sha"]);
    let annotated = get("/git/matching-refs/tags/v1").await?;
    assert_eq!(annotated.json[0]["ref"], "refs/tags/v1.0.0");
    assert_eq!(annotated.json[0]["object"]["type"], "tag");
    assert_ne!(
        annotated.json[0]["object"]["sha"],
        tags.json[0]["commit"]["sha"]
    );
    let light = get("/git/ref/tags/v0.9.0").await?;
    assert_eq!(light.json["object"]["type"], "commit");
    let hash = scene
        .github
        .commit("ada/engine", "develop", ("more", "x\n"))?;
    let branch = get("/branches/develop").await?;
    assert_eq!(branch.json["commit"]["sha"], hash.as_str());
    assert_eq!(get("/branches/none").await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

/// A token sees what its scopes and its owner's rights allow, and nothing tells what else exists
#[tokio::test]
async fn scopes_limit_what_is_seen() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    scene.github.add_user("eve");
    scene.github.add_repo("eve", "secret", true, &[])?;
    let (strong, weak) = (
        classic(&scene.github, &["repo"])?,
        classic(&scene.github, &[])?,
    );
    let names = |answer: &crate::scene::Answer| {
        let list = answer.json.as_array().cloned().unwrap_or_default();
        list.iter()
            .map(|repo| repo["full_name"].to_string())
            .collect::<Vec<_>>()
    };
    let all = scene
        .get("/user/repos?per_page=100", Auth::Bearer(&strong))
        .await?;
    assert_eq!(names(&all), ["\"ada/engine\"", "\"analytical/notes\""]);
    assert_eq!(all.json[0]["permissions"]["admin"], true);
    let public = scene.get("/user/repos", Auth::Bearer(&weak)).await?;
    assert_eq!(names(&public), ["\"analytical/notes\""]);
    for path in ["/repos/eve/secret", "/repos/eve/nothing"] {
        let hidden = scene.get(path, Auth::Bearer(&strong)).await?;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND);
        assert_eq!(hidden.json["message"], "Not Found");
    }
    let orgs = scene.get("/user/orgs", Auth::Bearer(&weak)).await?;
    assert_eq!(orgs.status, StatusCode::FORBIDDEN);
    let nobody = scene.get("/user", Auth::Nobody).await?;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(nobody.json["message"], "Requires authentication");
    Ok(())
}

/// A fine-grained token keeps to one owner and its permissions, and has no scopes to show
#[tokio::test]
async fn fine_grained_tokens_keep_to_their_owner() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    scene.github.add_repo("analytical", "plans", true, &[])?;
    let kind = PatKind::FineGrained {
        owner: "ada",
        permissions: &["metadata:read"],
    };
    let pat = Pat {
        kind,
        expires_in: Some(3600),
    };
    let token = scene.github.add_pat("ada", &pat)?;
    assert!(token.starts_with("github_pat_"));
    let user = scene.get("/user", Auth::Bearer(&token)).await?;
    assert_eq!(user.header("x-oauth-scopes"), None);
    let end = user.header("github-authentication-token-expiration");
    assert!(end.is_some_and(|end| end.ends_with(" UTC")), "{end:?}");
    let mine = scene.get("/repos/ada/engine", Auth::Bearer(&token)).await?;
    assert_eq!(mine.status, StatusCode::OK);
    let code = scene
        .get("/repos/ada/engine/branches", Auth::Bearer(&token))
        .await?;
    assert_eq!(code.status, StatusCode::FORBIDDEN);
    let list = scene.get("/user/repos", Auth::Bearer(&token)).await?;
    assert_eq!(list.json.as_array().map(Vec::len), Some(1), "{}", list.text);
    let other = scene
        .get("/repos/analytical/plans", Auth::Bearer(&token))
        .await?;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    Ok(())
}

/// A restricted organization is closed to an app until an owner lets it in on the settings page
#[tokio::test]
async fn trap_2_restricted_organizations_are_closed_to_apps() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let closed = OrgOptions {
        restricted: true,
        sso: None,
    };
    scene.github.add_org("closed", closed);
    scene.github.add_member("closed", "ada", Role::Owner)?;
    scene.github.add_repo("closed", "vault", true, &[])?;
    let token = scene.tokens(SCOPE).await?.text_at("access_token")?;
    for path in ["/orgs/closed", "/orgs/closed/repos", "/repos/closed/vault"] {
        let refused = scene.get(path, Auth::Bearer(&token)).await?;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        assert!(
            refused.text.contains("OAuth App access restrictions"),
            "{path}"
        );
    }
    let orgs = scene.get("/user/orgs", Auth::Bearer(&token)).await?;
    assert_eq!(orgs.json.as_array().map(Vec::len), Some(1), "{}", orgs.text);
    let pat = classic(&scene.github, &["repo"])?;
    let pat = scene.get("/repos/closed/vault", Auth::Bearer(&pat)).await?;
    assert_eq!(pat.status, StatusCode::OK);

    let mut browser = scene.github.browser();
    scene.github.sign_in(&mut browser, &scene.ada).await?;
    let path = format!("/settings/connections/applications/{}", scene.app.client_id);
    let page = browser.open(&scene.github.url(&path)?).await?;
    browser
        .submit(&page.form_with("org")?.press("org", "closed"))
        .await?;
    let open = scene.get("/orgs/closed", Auth::Bearer(&token)).await?;
    assert_eq!(open.status, StatusCode::OK, "{}", open.text);
    Ok(())
}

/// Single sign-on refuses by name what is asked for by name, and says which lists are incomplete
#[tokio::test]
async fn trap_2_single_sign_on_says_what_it_hides() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let sso = OrgOptions {
        restricted: false,
        sso: Some(Sso::PersonalTokens),
    };
    let id = scene.github.add_org("sso", sso);
    scene.github.add_member("sso", "ada", Role::Member)?;
    scene.github.add_repo("sso", "vault", true, &[])?;
    let pat = classic(&scene.github, &["repo", "read:org"])?;
    let named = scene.get("/orgs/sso", Auth::Bearer(&pat)).await?;
    assert_eq!(named.status, StatusCode::FORBIDDEN);
    let header = named.header("x-github-sso").unwrap_or_default();
    assert!(header.starts_with("required; url="), "{header}");
    for path in ["/user/orgs", "/user/repos"] {
        let partial = scene.get(path, Auth::Bearer(&pat)).await?;
        let wanted = format!("partial-results; organizations={id}");
        assert_eq!(
            partial.header("x-github-sso"),
            Some(wanted.as_str()),
            "{path}"
        );
    }
    let url = header.strip_prefix("required; url=").unwrap_or_default();
    let mut browser = scene.github.browser();
    scene.github.sign_in(&mut browser, &scene.ada).await?;
    let page = browser.open(&Url::parse(url)?).await?;
    let form = page.form_with("continue")?.press("continue", "1");
    browser.submit(&form).await?;
    let open = scene.get("/orgs/sso", Auth::Bearer(&pat)).await?;
    assert_eq!(open.status, StatusCode::OK);
    let token = scene.tokens(SCOPE).await?.text_at("access_token")?;
    let by_app = scene.get("/orgs/sso", Auth::Bearer(&token)).await?;
    assert_eq!(by_app.status, StatusCode::OK);
    Ok(())
}

/// Over HTTPS with an API host of its own, everything works under those URLs
#[tokio::test]
async fn https_and_an_api_host_of_its_own() -> anyhow::Result<()> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let tls = Tls {
        cert_pem: certified.cert.pem(),
        key_pem: certified.signing_key.serialize_pem(),
        root_pem: certified.cert.pem(),
    };
    let options = Options {
        tls: Some(tls),
        host: "localhost".to_owned(),
        api: ApiPlace::OwnHost,
        token_shape: TokenShape::Expiring { access_seconds: 60 },
        ..Options::default()
    };
    let scene = Scene::start(options).await?;
    assert_ne!(
        scene.github.api_url().origin(),
        scene.github.web_url().origin()
    );
    assert_eq!(scene.github.api_url().path(), "/");
    let token = scene.tokens(SCOPE).await?.text_at("access_token")?;
    let user = scene.get("/user", Auth::Bearer(&token)).await?;
    let url = Url::parse(user.json["url"].as_str().unwrap_or_default())?;
    assert_eq!(url.origin(), scene.github.api_url().origin());
    let into = tempfile::tempdir()?;
    clone(&scene.github, "ada/engine", &token, into.path()).await?;
    let meta = scene.get("/meta", Auth::Nobody).await?;
    assert_eq!(meta.json.get("installed_version"), None);
    Ok(())
}

/// A restricted organization is left out of the app's list, and stays in the list that everybody sees
#[tokio::test]
async fn a_public_membership_tells_of_a_restricted_organization() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let restricted = OrgOptions {
        restricted: true,
        ..OrgOptions::default()
    };
    scene.github.add_org("closed", restricted);
    scene.github.add_member("closed", "ada", Role::Member)?;
    let token = scene.tokens(SCOPE).await?.text_at("access_token")?;
    let logins = async |path: &str| -> anyhow::Result<Vec<String>> {
        let answer = scene.get(path, Auth::Bearer(&token)).await?;
        let orgs = answer.json.as_array().cloned().unwrap_or_default();
        let names = orgs.iter().filter_map(|org| org["login"].as_str());
        Ok(names.map(str::to_owned).collect())
    };
    assert_eq!(logins("/user/orgs").await?, ["analytical"]);
    assert_eq!(logins("/users/ada/orgs").await?, Vec::<String>::new());
    scene.github.publicize_membership("closed", "ada")?;
    assert_eq!(logins("/users/ada/orgs").await?, ["closed"]);
    Ok(())
}
