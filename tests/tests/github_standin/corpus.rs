//! The stand-in next to recorded answers of the real GitHub, and to its official description

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bindery_tests::github::{ApiPlace, Options, Pat, PatKind};
use serde_json::{Value, json};

use crate::scene::{Answer, Auth, SCOPE, Scene};

/// Names the folder with recordings and descriptions
const CORPUS: &str = "BINDERY_CORPUS";

/// Keys of the recordings that GitHub has dropped since, or that only the recorder added
const GONE: [&str; 2] = ["connection", "content-length"];

pub(crate) fn github() -> Option<PathBuf> {
    let Some(folder) = std::env::var_os(CORPUS).filter(|folder| !folder.is_empty()) else {
        bindery_tests::not_run(&format!("not run: {CORPUS} is not set"));
        return None;
    };
    Some(PathBuf::from(folder).join("github"))
}

/// GitHub's own description of its API; none where the recordings are not at hand
pub(crate) fn description() -> anyhow::Result<Option<Value>> {
    let file = github().map(|folder| folder.join("openapi/api.github.com.trimmed.json"));
    file.map(|file| read(&file)).transpose()
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("{} can't be read", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// The recorded exchange with this method, status, and path
fn recorded(folder: &Path, name: &str, path: &str, status: u16) -> anyhow::Result<Value> {
    let file = folder.join(format!("api/octokit-fixtures.{name}.exchange.json"));
    let exchanges = read(&file)?;
    let mut exchanges = exchanges.as_array().context("no list")?.iter();
    let found = exchanges.find(|exchange| {
        exchange["method"] == "get" && exchange["path"] == path && exchange["status"] == status
    });
    found
        .cloned()
        .with_context(|| format!("{name} has no {path}"))
}

async fn scene() -> anyhow::Result<(Scene, String)> {
    let options = Options {
        api: ApiPlace::OwnHost,
        ..Options::default()
    };
    let scene = Scene::start(options).await?;
    let kind = PatKind::Classic {
        scopes: &["repo", "read:org", "user"],
    };
    let pat = Pat {
        kind,
        expires_in: None,
    };
    let token = scene.github.add_pat("ada", &pat)?;
    Ok((scene, token))
}

/// Everything that a recorded answer has, the stand-in's has as well, of the same type
fn resembles(answer: &Answer, recorded: &Value) {
    let path = recorded["path"].as_str().unwrap_or_default();
    assert_eq!(answer.status.as_u16(), recorded["status"], "{path}");
    let headers = recorded["headers"].as_object().expect("headers");
    for name in headers.keys().filter(|name| !GONE.contains(&name.as_str())) {
        assert!(
            answer.headers.contains_key(name),
            "{path}: no header {name}"
        );
    }
    let same = [
        "content-type",
        "x-github-media-type",
        "x-accepted-oauth-scopes",
    ];
    for name in same.into_iter().filter(|name| headers.contains_key(*name)) {
        assert_eq!(
            answer.header(name),
            headers[name].as_str(),
            "{path}: {name}"
        );
    }
    same_shape(&answer.json, &recorded["response"], path);
}

pub(crate) fn same_shape(ours: &Value, theirs: &Value, at: &str) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                let own = ours.get(key).unwrap_or_else(|| panic!("{at}: no {key}"));
                same_shape(own, value, &format!("{at}.{key}"));
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            if let (Some(ours), Some(theirs)) = (ours.first(), theirs.first()) {
                same_shape(ours, theirs, &format!("{at}[]"));
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        _ => assert_eq!(
            std::mem::discriminant(ours),
            std::mem::discriminant(theirs),
            "{at}: {ours} instead of {theirs}"
        ),
    }
}

/// A repository's answer has the headers, keys and types of the recorded one
#[tokio::test]
async fn a_repository_is_like_the_recorded_one() -> anyhow::Result<()> {
    let Some(folder) = github() else {
        return Ok(());
    };
    let path = "/repos/octokit-fixture-org/hello-world";
    let recorded = recorded(&folder, "get-repository", path, 200)?;
    let (scene, token) = scene().await?;
    let answer = scene
        .get("/repos/analytical/notes", Auth::Bearer(&token))
        .await?;
    resembles(&answer, &recorded);
    let full_name = answer.json["full_name"].as_str();
    assert_eq!(full_name, Some("analytical/notes"));
    Ok(())
}

/// A renamed repository redirects to its number, as recorded, and the number leads to it
#[tokio::test]
async fn a_renamed_repository_is_like_the_recorded_one() -> anyhow::Result<()> {
    let Some(folder) = github() else {
        return Ok(());
    };
    let path = "/repos/octokit-fixture-org/rename-repository";
    let moved = recorded(&folder, "rename-repository", path, 301)?;
    let numbered = recorded(&folder, "rename-repository", "/repositories/1000", 200)?;
    let (scene, token) = scene().await?;
    scene.github.rename("analytical/notes", "papers")?;
    let answer = scene
        .get("/repos/analytical/notes", Auth::Bearer(&token))
        .await?;
    resembles(&answer, &moved);
    assert_eq!(answer.json["message"], moved["response"]["message"]);
    let location = answer.header("location").context("no location")?;
    assert_eq!(answer.json["url"], location);
    let target = location
        .strip_prefix(scene.base().as_str())
        .context("another host")?;
    let number = target.strip_prefix("/repositories/").context("no number")?;
    assert!(number.parse::<u64>().is_ok(), "{number}");
    let answer = scene.get(target, Auth::Bearer(&token)).await?;
    resembles(&answer, &numbered);
    assert_eq!(answer.json["name"], "papers");
    Ok(())
}

/// A list of references has the keys and types of the recorded one
#[tokio::test]
async fn references_are_like_the_recorded_ones() -> anyhow::Result<()> {
    let Some(folder) = github() else {
        return Ok(());
    };
    let path = "/repos/octokit-fixture-org/git-refs/git/refs/";
    let recorded = recorded(&folder, "git-refs", path, 200)?;
    let (scene, token) = scene().await?;
    let path = "/repos/ada/engine/git/matching-refs/heads";
    let answer = scene.get(path, Auth::Bearer(&token)).await?;
    same_shape(&answer.json, &recorded["response"], path);
    Ok(())
}

/// Every successful answer is valid under GitHub's own description of that answer
#[tokio::test]
async fn answers_fit_the_official_description() -> anyhow::Result<()> {
    let Some(folder) = github() else {
        return Ok(());
    };
    let description = read(&folder.join("openapi/api.github.com.trimmed.json"))?;
    let (scene, token) = scene().await?;
    for (described, path) in [
        ("/user", "/user"),
        ("/user/orgs", "/user/orgs"),
        ("/user/repos", "/user/repos"),
        ("/orgs/{org}", "/orgs/analytical"),
        ("/orgs/{org}/repos", "/orgs/analytical/repos"),
        ("/repos/{owner}/{repo}", "/repos/ada/engine"),
        (
            "/repos/{owner}/{repo}/branches",
            "/repos/ada/engine/branches",
        ),
        (
            "/repos/{owner}/{repo}/branches/{branch}",
            "/repos/ada/engine/branches/main",
        ),
        ("/repos/{owner}/{repo}/tags", "/repos/ada/engine/tags"),
        (
            "/repos/{owner}/{repo}/git/matching-refs/{ref}",
            "/repos/ada/engine/git/matching-refs/tags",
        ),
        (
            "/repos/{owner}/{repo}/git/ref/{ref}",
            "/repos/ada/engine/git/ref/tags/v1.0.0",
        ),
        ("/meta", "/meta"),
        ("/rate_limit", "/rate_limit"),
    ] {
        let answer = scene.get(path, Auth::Bearer(&token)).await?;
        ensure!(answer.status == 200, "{path}: {}", answer.text);
        let filled = answer.json.as_array().is_none_or(|list| !list.is_empty());
        ensure!(filled, "{path}: an empty list proves nothing");
        let schema = schema(&description, described, "get", "200")?;
        fits(&description, schema, &answer.json).with_context(|| path.to_owned())?;
    }
    let code = scene.tokens(SCOPE).await?.text_at("access_token")?;
    let app = Auth::Basic(&scene.app.client_id, &scene.app.client_secret);
    let path = format!("/applications/{}/token", scene.app.client_id);
    let body = json!({ "access_token": code });
    let answer = scene.api("POST", &path, app, Some(body)).await?;
    let schema = schema(
        &description,
        "/applications/{client_id}/token",
        "post",
        "200",
    )?;
    fits(&description, schema, &answer.json)
}

/// The errors that are served have the keys that GitHub's description of errors has
#[tokio::test]
async fn errors_fit_the_official_description() -> anyhow::Result<()> {
    let Some(folder) = github() else {
        return Ok(());
    };
    let description = read(&folder.join("openapi/api.github.com.trimmed.json"))?;
    let (scene, token) = scene().await?;
    let basic = &description["components"]["schemas"]["basic-error"];
    for (path, auth, status) in [
        ("/user", Auth::Nobody, 401),
        ("/user", Auth::Bearer("gho_wrong"), 401),
        ("/repos/ada/nothing", Auth::Bearer(&token), 404),
    ] {
        let answer = scene.get(path, auth).await?;
        ensure!(answer.status == status, "{path}: {}", answer.text);
        fits(&description, basic, &answer.json)?;
        let keys: BTreeSet<_> = answer
            .json
            .as_object()
            .context("no object")?
            .keys()
            .collect();
        ensure!(keys.len() == 3, "{keys:?}");
    }
    Ok(())
}

/// The schema of an answer
pub(crate) fn schema<'a>(
    all: &'a Value,
    path: &str,
    method: &str,
    status: &str,
) -> anyhow::Result<&'a Value> {
    let answer = resolve(all, &all["paths"][path][method]["responses"][status]);
    let schema = &answer["content"]["application/json"]["schema"];
    ensure!(schema.is_object(), "{path} isn't described");
    Ok(schema)
}

