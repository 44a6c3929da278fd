//! Who may sign which plugin
//!
//! A signature is 64 raw bytes of Ed25519 over the exact bytes of the manifest, beside it. A key says which names it may
//! sign, so that the maker of one plugin can't replace another's.

use std::path::{Path, PathBuf};

use bindery_core::name::ProviderName;
use data_encoding::BASE64;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Deserialize;
use thiserror::Error;

use crate::files::{FileError, FileRules};

/// Longest key file.
const KEY_LEN: u64 = 4096;

/// A public key and what it is good for.
#[derive(Clone, Debug)]
pub struct Key {
    /// Name of the key.
    pub name: String,
    public: [u8; 32],
    may_sign: Vec<String>,
}

/// All keys of the operator.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    keys: Vec<Key>,
    folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    public_key: String,
    may_sign: Vec<String>,
}

/// What is wrong with a key file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no key file.
    #[error("{path} is not a key: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The folder can't be listed.
    #[error("the key folder {path} can't be listed: {error}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SignatureError {
    /// No key may sign this name.
    #[error("no key in {folder} may sign '{name}'; put its publisher's key there")]
    NoKey {
        /// The key folder.
        folder: PathBuf,
        /// The plugin's name.
        name: String,
    },
    /// The key may not sign this name.
    #[error("the manifest is signed with key '{key}', which may not sign '{name}'")]
    NotForName {
        /// The key's name.
        key: String,
        /// The plugin's name.
        name: String,
    },
    /// The bytes and the signature don't belong together.
    #[error("the signature of the manifest is wrong: it was changed, or signed with another key")]
    Wrong,
}

impl Keys {
    /// Reads every `*.pub` in `folder`. A folder that is not there holds no keys.
    ///
    /// # Errors
    ///
    /// A file in it breaks the rules or is no key.
    pub fn read(folder: &Path, rules: &FileRules) -> Result<Self, KeyError> {
        let failed = |error| KeyError::Folder {
            path: folder.to_owned(),
            error,
        };
        let entries = match folder.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self {
                    keys: Vec::new(),
                    folder: folder.to_owned(),
                });
            }
            Err(error) => return Err(failed(error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "pub"));
        paths.sort();
        let keys = paths
            .iter()
            .map(|path| Key::read(path, rules))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            keys,
            folder: folder.to_owned(),
        })
    }

    /// Which key signed `message` for `name`.
    ///
    /// # Errors
    ///
    /// None of those that may did.
    pub fn verify(
        &self,
        name: &ProviderName,
        message: &[u8],
        signature: &[u8],
    ) -> Result<&Key, SignatureError> {
        let signer = self.keys.iter().find(|key| key.signed(message, signature));
        let name = name.as_str();
        match signer {
            Some(key) if key.may_sign(name) => Ok(key),
            Some(key) => Err(SignatureError::NotForName {
                key: key.name.clone(),
                name: name.to_owned(),
            }),
            None if self.keys.iter().any(|key| key.may_sign(name)) => Err(SignatureError::Wrong),
            None => Err(SignatureError::NoKey {
                folder: self.folder.clone(),
                name: name.to_owned(),
            }),
        }
    }
}

impl Key {
    fn read(path: &Path, rules: &FileRules) -> Result<Self, KeyError> {
        let bytes = rules.read(path, KEY_LEN)?;
        let malformed = |reason: &str| KeyError::Malformed {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let source = std::str::from_utf8(&bytes).map_err(|_| malformed("it is not UTF-8"))?;
        let raw: Raw = toml::from_str(source).map_err(|error| malformed(error.message()))?;
        let public = BASE64.decode(raw.public_key.as_bytes());
        let public = public.map_err(|_| malformed("'public_key' is not base64"))?;
        let public = public
            .try_into()
            .map_err(|_| malformed("'public_key' is not 32 bytes"))?;
        Ok(Self {
            name: raw.name,
            public,
            may_sign: raw.may_sign,
        })
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public)
            .verify(message, signature)
            .is_ok()
    }

    fn may_sign(&self, name: &str) -> bool {
        self.may_sign.iter().any(|allowed| allowed == name)
    }
}
