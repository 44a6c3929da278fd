//! What the calls of an operator are done to, for the audit log: known before they begin.

use std::collections::BTreeMap;

use bindery_proto::admin::v1::{self as wire, rotate_keys_request::Target};
use tonic::Streaming;

/// A request of an operator.
pub(crate) trait Subject {
    /// Name of what it is done to; empty for what only reads.
    fn resource(&self) -> String;
    /// Public facts that say what is wanted. Never a secret.
    fn facts(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

macro_rules! subjects {
    ($($message:ty => $resource:literal;)*) => {
        $(impl Subject for $message {
            fn resource(&self) -> String {
                $resource.to_owned()
            }
        })*
    };
}

subjects! {
    wire::GetStatusRequest => "";
    wire::DiagnoseRequest => "";
    wire::ListPluginsRequest => "";
    wire::ListAuditRecordsRequest => "";
    wire::VerifyAuditRequest => "";
    wire::VerifyStoreRequest => "";
    Streaming<wire::VerifyBackupRequest> => "";
    wire::BackupRequest => "store";
    Streaming<wire::RestoreRequest> => "store";
    wire::CompactStoreRequest => "store";
    wire::ReloadPolicyRequest => "policy";
    // Which slot they fit is known at their end.
    wire::VerifyRecoverySharesRequest => "slots/-";
}

impl Subject for wire::SealRequest {
    fn resource(&self) -> String {
        "seal".to_owned()
    }

    fn facts(&self) -> BTreeMap<String, String> {
        fact("reason", self.reason.clone())
    }
}

impl Subject for wire::UnsealRequest {
    fn resource(&self) -> String {
        "seal".to_owned()
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let with = match (self.passphrase.is_empty(), self.key.is_empty()) {
            (false, _) => "passphrase",
            (_, false) => "key",
            _ => "recovery share",
        };
        fact("with", with.to_owned())
    }
}

impl Subject for wire::AddSlotRequest {
    /// Its number is known at the end.
    fn resource(&self) -> String {
        "slots/-".to_owned()
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = fact("kind", self.kind().as_str_name().to_owned());
        facts.append(&mut fact("label", self.label.clone()));
        facts
    }
}

impl Subject for wire::RemoveSlotRequest {
    fn resource(&self) -> String {
        format!("slots/{}", self.id)
    }
}

impl Subject for wire::RotateKeysRequest {
    fn resource(&self) -> String {
        match self.target() {
            Target::RootKey => "keys/root",
            Target::Epoch => "keys/epoch",
            Target::Unspecified => "keys/-",
        }
        .to_owned()
    }
}

impl Subject for wire::AcceptRollbackRequest {
    fn resource(&self) -> String {
        "store".to_owned()
    }

    fn facts(&self) -> BTreeMap<String, String> {
        let mut facts = fact("reason", self.reason.clone());
        facts.append(&mut fact("rollback", self.etag.clone()));
        facts
    }
}

macro_rules! plugins {
    ($($message:ident)*) => {
        $(impl Subject for wire::$message {
            fn resource(&self) -> String {
                format!("plugins/{}", self.name)
            }
        })*
    };
}

plugins! { ReloadPluginRequest EnablePluginRequest }

impl Subject for wire::DisablePluginRequest {
    fn resource(&self) -> String {
        format!("plugins/{}", self.name)
    }

    fn facts(&self) -> BTreeMap<String, String> {
        fact("reason", self.reason.clone())
    }
}

/// One fact; none where it is empty.
fn fact(name: &str, value: String) -> BTreeMap<String, String> {
    let given = (!value.is_empty()).then(|| (name.to_owned(), value));
    given.into_iter().collect()
}
