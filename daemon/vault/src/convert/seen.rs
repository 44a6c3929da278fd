//! Parts of [`Link`](bindery_core::link::Link) that change while it lives: its flow, its upkeep, and what was seen.

use bindery_core::{
    link::{Note, OpenFlow, Seen, SeenOrganization, SeenRepository, Severity, Upkeep},
    name::FlowId,
    provider::{OrganizationAccess, Permission},
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{
    Unreadable,
    link::{read_auth_kind, read_identity, read_who, write_auth_kind, write_identity, write_who},
    ms, name, time,
};

pub(super) fn write_open_flow(flow: &OpenFlow) -> disk::OpenFlow {
    disk::OpenFlow {
        id: flow.id.to_string(),
        method: write_auth_kind(flow.method).into(),
        started_by: flow.started_by.clone(),
        started_ms: flow.started.unix_ms(),
        expires_ms: flow.expires.unix_ms(),
        requested_scopes: flow.requested_scopes.clone(),
        identity: flow.identity.as_ref().map(write_identity),
        reauthorization: flow.reauthorization,
        notes: flow.notes.iter().map(write_note).collect(),
    }
}

pub(super) fn read_open_flow(message: disk::OpenFlow) -> Result<OpenFlow, Unreadable> {
    Ok(OpenFlow {
        id: name(FlowId::parse, &message.id, "flow id")?,
        method: read_auth_kind(message.method())?,
        started_by: message.started_by,
        started: Timestamp::from_unix_ms(message.started_ms),
        expires: Timestamp::from_unix_ms(message.expires_ms),
        requested_scopes: message.requested_scopes,
        identity: message.identity.map(read_identity).transpose()?,
        reauthorization: message.reauthorization,
        notes: read_notes(message.notes)?,
    })
}

fn write_note(one: &Note) -> disk::Note {
    disk::Note {
        reason: one.reason.clone(),
        message: one.message.clone(),
        action_uri: one.action_uri.clone(),
        who: write_who(one.who).into(),
        until_ms: ms(one.until),
        severity: write_severity(one.severity).into(),
    }
}

fn read_notes(messages: Vec<disk::Note>) -> Result<Vec<Note>, Unreadable> {
    let note = |one: disk::Note| {
        Ok(Note {
            severity: read_severity(one.severity()),
            who: read_who(one.who)?,
            reason: one.reason,
            message: one.message,
            action_uri: one.action_uri,
            until: time(one.until_ms),
        })
    };
    messages.into_iter().map(note).collect()
}

const fn write_severity(severity: Severity) -> disk::Severity {
    match severity {
        Severity::Info => disk::Severity::Info,
        Severity::Warning => disk::Severity::Warning,
        Severity::Error => disk::Severity::Error,
    }
}

/// What was written before severities were kept is a warning.
const fn read_severity(severity: disk::Severity) -> Severity {
    match severity {
        disk::Severity::Info => Severity::Info,
        disk::Severity::Warning | disk::Severity::Unspecified => Severity::Warning,
        disk::Severity::Error => Severity::Error,
    }
}

pub(super) fn write_upkeep(upkeep: &Upkeep) -> disk::Upkeep {
    disk::Upkeep {
        refresh_expires_ms: ms(upkeep.refresh_expires),
        failures: upkeep.failures,
        failure_reason: upkeep.failure_reason.clone(),
        next_refresh_ms: ms(upkeep.next_refresh),
        handed_out_ms: ms(upkeep.handed_out),
        rotate_token: upkeep.rotate_token,
    }
}

pub(super) fn read_upkeep(message: disk::Upkeep) -> Upkeep {
    Upkeep {
        refresh_expires: time(message.refresh_expires_ms),
        failures: message.failures,
        failure_reason: message.failure_reason,
        next_refresh: time(message.next_refresh_ms),
        handed_out: time(message.handed_out_ms),
        rotate_token: message.rotate_token,
    }
}

pub(super) fn write_seen(seen: &Seen) -> disk::Seen {
    let organization = |one: &SeenOrganization| disk::SeenOrganization {
        stable_id: one.stable_id.clone(),
        login: one.login.clone(),
        access: write_access(one.access).into(),
    };
    let repository = |one: &SeenRepository| disk::SeenRepository {
        stable_id: one.stable_id.clone(),
        full_name: one.full_name.clone(),
    };
    disk::Seen {
        at_ms: ms(seen.at),
        organizations: seen.organizations.iter().map(organization).collect(),
        repositories: seen.repositories.iter().map(repository).collect(),
        notes: seen.notes.iter().map(write_note).collect(),
    }
}

pub(super) fn read_seen(message: disk::Seen) -> Result<Seen, Unreadable> {
    let organization = |one: disk::SeenOrganization| {
        Ok(SeenOrganization {
            access: read_access(one.access())?,
            stable_id: one.stable_id,
            login: one.login,
        })
    };
    let repository = |one: disk::SeenRepository| SeenRepository {
        stable_id: one.stable_id,
        full_name: one.full_name,
    };
    let organizations = message.organizations.into_iter().map(organization);
    Ok(Seen {
        at: time(message.at_ms),
        organizations: organizations.collect::<Result<_, _>>()?,
        repositories: message.repositories.into_iter().map(repository).collect(),
        notes: read_notes(message.notes)?,
    })
}

const fn write_access(access: OrganizationAccess) -> disk::OrganizationAccess {
    match access {
        OrganizationAccess::Unknown => disk::OrganizationAccess::Unknown,
        OrganizationAccess::Granted => disk::OrganizationAccess::Granted,
        OrganizationAccess::RestrictedByPolicy => disk::OrganizationAccess::RestrictedByPolicy,
        OrganizationAccess::RequestPending => disk::OrganizationAccess::RequestPending,
        OrganizationAccess::SsoRequired => disk::OrganizationAccess::SsoRequired,
        OrganizationAccess::NotInstalled => disk::OrganizationAccess::NotInstalled,
        OrganizationAccess::ScopeTooSmall => disk::OrganizationAccess::ScopeTooSmall,
        OrganizationAccess::NoMembership => disk::OrganizationAccess::NoMembership,
    }
}

const fn read_access(access: disk::OrganizationAccess) -> Result<OrganizationAccess, Unreadable> {
    Ok(match access {
        disk::OrganizationAccess::Unknown => OrganizationAccess::Unknown,
        disk::OrganizationAccess::Granted => OrganizationAccess::Granted,
        disk::OrganizationAccess::RestrictedByPolicy => OrganizationAccess::RestrictedByPolicy,
        disk::OrganizationAccess::RequestPending => OrganizationAccess::RequestPending,
        disk::OrganizationAccess::SsoRequired => OrganizationAccess::SsoRequired,
        disk::OrganizationAccess::NotInstalled => OrganizationAccess::NotInstalled,
        disk::OrganizationAccess::ScopeTooSmall => OrganizationAccess::ScopeTooSmall,
        disk::OrganizationAccess::NoMembership => OrganizationAccess::NoMembership,
        disk::OrganizationAccess::Unspecified => {
            return Err(Unreadable("organization's access"));
        }
    })
}

pub(super) fn write_permissions(permissions: &[Permission]) -> Vec<i32> {
    let write = |one: &Permission| match one {
        Permission::Identity => disk::Permission::Identity,
        Permission::Organizations => disk::Permission::Organizations,
        Permission::ReadCode => disk::Permission::ReadCode,
        Permission::WriteCode => disk::Permission::WriteCode,
        Permission::Webhooks => disk::Permission::Webhooks,
    };
    permissions.iter().map(write).map(i32::from).collect()
}

pub(super) fn read_permissions(numbers: &[i32]) -> Result<Vec<Permission>, Unreadable> {
    let read = |number: &i32| {
        Ok(match disk::Permission::try_from(*number) {
            Ok(disk::Permission::Identity) => Permission::Identity,
            Ok(disk::Permission::Organizations) => Permission::Organizations,
            Ok(disk::Permission::ReadCode) => Permission::ReadCode,
            Ok(disk::Permission::WriteCode) => Permission::WriteCode,
            Ok(disk::Permission::Webhooks) => Permission::Webhooks,
            Ok(disk::Permission::Unspecified) | Err(_) => return Err(Unreadable("permission")),
        })
    };
    numbers.iter().map(read).collect()
}
