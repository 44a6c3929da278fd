//! [`Flow`].

use std::time::Duration;

use bindery_core::{
    flow::{Device, Flow, FlowStage, Pending, Way},
    name::{FlowId, HostName, LinkId, NamespaceName},
    secret::Secret,
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{
    Stored, Unreadable, digest, each,
    link::{read_auth_kind, read_identity, write_auth_kind, write_identity},
    name,
    seen::{read_permissions, write_permissions},
    wipe_all,
};

impl Stored for Flow {
    type Message = disk::Flow;

    fn write(&self) -> disk::Flow {
        let verifier = self.pkce_verifier.as_ref();
        let (way, device) = write_way(&self.way);
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
            way: way.into(),
            device,
            reauthorization: self.reauthorization,
            allow_personal_account: self.allow_personal_account,
            expected_identity: self.expected_identity.clone(),
            permissions: write_permissions(&self.permissions),
            requested_scopes: self.requested_scopes.clone(),
            pending: self.pending.as_ref().map(write_pending),
            offered_namespaces: self.offered.iter().map(ToString::to_string).collect(),
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
            way: read_way(message.way(), message.device.take())?,
            principal: message.principal,
            return_to: message.return_to,
            state_digest: optional_digest(message.state_digest.as_deref())?,
            browser_digest: optional_digest(message.browser_digest.as_deref())?,
            confirm_digest: optional_digest(message.confirm_digest.as_deref())?,
            pkce_verifier,
            allow_identity_change: message.allow_identity_change,
            reauthorization: message.reauthorization,
            allow_personal_account: message.allow_personal_account,
            expected_identity: message.expected_identity,
            permissions: read_permissions(&message.permissions)?,
            requested_scopes: message.requested_scopes,
            pending: message.pending.map(read_pending).transpose()?,
            offered: each(message.offered_namespaces, |text| {
                name(NamespaceName::parse, &text, "offered namespace")
            })?,
            created: Timestamp::from_unix_ms(message.created_ms),
            expires: Timestamp::from_unix_ms(message.expires_ms),
        })
    }

    fn wipe(message: &mut disk::Flow) {
        wipe_all(&mut message.pkce_verifier);
        if let Some(device) = &mut message.device {
            wipe_all([&mut device.device_code, &mut device.user_code]);
        }
    }
}

fn write_way(way: &Way) -> (disk::Way, Option<disk::Device>) {
    match way {
        Way::Browser => (disk::Way::Browser, None),
        Way::Headless => (disk::Way::Headless, None),
        Way::Installation => (disk::Way::Installation, None),
        Way::Device(device) => (disk::Way::Device, Some(write_device(device))),
    }
}

fn write_device(device: &Device) -> disk::Device {
    disk::Device {
        device_code: device.device_code.expose().to_owned(),
        user_code: device.user_code.expose().to_owned(),
        verification_uri: device.verification_uri.clone(),
        interval_ms: u64::try_from(device.interval.as_millis()).unwrap_or(u64::MAX),
        next_poll_ms: device.next_poll.unix_ms(),
    }
}

fn read_way(way: disk::Way, device: Option<disk::Device>) -> Result<Way, Unreadable> {
    Ok(match way {
        disk::Way::Browser => Way::Browser,
        disk::Way::Headless => Way::Headless,
        disk::Way::Installation => Way::Installation,
        disk::Way::Device => {
            let device = device.ok_or(Unreadable("device authorization"))?;
            Way::Device(Device {
                device_code: Secret::new(device.device_code),
                user_code: Secret::new(device.user_code),
                verification_uri: device.verification_uri,
                interval: Duration::from_millis(device.interval_ms),
                next_poll: Timestamp::from_unix_ms(device.next_poll_ms),
            })
        }
        disk::Way::Unspecified => return Err(Unreadable("way of a flow")),
    })
}

fn write_pending(pending: &Pending) -> disk::Pending {
    disk::Pending {
        auth_kind: write_auth_kind(pending.auth_kind).into(),
        token_kind: pending.token_kind.clone(),
        granted_scopes: pending.granted_scopes.as_ref().map(|scopes| disk::Scopes {
            scopes: scopes.clone(),
        }),
        identity: pending.identity.as_ref().map(write_identity),
        installation_id: pending.installation_id.clone(),
        username: pending.username.clone(),
    }
}

fn read_pending(message: disk::Pending) -> Result<Pending, Unreadable> {
    Ok(Pending {
        auth_kind: read_auth_kind(message.auth_kind())?,
        token_kind: message.token_kind,
        granted_scopes: message.granted_scopes.map(|scopes| scopes.scopes),
        identity: message.identity.map(read_identity).transpose()?,
        installation_id: message.installation_id,
        username: message.username,
    })
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