fn resolve<'a>(all: &'a Value, value: &'a Value) -> &'a Value {
    let target = value["$ref"]
        .as_str()
        .and_then(|target| target.strip_prefix('#'));
    target.map_or(value, |target| all.pointer(target).unwrap_or(&Value::Null))
}

/// As much of JSON Schema as the description uses for answers
pub(crate) fn fits(all: &Value, schema: &Value, value: &Value) -> anyhow::Result<()> {
    let schema = resolve(all, schema);
    ensure!(
        schema.is_object() || schema.is_boolean(),
        "a reference leads nowhere"
    );
    if value.is_null() && schema["nullable"] == true {
        return Ok(());
    }
    for part in list(&schema["allOf"]) {
        fits(all, part, value)?;
    }
    for choice in ["anyOf", "oneOf"] {
        let options = list(&schema[choice]);
        let outcomes: Vec<_> = options
            .iter()
            .map(|option| fits(all, option, value))
            .collect();
        if !outcomes.is_empty() && outcomes.iter().all(Result::is_err) {
            return outcomes.into_iter().collect();
        }
    }
    type_fits(schema, value)?;
    if let Some(object) = value.as_object() {
        for key in list(&schema["required"]).iter().filter_map(Value::as_str) {
            ensure!(object.contains_key(key), "{key} is missing");
        }
        for (key, value) in object {
            let property = &schema["properties"][key];
            if property.is_object() {
                fits(all, property, value).with_context(|| key.clone())?;
            }
        }
    }
    for item in list(value) {
        if schema["items"].is_object() {
            fits(all, &schema["items"], item)?;
        }
    }
    Ok(())
}

fn type_fits(schema: &Value, value: &Value) -> anyhow::Result<()> {
    let right = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        _ => true,
    };
    ensure!(right, "{value} isn't of the type {}", schema["type"]);
    let allowed = list(&schema["enum"]);
    ensure!(
        allowed.is_empty() || allowed.contains(value),
        "{value} isn't allowed"
    );
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
