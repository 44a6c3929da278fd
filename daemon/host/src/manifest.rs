//! What a plugin's publisher says and signs
//!
//! The manifest is read before the plugin is: its name, its hashes, and above all which requests each operation may
//! ask for. A key that this version does not know is an error, since it might restrict something.

use std::collections::{BTreeMap, BTreeSet};

use bindery_core::{name::ProviderName, provider::OperationKind};
use serde::Deserialize;
use thiserror::Error;

use crate::{
    allowlist::{InvalidPattern, Pattern},
    digest::Digest,
    text,
    version::Version,
};

/// The processor and system that this daemon runs on, as manifests name them.
#[cfg(target_arch = "x86_64")]
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The processor and system that this daemon runs on, as manifests name them.
#[cfg(target_arch = "aarch64")]
pub const TARGET: &str = "aarch64-unknown-linux-gnu";
/// The processor and system that this daemon runs on, as manifests name them.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub const TARGET: &str = "unknown";

/// The library's file name.
pub const LIBRARY: &str = "plugin.so";

const MAX_SECRETS: usize = 32;
const MAX_PATTERNS: usize = 256;

/// A manifest that makes sense.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Name of the provider.
    pub name: ProviderName,
    /// Version of the plugin.
    pub version: Version,
    /// Lowest revision of the messages that it speaks.
    pub schema_min: u32,
    /// Highest revision of the messages that it speaks.
    pub schema_max: u32,
    /// Who made it.
    pub publisher: String,
    /// What it may be asked for.
    pub operations: Vec<OperationKind>,
    /// All secrets that it may name.
    pub secrets: BTreeSet<String>,
    /// What each operation may ask for.
    pub requests: BTreeMap<&'static str, Requests>,
    /// The library for this machine.
    pub artifact: Option<Artifact>,
}

/// What one operation may ask for.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    /// Methods and paths.
    pub allow: Vec<Pattern>,
    /// Secrets that it may name.
    pub secrets: BTreeSet<String>,
}

/// A library for one target.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Target triple.
    pub target: String,
    /// Name of the file: `plugin.so`.
    pub file: String,
    /// Its length.
    pub size: u64,
    /// Its hash.
    pub sha256: Digest,
    /// Lowest glibc that it runs with, for people.
    #[serde(default)]
    pub glibc: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    manifest: u32,
    name: String,
    version: Version,
    abi: String,
    schema: [u32; 2],
    publisher: String,
    operations: Vec<String>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    requests: Vec<RawRequests>,
    #[serde(default)]
    artifacts: Vec<Artifact>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequests {
    operation: String,
    allow: Vec<String>,
    #[serde(default)]
    secrets: Vec<String>,
}

/// What is wrong with a manifest.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// Not TOML, a missing or an unknown key.
    #[error("{0}")]
    Syntax(String),
    /// Another revision of the format.
    #[error("it has format {0} and this daemon reads format 1; upgrade the daemon")]
    Format(u32),
    /// The name is no provider's.
    #[error("'{0}' is not a plugin name; use 1 to 63 of a-z, 0-9 and '-'")]
    Name(String),
    /// Another boundary.
    #[error(
        "it was built for version {0} of the plugin boundary and this daemon speaks 1.x; rebuild the plugin"
    )]
    Abi(String),
    /// The range of schemas is empty.
    #[error("'schema' is [lowest, highest], both at least 1")]
    Schema,
    /// An operation that nobody knows.
    #[error("'{0}' is not an operation that this daemon knows")]
    UnknownOperation(String),
    /// The same operation twice.
    #[error("operation '{0}' stands there twice")]
    Twice(String),
    /// An operation that the plugin does not have.
    #[error("[[requests]] names operation '{0}', which 'operations' lacks")]
    NotDeclared(String),
    /// A name that can't be a secret's.
    #[error("'{0}' is not the name of a secret; use a-z, 0-9 and '_'")]
    SecretName(String),
    /// A secret that is not listed.
    #[error("operation '{operation}' may name secret '{secret}', which 'secrets' lacks")]
    SecretNotDeclared {
        /// The operation.
        operation: String,
        /// The secret.
        secret: String,
    },
    /// A pattern that says nothing clear.
    #[error(transparent)]
    Pattern(#[from] InvalidPattern),
    /// Too long.
    #[error("it has too many {0}")]
    TooMany(&'static str),
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// The first thing in it that makes no sense.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let source = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotText)?;
        let raw: Raw = toml::from_str(source)
            .map_err(|error| ManifestError::Syntax(text::clean(error.message(), text::MESSAGE)))?;
        check_head(&raw)?;
        let operations = operations(&raw.operations)?;
        let secrets = secret_names(&raw.secrets)?;
        let name = ProviderName::parse(&raw.name)
            .ok()
            .filter(|name| !name.as_str().contains('.'));
        let artifact = raw.artifacts.into_iter();
        Ok(Self {
            name: name.ok_or(ManifestError::Name(raw.name))?,
            version: raw.version,
            schema_min: raw.schema[0],
            schema_max: raw.schema[1],
            publisher: text::clean(&raw.publisher, 128),
            requests: requests(raw.requests, &operations, &secrets)?,
            operations,
            secrets,
            artifact: artifact
                .into_iter()
                .find(|a| a.target == TARGET && a.file == LIBRARY),
        })
    }

    /// The allowlist as lines for people, in a stable order: `list_refs: GET /x`, `list_refs: secret access_token`.
    #[must_use]
    pub fn request_lines(&self) -> BTreeSet<String> {
        let lines = |(name, requests): (&&'static str, &Requests)| {
            let allow = requests
                .allow
                .iter()
                .map(|pattern| format!("{name}: {pattern}"));
            let secrets = requests
                .secrets
                .iter()
                .map(|secret| format!("{name}: secret {secret}"));
            allow.chain(secrets).collect::<Vec<_>>()
        };
        self.requests.iter().flat_map(lines).collect()
    }
}

