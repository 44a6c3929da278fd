//! Words of fixtures as values of messages

use anyhow::{Context as _, Result, bail};
use bindery_core::provider::OperationKind;
use bindery_host::manifest::operation_name;
use bindery_plugin_proto::v1::{self, operation_request::Input};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// All operations.
pub(crate) const OPERATIONS: [OperationKind; 11] = OperationKind::ALL;

pub(crate) fn operation(name: &str) -> Result<OperationKind> {
    let found = OPERATIONS
        .into_iter()
        .find(|kind| operation_name(*kind) == name);
    found.with_context(|| format!("'{name}' is no operation"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct List {
    owner: String,
    query: String,
    page_size: u32,
    cursor: String,
    max_pages: u32,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Organizations {
    page_size: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Get {
    repository: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refs {
    repository: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    page_size: u32,
    #[serde(default)]
    cursor: String,
    #[serde(default)]
    max_pages: u32,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Revoke {
    whole_grant: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Mint {
    repositories: Vec<String>,
    permissions: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rotate {
    expire_unix: i64,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Installation {
    installation_id: String,
    as_person: bool,
}

fn parse<T: DeserializeOwned>(input: &Value) -> Result<T> {
    let input = if input.is_null() {
        json!({})
    } else {
        input.clone()
    };
    serde_json::from_value(input).context("its input makes no sense")
}

/// The input of an operation.
pub(crate) fn input(name: &str, value: &Value) -> Result<Input> {
    Ok(match operation(name)? {
        OperationKind::Identify => {
            parse(value).map(|Nothing {}| Input::Identify(v1::Identify {}))?
        }
        OperationKind::InspectToken => {
            parse(value).map(|Nothing {}| Input::InspectToken(v1::InspectToken {}))?
        }
        OperationKind::ListOrganizations => {
            let Organizations { page_size } = parse(value)?;
            Input::ListOrganizations(v1::ListOrganizations { page_size })
        }
        OperationKind::ListRepositories => list(parse(value)?),
        OperationKind::GetRepository => {
            let Get { repository } = parse(value)?;
            Input::GetRepository(v1::GetRepository { repository })
        }
        OperationKind::ListRefs => refs(parse(value)?)?,
        OperationKind::Revoke => {
            let Revoke { whole_grant } = parse(value)?;
            Input::Revoke(v1::Revoke { whole_grant })
        }
        OperationKind::Probe => parse(value).map(|Nothing {}| Input::Probe(v1::Probe {}))?,
        OperationKind::MintToken => mint(parse(value)?)?,
        OperationKind::RotateToken => {
            let Rotate { expire_unix } = parse(value)?;
            Input::RotateToken(v1::RotateToken { expire_unix })
        }
        OperationKind::GetInstallation => {
            let Installation {
                installation_id,
                as_person,
            } = parse(value)?;
            Input::GetInstallation(v1::GetInstallation {
                installation_id,
                as_person,
            })
        }
    })
}

fn mint(input: Mint) -> Result<Input> {
    let permission = |name: &String| {
        let full = format!("PERMISSION_{}", name.to_ascii_uppercase());
        let known = v1::Permission::from_str_name(&full);
        known
            .map(i32::from)
            .with_context(|| format!("'{name}' is no permission"))
    };
    Ok(Input::MintToken(v1::MintToken {
        permissions: input
            .permissions
            .iter()
            .map(permission)
            .collect::<Result<_>>()?,
        repositories: input.repositories,
    }))
}

fn list(input: List) -> Input {
    Input::ListRepositories(v1::ListRepositories {
        owner: input.owner,
        query: input.query,
        page_size: input.page_size,
        cursor: input.cursor,
        max_pages: input.max_pages,
    })
}

fn refs(input: Refs) -> Result<Input> {
    let kind = match input.kind.as_str() {
        "" => v1::RefKind::Unspecified,
        "branch" => v1::RefKind::Branch,
        "tag" => v1::RefKind::Tag,
        other => bail!("'{other}' is no kind of ref; use 'branch' or 'tag'"),
    };
    Ok(Input::ListRefs(v1::ListRefs {
        repository: input.repository,
        kind: kind.into(),
        page_size: input.page_size,
        cursor: input.cursor,
        max_pages: input.max_pages,
    }))
}

pub(crate) fn auth_kind(name: &str) -> Result<v1::AuthKind> {
    let full = format!("AUTH_KIND_{}", name.to_ascii_uppercase());
    match name {
        "" => Ok(v1::AuthKind::Unspecified),
        _ => v1::AuthKind::from_str_name(&full)
            .with_context(|| format!("'{name}' is no way to authorize")),
    }
}

pub(crate) fn code(name: &str) -> Result<v1::Code> {
    v1::Code::from_str_name(&format!("CODE_{name}"))
        .with_context(|| format!("'{name}' is no code of a failure"))
}
