//! [`Flow`].

use bindery_core::{
    flow::{Flow, FlowStage},
    name::{FlowId, HostName, LinkId, NamespaceName},
    secret::Secret,
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, digest, name, wipe_all};

impl Stored for Flow {
    type Message = disk::Flow;

    fn write(&self) -> disk::Flow {
        let verifier = self.pkce_verifier.as_ref();
        disk::Flow {
            id: self.id.to_string(),
            namespace: self.namespace.to_string(),
            link: self.link.to_string(),
            host: self.host.to_string(),
            principal: self.principal.clone(),
            return_to: self.return_to.clone(),
            state_digest: self.state_digest.map(Vec::from),
            browser_digest: self.browser_digest.map(Vec::from),
            confirm_digest: self.confirm_digest.map(Vec::from),
            pkce_verifier: verifier.map(|verifier| verifier.expose().to_owned()),
            stage: write_stage(self.stage).into(),
            allow_identity_change: self.allow_identity_change,
            created_ms: self.created.unix_ms(),
            expires_ms: self.expires.unix_ms(),
        }
    }

    fn read(mut message: disk::Flow) -> Result<Self, Unreadable> {
        let pkce_verifier = message.pkce_verifier.take().map(Secret::new);
        Ok(Self {
            id: name(FlowId::parse, &message.id, "flow id")?,
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            link: name(LinkId::parse, &message.link, "link id")?,
            host: name(HostName::parse, &message.host, "host")?,
            stage: read_stage(message.stage())?,
            principal: message.principal,
            return_to: message.return_to,
            state_digest: optional_digest(message.state_digest.as_deref())?,
            browser_digest: optional_digest(message.browser_digest.as_deref())?,
            confirm_digest: optional_digest(message.confirm_digest.as_deref())?,
            pkce_verifier,
            allow_identity_change: message.allow_identity_change,
            created: Timestamp::from_unix_ms(message.created_ms),
            expires: Timestamp::from_unix_ms(message.expires_ms),
        })
    }

    fn wipe(message: &mut disk::Flow) {
        wipe_all(&mut message.pkce_verifier);
    }
}

fn optional_digest(bytes: Option<&[u8]>) -> Result<Option<[u8; 32]>, Unreadable> {
    bytes.map(|bytes| digest(bytes, "digest")).transpose()
}

const fn write_stage(stage: FlowStage) -> disk::FlowStage {
    match stage {
        FlowStage::Started => disk::FlowStage::Started,
        FlowStage::AtForge => disk::FlowStage::AtForge,
        FlowStage::Exchanging => disk::FlowStage::Exchanging,
        FlowStage::Granted => disk::FlowStage::Granted,
        FlowStage::Finished => disk::FlowStage::Finished,
    }
}

const fn read_stage(stage: disk::FlowStage) -> Result<FlowStage, Unreadable> {
    Ok(match stage {
        disk::FlowStage::Started => FlowStage::Started,
        disk::FlowStage::AtForge => FlowStage::AtForge,
        disk::FlowStage::Exchanging => FlowStage::Exchanging,
        disk::FlowStage::Granted => FlowStage::Granted,
        disk::FlowStage::Finished => FlowStage::Finished,
        disk::FlowStage::Unspecified => return Err(Unreadable("flow stage")),
    })
}
