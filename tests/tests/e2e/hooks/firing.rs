//! Trigger URLs of a real daemon: people and scripts start a build with a token in a header.

use anyhow::{Context, Result, ensure};
use bindery_client::proto::v1::event::{Change, Origin};
use bindery_tests::{browser::Wire, forge::GitHubForge, inside::Changing};
use http::{Request, StatusCode, header::AUTHORIZATION};
use serde_json::{Value, json};
use url::Url;

use super::registry::Followed;
use crate::table::cli::{json as said, text};

/// A trigger as a script knows it.
struct Script {
    followed: Followed<GitHubForge>,
    url: Url,
    token: String,
    head: String,
}

impl Script {
    /// Made by command, for `main`.
    async fn start() -> Result<Self> {
        let forge = GitHubForge::start(false, None).await?;
        let head = forge.commit("main", ("NEWS.md", "first\n"))?;
        let followed = Followed::start(forge, 0).await?;
        let source = short(&followed.source.name);
        let add = [
            "trigger",
            "add",
            &source,
            "--id",
            "nightly",
            "--ref",
            "refs/heads/main",
        ];
        let made = said(&followed.world.daemon, &add)?;
        Ok(Self {
            url: text(&made, "/triggerUri")?.parse()?,
            token: text(&made, "/token")?.to_owned(),
            followed,
            head,
        })
    }

    /// What a `POST` to a URL is answered.
    async fn post(
        &self,
        url: &Url,
        header: Option<&str>,
        body: &str,
    ) -> Result<(StatusCode, Value)> {
        let mut request = Request::post(url.as_str());
        if let Some(value) = header {
            request = request.header(AUTHORIZATION, value);
        }
        let request = request.body(body.to_owned())?;
        let answer = Wire::plain()?.send(url, request).await?;
        let body = serde_json::from_slice(answer.body())?;
        Ok((answer.status(), body))
    }

    async fn fire(&self, token: &str, body: &str) -> Result<(StatusCode, Value)> {
        let header = format!("Bearer {token}");
        self.post(&self.url, Some(&header), body).await
    }

    /// The next event is a firing of this ref, at this commit.
    async fn is_fired(&mut self, reference: &str, commit: &str) -> Result<i64> {
        let event = self.followed.registry.next_firing().await?;
        let Some(Change::TriggerFired(firing)) = &event.change else {
            anyhow::bail!("{event:?}");
        };
        let name = format!("{}/triggers/nightly", self.followed.source.name);
        ensure!(
            (
                &firing.trigger,
                firing.r#ref.as_str(),
                firing.commit_id.as_str()
            ) == (&name, reference, commit),
            "{event:?}"
        );
        ensure!(firing.principal.is_none(), "{event:?}");
        ensure!(event.origin() == Origin::Trigger, "{event:?}");
        Ok(event.sequence)
    }
}

/// A source as the command line takes it: `acme/link/source`.
fn short(name: &str) -> String {
    let parts: Vec<_> = name.split('/').skip(1).step_by(2).collect();
    parts.join("/")
}

/// The token is in no URL; with it in the header the trigger's ref is built, or the one that the body names.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_header_fires_a_trigger() -> Result<()> {
    let mut script = Script::start().await?;
    ensure!(
        !script.url.as_str().contains(&script.token),
        "{}",
        script.url
    );
    let (status, body) = script.fire(&script.token, "").await?;
    let head = script.head.clone();
    let number = script.is_fired("refs/heads/main", &head).await?;
    ensure!(
        status == StatusCode::ACCEPTED && body == json!({"sequence": number}),
        "{status} {body}"
    );

    let tag = json!({"ref": "refs/tags/v1.0.0"}).to_string();
    let (status, body) = script.fire(&script.token, &tag).await?;
    ensure!(status == StatusCode::ACCEPTED, "{status} {body}");
    let fired = script.followed.registry.next_firing().await?;
    let Some(Change::TriggerFired(firing)) = fired.change else {
        anyhow::bail!("{fired:?}");
    };
    ensure!(
        firing.r#ref == "refs/tags/v1.0.0" && firing.commit_id.len() == 40,
        "{firing:?}"
    );
    Ok(())
}

/// Without the token in the header nothing is fired, and every refusal is the same.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fired_without_the_token_in_the_header() -> Result<()> {
    let mut script = Script::start().await?;
    let mut in_query = script.url.clone();
    in_query
        .query_pairs_mut()
        .append_pair("token", &script.token);
    let place = script.url.path().rsplit_once('/').context("no place")?.1;
    let elsewhere = script.url.as_str().replace(place, &"0".repeat(place.len()));
    let right = format!("Bearer {}", script.token);
    let other = format!("Bearer {}", script.token.to_uppercase());
    let basic = format!("Basic {}", script.token);
    let tries = [
        (script.url.clone(), None),
        (script.url.clone(), Some(other.as_str())),
        (script.url.clone(), Some("Bearer ")),
        (script.url.clone(), Some(basic.as_str())),
        (in_query, None),
        (elsewhere.parse()?, Some(right.as_str())),
    ];
    for (url, header) in tries {
        let (status, body) = script.post(&url, header, "").await?;
        let wanted = json!({"reason": "UNAUTHENTICATED"});
        ensure!(
            status == StatusCode::UNAUTHORIZED && body == wanted,
            "{url}: {status} {body}"
        );
    }
    let (status, body) = script.fire(&script.token, "").await?;
    let head = script.head.clone();
    let number = script.is_fired("refs/heads/main", &head).await?;
    ensure!(
        status == StatusCode::ACCEPTED && body == json!({"sequence": number}),
        "{status} {body}"
    );
    Ok(())
}

/// The token is rotated by command: with an overlap the old one fires too, without one only the new one does.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_trigger_rotates_by_command() -> Result<()> {
    let script = Script::start().await?;
    let trigger = format!("{}/nightly", short(&script.followed.source.name));
    let rotate = |overlap: &str| {
        let rotate = ["trigger", "rotate", &trigger, "--overlap", overlap];
        let made = said(&script.followed.world.daemon, &rotate)?;
        text(&made, "/token").map(str::to_owned)
    };
    let answers = async |tokens: [&String; 2]| -> Result<[u16; 2]> {
        let mut statuses = [0; 2];
        for (status, token) in statuses.iter_mut().zip(tokens) {
            *status = script.fire(token, "").await?.0.as_u16();
        }
        Ok(statuses)
    };
    let second = rotate("1h")?;
    let statuses = answers([&script.token, &second]).await?;
    ensure!(statuses == [202, 202], "{statuses:?}");
    let third = rotate("0s")?;
    let statuses = answers([&second, &third]).await?;
    ensure!(statuses == [401, 202], "{statuses:?}");
    Ok(())
}
