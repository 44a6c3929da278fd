//! Words of fixtures as values of messages

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use bindery_core::provider::OperationKind;
use bindery_host::manifest::operation_name;
use bindery_plugin_proto::v1::{self, operation_request::Input};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// All operations.
pub(crate) const OPERATIONS: [OperationKind; 19] = OperationKind::ALL;

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

/// Input of the operations about hooks: each reads the members that it has.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Hook {
    repository: String,
    hook_id: String,
    url: String,
    scheme: String,
    sent_id: String,
    since_unix_ms: u64,
    max_pages: u32,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Delivery {
    event: String,
    headers: BTreeMap<String, String>,
    body: Value,
    /// Read by the fixture, which knows its folder.
    body_file: Option<PathBuf>,
}

/// Names the file of a delivery's body, where it is in one.
pub(crate) fn body_file(operation: &str, input: &Value) -> Option<PathBuf> {
    let named = input.get("body_file").and_then(Value::as_str);
    named
        .filter(|_| operation == operation_name(OperationKind::ParseDelivery))
        .map(PathBuf::from)
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
        OperationKind::ParseDelivery => delivery(parse(value)?)?,
        kind => hook(kind, parse(value)?)?,
    })
}

fn hook(kind: OperationKind, input: Hook) -> Result<Input> {
    let Hook {
        repository,
        hook_id,
        url,
        scheme,
        sent_id,
        since_unix_ms,
        max_pages,
    } = input;
    Ok(match kind {
        OperationKind::ListHooks => Input::ListHooks(v1::ListHooks {
            repository,
            max_pages,
        }),
        OperationKind::CreateHook => Input::CreateHook(v1::CreateHook {
            repository,
            url,
            scheme,
        }),
        OperationKind::UpdateHook => Input::UpdateHook(v1::UpdateHook {
            repository,
            hook_id,
            url,
            scheme,
        }),
        OperationKind::DeleteHook => Input::DeleteHook(v1::DeleteHook {
            repository,
            hook_id,
        }),
        OperationKind::PingHook => Input::PingHook(v1::PingHook {
            repository,
            hook_id,
            url,
        }),
        OperationKind::ListDeliveries => Input::ListDeliveries(v1::ListDeliveries {
            repository,
            hook_id,
            since_unix_ms,
        }),
        OperationKind::Redeliver => Input::Redeliver(v1::Redeliver {
            repository,
            hook_id,
            sent_id,
        }),
        other => bail!("{} is not about hooks", operation_name(other)),
    })
}

fn delivery(input: Delivery) -> Result<Input> {
    ensure!(
        input.body.is_null() || input.body_file.is_none(),
        "a delivery has one of 'body' and 'body_file'"
    );
    let headers = input.headers.into_iter();
    let headers = headers.map(|(name, value)| v1::PlainHeader { name, value });
    Ok(Input::ParseDelivery(v1::ParseDelivery {
        event: input.event,
        headers: headers.collect(),
        body: match input.body {
            Value::Null => Vec::new(),
            Value::String(text) => text.into_bytes(),
            other => other.to_string().into_bytes(),
        },
    }))
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
