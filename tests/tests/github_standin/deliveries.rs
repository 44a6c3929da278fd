//! What hooks are told, in which words, and how deliveries are asked for once more.

use anyhow::{Context, Result};
use bindery_tests::receiver::Received;
use bindery_twins::hooks::{RefChange, Target, Why, ZEROS, sign};
use http::StatusCode;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::hooks::{HOOKS, Hooked};

const SECRET: &str = "s3cr3t";
const ALL: [&str; 4] = ["push", "create", "delete", "repository"];

impl Hooked {
    /// What came since this was asked last, as event and ref
    async fn told(&self) -> Vec<(String, String)> {
        let got = self.taken().await;
        got.iter().map(|one| (event(one), reference(one))).collect()
    }

    async fn taken(&self) -> Vec<Received> {
        self.scene.github.deliveries_done().await;
        self.receiver.take()
    }
}

fn event(received: &Received) -> String {
    received
        .header("x-github-event")
        .unwrap_or_default()
        .to_owned()
}

fn reference(received: &Received) -> String {
    received.json()["ref"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = expected.iter();
    owned
        .map(|(event, name)| ((*event).to_owned(), (*name).to_owned()))
        .collect()
}

/// A new hook is told `ping`, signed, and again whenever somebody asks.
#[tokio::test]
async fn a_hook_is_pinged() -> Result<()> {
    let hooked = Hooked::start().await?;
    let body = hooked.new_hook(&["push"], SECRET);
    let made = hooked.api("POST", HOOKS, Some(body)).await?;
    let path = format!("{HOOKS}/{}/pings", made.json["id"]);
    assert_eq!(hooked.api("POST", &path, None).await?.status, 204);
    let pings = hooked.taken().await;
    assert_eq!(pings.len(), 2);
    for ping in pings {
        assert_eq!(ping.path, "/hooks/1");
        assert_eq!(ping.header("x-github-event"), Some("ping"));
        assert_eq!(
            ping.header("x-github-hook-id"),
            Some(made.json["id"].to_string().as_str())
        );
        let signature = format!("sha256={}", sign::sha256_hex(SECRET, &ping.body));
        assert_eq!(ping.header("x-hub-signature-256"), Some(signature.as_str()));
        assert_eq!(ping.json()["hook"]["config"]["secret"], "********");
    }
    let got = hooked
        .api("GET", &format!("{HOOKS}/{}", made.json["id"]), None)
        .await?;
    assert_eq!(got.json["last_response"]["code"], 200);
    Ok(())
}

/// A tag is told twice, as `push` with its full name and as `create` with the short one; so is its end.
#[tokio::test]
async fn trap_1_a_tag_makes_two_events() -> Result<()> {
    let hooked = Hooked::start().await?;
    let _id = hooked.hook(&ALL, SECRET).await?;
    let github = &hooked.scene.github;
    github.add_tag("ada/engine", "v2.0.0", true)?;
    let got = hooked.taken().await;
    let told: Vec<_> = got.iter().map(|one| (event(one), reference(one))).collect();
    assert_eq!(
        told,
        pairs(&[("push", "refs/tags/v2.0.0"), ("create", "v2.0.0")])
    );
    let push = got[0].json();
    // The tag object is not the commit.
    assert_ne!(push["after"], push["head_commit"]["id"]);
    assert_eq!(push["before"], ZEROS);
    assert_eq!(push["base_ref"], "refs/heads/develop");
    let tag = push["after"].clone();
    github.remove_refs("ada/engine", &["refs/tags/v2.0.0"])?;
    let got = hooked.taken().await;
    let told: Vec<_> = got.iter().map(|one| (event(one), reference(one))).collect();
    assert_eq!(
        told,
        pairs(&[("push", "refs/tags/v2.0.0"), ("delete", "v2.0.0")])
    );
    let push = got[0].json();
    assert_eq!((&push["before"], &push["deleted"]), (&tag, &json!(true)));
    assert_eq!(
        (&push["after"], &push["head_commit"]),
        (&json!(ZEROS), &Value::Null)
    );
    Ok(())
}

/// More than three tags at once are told to nobody; the same number one by one are.
#[tokio::test]
async fn trap_1_more_than_three_tags_are_dropped() -> Result<()> {
    let hooked = Hooked::start().await?;
    let _id = hooked.hook(&ALL, SECRET).await?;
    let github = &hooked.scene.github;
    github.add_tags("ada/engine", &["a", "b", "c"], false)?;
    assert_eq!(hooked.told().await.len(), 6);
    github.add_tags("ada/engine", &["d", "e", "f", "g"], false)?;
    assert_eq!(hooked.told().await, []);
    github.add_branches("ada/engine", &["one", "two", "three", "four"])?;
    assert_eq!(hooked.told().await.len(), 8);
    Ok(())
}

/// A push names its commits with their files; a forced one says so.
#[tokio::test]
async fn a_push_names_its_commits() -> Result<()> {
    let hooked = Hooked::start().await?;
    let _id = hooked.hook(&ALL, SECRET).await?;
    let github = &hooked.scene.github;
    let hash = github.commit("ada/engine", "main", ("docs/a.md", "a"))?;
    let got = hooked.taken().await;
    let push = got[0].json();
    assert_eq!(push["ref"], "refs/heads/main");
    assert_eq!(
        (&push["after"], &push["forced"]),
        (&json!(hash), &json!(false))
    );
    assert_eq!(push["commits"].as_array().map(Vec::len), Some(1));
    assert_eq!(push["commits"][0]["added"], json!(["docs/a.md"]));
    assert_eq!(push["head_commit"]["id"], json!(hash));
    assert_eq!(push["pusher"]["name"], "ada");
    let before = push["before"].as_str().context("no before")?.to_owned();
    github.force("ada/engine", "refs/heads/main", &before)?;
    let push = hooked.taken().await[0].json();
    assert_eq!(
        (&push["after"], &push["forced"]),
        (&json!(before), &json!(true))
    );
    Ok(())
}

/// A form holds the JSON, and what is signed is the form.
#[tokio::test]
async fn trap_1_forms_are_signed_as_they_are_sent() -> Result<()> {
    let hooked = Hooked::start().await?;
    let id = hooked.hook(&["push"], SECRET).await?;
    hooked
        .scene
        .github
        .change_hook(id, |hook| hook.form = true)?;
    let _hash = hooked
        .scene
        .github
        .commit("ada/engine", "main", ("a", "a"))?;
    let got = hooked.taken().await;
    let kind = got[0].header("content-type");
    assert_eq!(kind, Some("application/x-www-form-urlencoded"));
    let signature = format!("sha256={}", sign::sha256_hex(SECRET, &got[0].body));
    assert_eq!(
        got[0].header("x-hub-signature-256"),
        Some(signature.as_str())
    );
    let mut fields = form_urlencoded::parse(&got[0].body);
    let (name, payload) = fields.next().context("no field")?;
    assert_eq!(name, "payload");
    let payload: Value = serde_json::from_str(&payload)?;
    assert_eq!(payload["ref"], "refs/heads/main");
    Ok(())
}

/// Nothing is signed without a secret, nothing sent to an inactive hook, and nothing that the hook is not for.
#[tokio::test]
async fn hooks_get_what_they_are_for() -> Result<()> {
    let hooked = Hooked::start().await?;
    let id = hooked.hook(&["create"], SECRET).await?;
    let github = &hooked.scene.github;
    github.add_branches("ada/engine", &["one"])?;
    assert_eq!(hooked.told().await, pairs(&[("create", "one")]));
    github.change_hook(id, |hook| hook.secret = None)?;
    github.add_branches("ada/engine", &["two"])?;
    let got = hooked.taken().await;
    assert_eq!(got[0].header("x-hub-signature-256"), None);
    github.disable_hook(id);
    github.add_branches("ada/engine", &["three"])?;
    assert_eq!(hooked.told().await, []);
    assert_eq!(
        github.dropped_deliveries().last().map(|one| one.why),
        Some(Why::Disabled)
    );
    Ok(())
}

/// A repository's new name, new owner and end are told.
#[tokio::test]
async fn moves_are_told() -> Result<()> {
    let hooked = Hooked::start().await?;
    let _id = hooked.hook(&ALL, SECRET).await?;
    let github = &hooked.scene.github;
    github.rename("ada/engine", "motor")?;
    let renamed = hooked.taken().await[0].json();
    assert_eq!(renamed["action"], "renamed");
    assert_eq!(renamed["changes"]["repository"]["name"]["from"], "engine");
    assert_eq!(renamed["repository"]["full_name"], "ada/motor");
    github.transfer("ada/motor", "analytical")?;
    let moved = hooked.taken().await[0].json();
    assert_eq!(moved["action"], "transferred");
    assert_eq!(moved["changes"]["owner"]["from"]["user"]["login"], "ada");
    assert_eq!(moved["repository"]["full_name"], "analytical/motor");
    github.delete_repo("analytical/motor")?;
    let gone = hooked.taken().await[0].json();
    assert_eq!(gone["action"], "deleted");
    assert_eq!(github.hooks_pointing_at("http"), 0);
    Ok(())
}

/// What failed stays failed until somebody asks for it once more, under the same name and signed anew.
#[tokio::test]
async fn trap_2_nothing_is_tried_again_by_itself() -> Result<()> {
    let hooked = Hooked::start().await?;
    let id = hooked.hook(&["push"], SECRET).await?;
    let github = &hooked.scene.github;
    hooked.receiver.answer_next(&[503]);
    let _hash = github.commit("ada/engine", "main", ("a", "a"))?;
    let first = hooked.taken().await;
    assert_eq!(first.len(), 1);
    let deliveries = format!("{HOOKS}/{id}/deliveries");
    let failed = hooked
        .api("GET", &format!("{deliveries}?status=failure"), None)
        .await?;
    assert_eq!(failed.json.as_array().map(Vec::len), Some(1));
    let failed = &failed.json[0];
    assert_eq!(
        (&failed["status_code"], &failed["event"]),
        (&json!(503), &json!("push"))
    );
    assert_eq!(failed["redelivery"], false);
    github.change_hook(id, |hook| hook.secret = Some("new".to_owned()))?;
    let one = format!("{deliveries}/{}", failed["id"]);
    let full = hooked.api("GET", &one, None).await?;
    assert_eq!(full.json["request"]["payload"], first[0].json());
    let again = hooked.api("POST", &format!("{one}/attempts"), None).await?;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    let second = hooked.taken().await;
    assert_eq!(
        second[0].header("x-github-delivery"),
        first[0].header("x-github-delivery")
    );
    assert_eq!(second[0].json(), first[0].json());
    let signature = format!("sha256={}", sign::sha256_hex("new", &second[0].body));
    assert_eq!(
        second[0].header("x-hub-signature-256"),
        Some(signature.as_str())
    );
    let list = hooked
        .api("GET", &format!("{deliveries}?per_page=1"), None)
        .await?;
    assert_eq!(list.json[0]["redelivery"], true);
    assert_eq!(list.json[0]["guid"], failed["guid"]);
    let next = list.header("link").context("no more pages")?;
    assert!(next.contains("cursor="), "{next}");
    Ok(())
}

/// Deliveries that fail on their way are listed; those that vanish are not; after three days all are forgotten.
#[tokio::test]
async fn lost_deliveries_are_listed_for_three_days() -> Result<()> {
    let hooked = Hooked::start().await?;
    let id = hooked.hook(&["push"], SECRET).await?;
    let github = &hooked.scene.github;
    github.fail_next_deliveries(1);
    let _hash = github.commit("ada/engine", "main", ("a", "a"))?;
    github.drop_next_deliveries(1);
    let _hash = github.commit("ada/engine", "main", ("b", "b"))?;
    assert_eq!(hooked.told().await, []);
    let deliveries = format!("{HOOKS}/{id}/deliveries?status=failure");
    let failed = hooked.api("GET", &deliveries, None).await?;
    assert_eq!(failed.json.as_array().map(Vec::len), Some(1));
    assert_eq!(failed.json[0]["status_code"], 502);
    github.set_clock_offset(3 * 86_400 + 60);
    let later = hooked.api("GET", &deliveries, None).await?;
    assert_eq!(later.json, json!([]));
    Ok(())
}

/// A test sends the latest push to those who are for pushes, and nothing to others.
#[tokio::test]
async fn trap_2_a_test_is_a_push() -> Result<()> {
    let hooked = Hooked::start().await?;
    let id = hooked.hook(&["push"], SECRET).await?;
    let path = format!("{HOOKS}/{id}/tests");
    assert_eq!(hooked.api("POST", &path, None).await?.status, 204);
    assert_eq!(hooked.told().await, pairs(&[("push", "refs/heads/main")]));
    let change = json!({"events": ["create"]});
    let _changed = hooked
        .api("PATCH", &format!("{HOOKS}/{id}"), Some(change))
        .await?;
    assert_eq!(hooked.api("POST", &path, None).await?.status, 204);
    assert_eq!(hooked.told().await, []);
    Ok(())
}

/// Hooks that an application made in private repositories of an organization say nothing once it is not let in any more.
#[tokio::test]
async fn trap_2_hooks_of_apps_that_were_shut_out_are_silent() -> Result<()> {
    let hooked = Hooked::start().await?;
    let github = &hooked.scene.github;
    let closed = bindery_tests::github::OrgOptions {
        restricted: true,
        ..Default::default()
    };
    let _org = github.add_org("closed", closed);
    github.add_member("closed", "ada", bindery_tests::github::Role::Owner)?;
    let _id = github.add_repo("closed", "secret", true, &[("a", "a")])?;
    let url = hooked.receiver.url("/hooks/1");
    let id = github.plant_hook("closed/secret", &url, &["push"])?;
    let app = hooked.scene.app.client_id.clone();
    github.change_hook(id, |hook| {
        hook.extra.insert("app".to_owned(), app.clone().into());
    })?;
    let _hash = github.commit("closed/secret", "main", ("b", "b"))?;
    assert_eq!(hooked.told().await, []);
    github.approve_app("closed", &app)?;
    let _hash = github.commit("closed/secret", "main", ("c", "c"))?;
    assert_eq!(hooked.told().await, pairs(&[("push", "refs/heads/main")]));
    Ok(())
}

/// A push of which git knows nothing is told as well, and one that is too large is not.
#[tokio::test]
async fn trap_2_too_large_a_push_is_not_told() -> Result<()> {
    let hooked = Hooked::start().await?;
    let _id = hooked.hook(&["push"], SECRET).await?;
    let github = &hooked.scene.github;
    let hash = "89ff3d2b0d8a3c7f1e2d3c4b5a69788796a5b4c3";
    let mut change = RefChange::created("refs/heads/wide", Target::commit(hash));
    github.announce_push("ada/engine", "ada", vec![change.clone()])?;
    assert_eq!(hooked.told().await, pairs(&[("push", "refs/heads/wide")]));
    change.commits = vec![bindery_twins::hooks::Commit {
        id: hash.to_owned(),
        message: "x".repeat(26 * 1024 * 1024),
        ..Default::default()
    }];
    github.announce_push("ada/engine", "ada", vec![change])?;
    assert_eq!(hooked.told().await, []);
    assert_eq!(
        github.dropped_deliveries().last().map(|one| one.why),
        Some(Why::TooLarge)
    );
    Ok(())
}

/// Deliveries have the keys of recorded ones, of the same types.
#[tokio::test]
async fn deliveries_are_like_recorded_ones() -> Result<()> {
    let Some(folder) = crate::corpus::github() else {
        return Ok(());
    };
    let hooked = Hooked::start().await?;
    let body = hooked.new_hook(&ALL, SECRET);
    let _made = hooked.api("POST", HOOKS, Some(body)).await?;
    let mut got = hooked.taken().await;
    let github = &hooked.scene.github;
    let _hash = github.commit("ada/engine", "main", ("a", "a"))?;
    got.extend(hooked.taken().await);
    github.add_tag("ada/engine", "v2", false)?;
    github.remove_refs("ada/engine", &["refs/tags/v2"])?;
    got.extend(hooked.taken().await);
    github.rename("ada/engine", "motor")?;
    got.extend(hooked.taken().await);
    let cases = [
        ("ghes-35.ping.payload.json", "ping"),
        ("api.github.com.push.with-no-username-committer", "push"),
        ("api.github.com.create.payload.json", "create"),
        ("ghes-35.delete.payload.json", "delete"),
    ];
    for (name, wanted) in cases {
        let file = folder.join(format!("webhooks/octokit.{name}.json"));
        let mut known = crate::corpus::read(&file)?;
        // Only apps and enterprises have these.
        for member in ["installation", "enterprise"] {
            let _other = known.as_object_mut().context("no object")?.remove(member);
        }
        let found = got.iter().find(|one| event(one) == wanted);
        let found = found.with_context(|| format!("no {wanted}"))?;
        crate::corpus::same_shape(&found.json(), &known, name);
    }
    Ok(())
}