fn check_head(raw: &Raw) -> Result<(), ManifestError> {
    if raw.manifest != 1 {
        return Err(ManifestError::Format(raw.manifest));
    }
    if raw.abi.split('.').next() != Some("1") {
        return Err(ManifestError::Abi(text::clean(&raw.abi, 32)));
    }
    let [lowest, highest] = raw.schema;
    if lowest == 0 || highest < lowest {
        return Err(ManifestError::Schema);
    }
    Ok(())
}

fn operations(names: &[String]) -> Result<Vec<OperationKind>, ManifestError> {
    let mut operations = Vec::new();
    for name in names {
        let operation = operation(name)?;
        if operations.contains(&operation) {
            return Err(ManifestError::Twice(name.clone()));
        }
        operations.push(operation);
    }
    Ok(operations)
}

fn operation(name: &str) -> Result<OperationKind, ManifestError> {
    let found = OPERATIONS.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, kind)| *kind)
        .ok_or_else(|| ManifestError::UnknownOperation(text::clean(name, 64)))
}

fn secret_names(names: &[String]) -> Result<BTreeSet<String>, ManifestError> {
    if names.len() > MAX_SECRETS {
        return Err(ManifestError::TooMany("secrets"));
    }
    let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    let good = |name: &&String| (1..=64).contains(&name.len()) && name.bytes().all(word);
    match names.iter().find(|name| !good(name)) {
        Some(bad) => Err(ManifestError::SecretName(text::clean(bad, 64))),
        None => Ok(names.iter().cloned().collect()),
    }
}

fn requests(
    raw: Vec<RawRequests>,
    operations: &[OperationKind],
    secrets: &BTreeSet<String>,
) -> Result<BTreeMap<&'static str, Requests>, ManifestError> {
    let mut out = BTreeMap::new();
    for entry in raw {
        let operation = operation(&entry.operation)?;
        if !operations.contains(&operation) {
            return Err(ManifestError::NotDeclared(entry.operation));
        }
        let requests = one_operation(&entry, secrets)?;
        if out.insert(operation_name(operation), requests).is_some() {
            return Err(ManifestError::Twice(entry.operation));
        }
    }
    Ok(out)
}

fn one_operation(
    entry: &RawRequests,
    secrets: &BTreeSet<String>,
) -> Result<Requests, ManifestError> {
    if entry.allow.len() > MAX_PATTERNS {
        return Err(ManifestError::TooMany("patterns"));
    }
    let own = secret_names(&entry.secrets)?;
    if let Some(secret) = own.difference(secrets).next() {
        let (operation, secret) = (entry.operation.clone(), secret.clone());
        return Err(ManifestError::SecretNotDeclared { operation, secret });
    }
    let allow = entry
        .allow
        .iter()
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    Ok(Requests {
        allow,
        secrets: own,
    })
}

