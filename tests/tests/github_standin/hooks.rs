//! Hooks of repositories: who may do what with them, and what the API says.

use anyhow::{Context, Result};
use bindery_tests::github::{GitHub, Options, OrgOptions, Pat, PatKind, Permission, Role};
use bindery_tests::receiver::Receiver;
use bindery_twins::hooks::Lost;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::scene::{Answer, Auth, Scene};

pub(crate) const HOOKS: &str = "/repos/ada/engine/hooks";

/// A forge, somebody who listens, and a token
pub(crate) struct Hooked {
    pub(crate) scene: Scene,
    pub(crate) receiver: Receiver,
    pub(crate) token: String,
}

impl Hooked {
    pub(crate) async fn start() -> Result<Self> {
        let scene = Scene::start(Options::default()).await?;
        let token = classic(&scene.github, &["repo"])?;
        let receiver = Receiver::start().await?;
        Ok(Self {
            scene,
            receiver,
            token,
        })
    }

    pub(crate) async fn api(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer> {
        let auth = Auth::Bearer(&self.token);
        self.scene.api(method, path, auth, body).await
    }

    /// Makes a hook for these events, and forgets its ping
    pub(crate) async fn hook(&self, events: &[&str], secret: &str) -> Result<u64> {
        let answer = self
            .api("POST", HOOKS, Some(self.new_hook(events, secret)))
            .await?;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        self.scene.github.deliveries_done().await;
        let _ping = self.receiver.take();
        answer.json["id"].as_u64().context("no id")
    }

    pub(crate) fn new_hook(&self, events: &[&str], secret: &str) -> Value {
        json!({"name": "web", "active": true, "events": events, "config": {
            "url": self.receiver.url("/hooks/1"), "content_type": "json", "secret": secret,
            "insecure_ssl": "0",
        }})
    }
}

pub(crate) fn classic(github: &GitHub, scopes: &[&str]) -> Result<String> {
    let pat = Pat {
        kind: PatKind::Classic { scopes },
        expires_in: None,
    };
    github.add_pat("ada", &pat)
}

/// A hook is made, found in the list, changed and removed, and its secret is never said.
#[tokio::test]
async fn a_hook_is_made_changed_and_removed() -> Result<()> {
    let hooked = Hooked::start().await?;
    let body = hooked.new_hook(&["push", "create"], "s3cr3t");
    let made = hooked.api("POST", HOOKS, Some(body)).await?;
    assert_eq!(made.status, StatusCode::CREATED);
    let own = made.text_at("url")?;
    assert_eq!(made.header("location"), Some(own.as_str()));
    assert_eq!(made.json["config"]["secret"], "********");
    assert_eq!(made.json["config"]["insecure_ssl"], "0");
    assert_eq!(made.json["events"], json!(["create", "push"]));
    let path = format!("{HOOKS}/{}", made.json["id"]);
    let got = hooked.api("GET", &path, None).await?;
    assert_eq!(got.status, StatusCode::OK);
    let list = hooked.api("GET", HOOKS, None).await?;
    assert_eq!(list.json[0]["id"], got.json["id"]);
    let add = json!({"add_events": ["delete"], "remove_events": ["create"], "active": false});
    let changed = hooked.api("PATCH", &path, Some(add)).await?;
    assert_eq!(changed.json["events"], json!(["delete", "push"]));
    assert_eq!(changed.json["active"], false);
    assert_eq!(changed.json["config"]["secret"], "********");
    assert_eq!(hooked.api("DELETE", &path, None).await?.status, 204);
    assert_eq!(hooked.api("DELETE", &path, None).await?.status, 404);
    assert_eq!(hooked.api("GET", &path, None).await?.status, 404);
    Ok(())
}

/// Without a content type a hook gets forms.
#[tokio::test]
async fn trap_2_forms_are_the_default() -> Result<()> {
    let hooked = Hooked::start().await?;
    let body = json!({"config": {"url": hooked.receiver.url("/hooks/1")}});
    let made = hooked.api("POST", HOOKS, Some(body)).await?;
    assert_eq!(made.json["config"]["content_type"], "form");
    assert_eq!(made.json["config"]["secret"], Value::Null);
    assert_eq!(made.json["events"], json!(["push"]));
    Ok(())
}

/// A change whose `config` leaves the secret out removes it; `PATCH .../config` keeps what it leaves out.
#[tokio::test]
async fn trap_2_a_config_without_a_secret_removes_it() -> Result<()> {
    let hooked = Hooked::start().await?;
    let id = hooked.hook(&["push"], "s3cr3t").await?;
    let secret = || hooked.scene.github.hooks("ada/engine")[0].secret.clone();
    let url = hooked.receiver.url("/hooks/2");
    let path = format!("{HOOKS}/{id}/config");
    let kept = hooked
        .api("PATCH", &path, Some(json!({"url": url})))
        .await?;
    assert_eq!(kept.status, StatusCode::OK);
    assert_eq!(kept.json["url"], url.as_str());
    assert_eq!(kept.json["content_type"], "json");
    assert_eq!(kept.json["secret"], "********");
    assert_eq!(secret().as_deref(), Some("s3cr3t"));
    let config = json!({"config": {"url": url, "content_type": "json"}});
    let path = format!("{HOOKS}/{id}");
    let lost = hooked.api("PATCH", &path, Some(config)).await?;
    assert_eq!(lost.json["config"].get("secret"), None);
    assert_eq!(secret(), None);
    Ok(())
}

/// The same URL for the same event is refused, and so is the 21st hook for an event.
#[tokio::test]
async fn trap_2_hooks_are_neither_doubled_nor_more_than_twenty() -> Result<()> {
    let hooked = Hooked::start().await?;
    let _first = hooked.hook(&["push"], "s3cr3t").await?;
    let again = hooked.new_hook(&["push", "create"], "other");
    let refused = hooked.api("POST", HOOKS, Some(again)).await?;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let message = &refused.json["errors"][0]["message"];
    assert_eq!(message, "Hook already exists on this repository");
    for number in 1..20 {
        let url = format!("https://other.example.com/{number}");
        let _id = hooked
            .scene
            .github
            .plant_hook("ada/engine", &url, &["push"])?;
    }
    let body = json!({"events": ["push"], "config": {"url": "https://more.example.com/"}});
    let full = hooked.api("POST", HOOKS, Some(body)).await?;
    assert_eq!(full.status, StatusCode::UNPROCESSABLE_ENTITY);
    let other = json!({"events": ["create"], "config": {"url": "https://more.example.com/"}});
    assert_eq!(hooked.api("POST", HOOKS, Some(other)).await?.status, 201);
    Ok(())
}

/// Mistakes in a hook are told as such.
#[tokio::test]
async fn a_hook_that_makes_no_sense_is_refused() -> Result<()> {
    let hooked = Hooked::start().await?;
    let wrong = [
        json!({"events": ["push"]}),
        json!({"config": {"url": "nowhere"}}),
        json!({"events": ["nonsense"], "config": {"url": "https://a.example.com"}}),
        json!({"name": "email", "config": {"url": "https://a.example.com"}}),
        json!({"config": {"url": "https://a.example.com", "content_type": "xml"}}),
    ];
    for body in wrong {
        let answer = hooked.api("POST", HOOKS, Some(body.clone())).await?;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(answer.json["message"], "Validation Failed");
    }
    assert_eq!(hooked.scene.github.hooks("ada/engine").len(), 0);
    Ok(())
}

/// Who may not look is told that there is nothing; `write:repo_hook` does not remove.
#[tokio::test]
async fn trap_2_scopes_decide_about_hooks() -> Result<()> {
    let mut hooked = Hooked::start().await?;
    let id = hooked.hook(&["push"], "s3cr3t").await?;
    let path = format!("{HOOKS}/{id}");
    let cases = [
        (&["read:org"][..], 404, 404, 404),
        (&["public_repo"], 404, 404, 404),
        (&["read:repo_hook"], 200, 404, 404),
        (&["write:repo_hook"], 200, 200, 404),
        (&["admin:repo_hook"], 200, 200, 204),
    ];
    for (scopes, get, patch, delete) in cases {
        hooked.token = classic(&hooked.scene.github, scopes)?;
        let answers = [
            hooked.api("GET", &path, None).await?,
            hooked
                .api("PATCH", &path, Some(json!({"active": true})))
                .await?,
            hooked.api("DELETE", &path, None).await?,
        ];
        let statuses = answers.map(|answer| answer.status.as_u16());
        assert_eq!(statuses, [get, patch, delete], "{scopes:?}");
    }
    let nobody = hooked.scene.api("GET", HOOKS, Auth::Nobody, None).await?;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

/// Fine-grained tokens need the permission for hooks, and are told which.
#[tokio::test]
async fn fine_grained_tokens_need_the_permission_for_hooks() -> Result<()> {
    let mut hooked = Hooked::start().await?;
    for (permission, status) in [("contents:read", 403), ("repository_hooks:write", 201)] {
        let kind = PatKind::FineGrained {
            owner: "ada",
            permissions: &["metadata:read", permission],
        };
        let pat = Pat {
            kind,
            expires_in: None,
        };
        hooked.token = hooked.scene.github.add_pat("ada", &pat)?;
        let body = hooked.new_hook(&["push"], "s3cr3t");
        let answer = hooked.api("POST", HOOKS, Some(body)).await?;
        assert_eq!(answer.status.as_u16(), status, "{permission}");
        if status == 403 {
            let wanted = answer.header("x-accepted-github-permissions");
            assert_eq!(wanted, Some("repository_hooks=write"));
        }
    }
    Ok(())
}

/// Those who do not administer a repository see none of its hooks.
#[tokio::test]
async fn hooks_are_for_administrators() -> Result<()> {
    let hooked = Hooked::start().await?;
    let github = &hooked.scene.github;
    let _bob = github.add_user("bob");
    github.add_collaborator("ada/engine", "bob", Permission::Push)?;
    let pat = Pat {
        kind: PatKind::Classic { scopes: &["repo"] },
        expires_in: None,
    };
    let token = github.add_pat("bob", &pat)?;
    let auth = Auth::Bearer(&token);
    assert_eq!(
        hooked.scene.api("GET", HOOKS, auth, None).await?.status,
        404
    );
    github.add_collaborator("ada/engine", "bob", Permission::Admin)?;
    let auth = Auth::Bearer(&token);
    assert_eq!(
        hooked.scene.api("GET", HOOKS, auth, None).await?.status,
        200
    );
    github.forbid_hooks(true);
    let auth = Auth::Bearer(&token);
    assert_eq!(
        hooked.scene.api("GET", HOOKS, auth, None).await?.status,
        403
    );
    Ok(())
}

/// A repository that was renamed keeps its hooks, and the redirect keeps the method.
#[tokio::test]
async fn hooks_of_a_renamed_repository_are_where_it_is_now() -> Result<()> {
    let hooked = Hooked::start().await?;
    let _id = hooked.hook(&["push"], "s3cr3t").await?;
    hooked.scene.github.rename("ada/engine", "motor")?;
    let body = json!({"events": ["create"], "config": {"url": "https://a.example.com"}});
    let moved = hooked.api("POST", HOOKS, Some(body)).await?;
    assert_eq!(moved.status, StatusCode::TEMPORARY_REDIRECT);
    let to = Url::parse(moved.header("location").context("no location")?)?;
    assert!(to.path().ends_with("/hooks"), "{to}");
    let bearer = format!("Bearer {}", hooked.token);
    let request = Request::get("/").header("authorization", bearer);
    let list = hooked.scene.send(&to, request.body(String::new())?).await?;
    assert_eq!(list.json.as_array().map(Vec::len), Some(1));
    Ok(())
}

/// An organization that restricts applications keeps theirs from making hooks, also in public repositories.
#[tokio::test]
async fn trap_2_restricted_organizations_let_no_app_hook() -> Result<()> {
    let hooked = Hooked::start().await?;
    let github = &hooked.scene.github;
    let closed = OrgOptions {
        restricted: true,
        ..OrgOptions::default()
    };
    let _org = github.add_org("closed", closed);
    github.add_member("closed", "ada", Role::Owner)?;
    let _id = github.add_repo("closed", "open-source", false, &[])?;
    let tokens = hooked.scene.tokens("repo read:org").await?;
    let token = tokens.text_at("access_token")?;
    let path = "/repos/closed/open-source/hooks";
    let body = || Some(hooked.new_hook(&["push"], "s3cr3t"));
    let auth = Auth::Bearer(&token);
    let refused = hooked.scene.api("POST", path, auth, body()).await?;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let said = refused.text_at("message")?;
    assert!(said.contains("OAuth App access restrictions"), "{said}");
    github.approve_app("closed", &hooked.scene.app.client_id)?;
    let auth = Auth::Bearer(&token);
    assert_eq!(
        hooked.scene.api("POST", path, auth, body()).await?.status,
        201
    );
    Ok(())
}

/// A reply that is lost leaves a hook there.
#[tokio::test]
async fn a_lost_reply_leaves_a_hook() -> Result<()> {
    let hooked = Hooked::start().await?;
    let github = &hooked.scene.github;
    github.lose_next_hook_create(Lost::Closed);
    let body = hooked.new_hook(&["push"], "s3cr3t");
    assert!(
        hooked.api("POST", HOOKS, Some(body)).await.is_err(),
        "an answer came"
    );
    assert_eq!(github.hooks_pointing_at(&hooked.receiver.url("/hooks/")), 1);
    github.lose_next_hook_create(Lost::Status(500));
    let body = json!({"config": {"url": "https://a.example.com"}});
    assert_eq!(hooked.api("POST", HOOKS, Some(body)).await?.status, 500);
    assert_eq!(github.hooks("ada/engine").len(), 2);
    let list = hooked.api("GET", HOOKS, None).await?;
    assert_eq!(list.status, StatusCode::OK, "only creations are lost");
    Ok(())
}