/// Operations as manifests name them.
const OPERATIONS: [(&str, OperationKind); 19] = [
    ("identify", OperationKind::Identify),
    ("inspect_token", OperationKind::InspectToken),
    ("list_organizations", OperationKind::ListOrganizations),
    ("list_repositories", OperationKind::ListRepositories),
    ("get_repository", OperationKind::GetRepository),
    ("list_refs", OperationKind::ListRefs),
    ("revoke", OperationKind::Revoke),
    ("probe", OperationKind::Probe),
    ("mint_token", OperationKind::MintToken),
    ("rotate_token", OperationKind::RotateToken),
    ("get_installation", OperationKind::GetInstallation),
    ("list_hooks", OperationKind::ListHooks),
    ("create_hook", OperationKind::CreateHook),
    ("update_hook", OperationKind::UpdateHook),
    ("delete_hook", OperationKind::DeleteHook),
    ("ping_hook", OperationKind::PingHook),
    ("list_deliveries", OperationKind::ListDeliveries),
    ("redeliver", OperationKind::Redeliver),
    ("parse_delivery", OperationKind::ParseDelivery),
];

/// The name of an operation in a manifest.
#[must_use]
pub const fn operation_name(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Identify => "identify",
        OperationKind::InspectToken => "inspect_token",
        OperationKind::ListOrganizations => "list_organizations",
        OperationKind::ListRepositories => "list_repositories",
        OperationKind::GetRepository => "get_repository",
        OperationKind::ListRefs => "list_refs",
        OperationKind::Revoke => "revoke",
        OperationKind::Probe => "probe",
        OperationKind::MintToken => "mint_token",
        OperationKind::RotateToken => "rotate_token",
        OperationKind::GetInstallation => "get_installation",
        OperationKind::ListHooks => "list_hooks",
        OperationKind::CreateHook => "create_hook",
        OperationKind::UpdateHook => "update_hook",
        OperationKind::DeleteHook => "delete_hook",
        OperationKind::PingHook => "ping_hook",
        OperationKind::ListDeliveries => "list_deliveries",
        OperationKind::Redeliver => "redeliver",
        OperationKind::ParseDelivery => "parse_delivery",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        manifest = 1
        name = "github"
        version = "1.4.2"
        abi = "1.0"
        schema = [1, 1]
        publisher = "Example Ltd"
        operations = ["identify", "list_refs"]
        secrets = ["access_token"]
        [[requests]]
        operation = "identify"
        allow = ["GET /user", "web:GET /login/{x...}"]
        secrets = ["access_token"]
    "#;

    /// A good manifest is read, and its allowlist can be shown line by line.
    #[test]
    fn a_manifest_is_read() {
        let manifest = Manifest::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(manifest.version.as_str(), "1.4.2");
        let lines: Vec<String> = manifest.request_lines().into_iter().collect();
        assert_eq!(
            lines,
            [
                "identify: GET /user",
                "identify: secret access_token",
                "identify: web:GET /login/{x...}"
            ]
        );
    }

    /// One wrong thing is enough, unknown keys at every level included, and the error names it.
    #[test]
    fn one_wrong_thing_is_enough() {
        for (from, to, error) in [
            ("manifest = 1", "manifest = 2", "format 2"),
            (
                "manifest = 1",
                "manifest = 1\nallow_all = true",
                "unknown field `allow_all`",
            ),
            ("allow = [", "deny = []\nallow = [", "unknown field `deny`"),
            ("\"github\"", "\"Git Hub\"", "Git Hub"),
            ("\"github\"", "\"../x\"", "../x"),
            ("\"1.4.2\"", "\"latest\"", "MAJOR.MINOR.PATCH"),
            ("\"1.0\"", "\"2.0\"", "version 2.0"),
            ("[1, 1]", "[2, 1]", "schema"),
            ("\"list_refs\"", "\"format_disk\"", "format_disk"),
            ("\"list_refs\"", "\"identify\"", "twice"),
            ("operation = \"identify\"", "operation = \"probe\"", "probe"),
            (
                "        secrets = [\"access_token\"]\n        [[",
                "        [[",
                "access_token",
            ),
            (
                "secrets = [\"access_token\"]\n        [[",
                "secrets = [\"Access Token\"]\n        [[",
                "Access Token",
            ),
            ("\"GET /user\"", "\"GET user\"", "GET user"),
        ] {
            let source = GOOD.replacen(from, to, 1);
            let refused = Manifest::parse(source.as_bytes())
                .expect_err(to)
                .to_string();
            assert!(refused.contains(error), "{to}: {refused}");
        }
    }

    /// The names in manifests and the operations of the core are the same set.
    #[test]
    fn operations_have_one_name() {
        for (name, kind) in OPERATIONS {
            assert_eq!(operation_name(kind), name);
        }
        assert_eq!(OPERATIONS.map(|(_, kind)| kind), OperationKind::ALL);
    }
}
