//! Shapes that several resources share.

use std::time::Duration;

use bindery_core::{
    problem::{Problem, Who},
    provider::{AuthKind, Permission},
    time::Timestamp,
};
use bindery_engine::links::{Finding, PermissionKey, Severity};
use bindery_proto::v1 as wire;

pub(crate) fn time(when: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(when.unix_seconds()).unwrap_or(i64::MAX),
        nanos: i32::try_from(when.unix_ms() % 1000).unwrap_or_default() * 1_000_000,
    }
}

/// A point in time; `None` for one that is malformed, or before the epoch.
pub(crate) fn moment(wire: &prost_types::Timestamp) -> Option<Timestamp> {
    let seconds = u64::try_from(wire.seconds).ok()?;
    let nanos = u64::try_from(wire.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    let ms = seconds.checked_mul(1000)?.checked_add(nanos / 1_000_000)?;
    Some(Timestamp::from_unix_ms(ms))
}

/// A duration that is not negative; `None` for one that is, or that is malformed.
pub(crate) fn duration(wire: prost_types::Duration) -> Option<Duration> {
    Duration::try_from(wire).ok()
}

pub(crate) fn principal(id: &str) -> wire::Principal {
    wire::Principal { id: id.to_owned() }
}

pub(crate) const fn who(who: Option<Who>) -> wire::WhoMustAct {
    match who {
        None => wire::WhoMustAct::Unspecified,
        Some(Who::User) => wire::WhoMustAct::User,
        Some(Who::OrganizationOwner) => wire::WhoMustAct::OrganizationOwner,
        Some(Who::HostOperator) => wire::WhoMustAct::HostOperator,
    }
}

pub(crate) const fn method(kind: AuthKind) -> wire::AuthMethodKind {
    match kind {
        AuthKind::OAuthCode => wire::AuthMethodKind::OauthCode,
        AuthKind::Device => wire::AuthMethodKind::DeviceFlow,
        AuthKind::AccessToken => wire::AuthMethodKind::AccessToken,
        AuthKind::AppInstallation => wire::AuthMethodKind::AppInstallation,
    }
}

pub(crate) const fn permission(permission: Permission) -> wire::Permission {
    match permission {
        Permission::Identity => wire::Permission::Identity,
        Permission::Organizations => wire::Permission::Organizations,
        Permission::ReadCode => wire::Permission::ReadCode,
        Permission::WriteCode => wire::Permission::WriteCode,
        Permission::Webhooks => wire::Permission::Webhooks,
    }
}

/// What a caller asks a link to be good for; the error says why it can't be.
pub(crate) fn asked(number: i32) -> Result<PermissionKey, &'static str> {
    match wire::Permission::try_from(number) {
        Ok(wire::Permission::Identity) => Ok(PermissionKey::Identity),
        Ok(wire::Permission::Organizations) => Ok(PermissionKey::Organizations),
        Ok(wire::Permission::ReadCode) => Ok(PermissionKey::ReadCode),
        Ok(wire::Permission::WriteCode) => Ok(PermissionKey::WriteCode),
        Ok(wire::Permission::Webhooks) => Ok(PermissionKey::Webhooks),
        Ok(wire::Permission::CommitStatus | wire::Permission::DeployKeys) => {
            Err("names a permission that is not served by this release; leave it out")
        }
        Ok(wire::Permission::Unspecified) | Err(_) => Err("names no known permission"),
    }
}

/// A problem as a finding: it is told, and nothing fails.
pub(crate) fn finding(problem: Problem) -> wire::Finding {
    wire::Finding {
        severity: wire::Severity::Error.into(),
        reason: problem.reason.as_str().to_owned(),
        message: problem.message,
        who_must_act: who(problem.who).into(),
        action_uri: problem.action_uri,
        until_time: None,
    }
}

/// What a preflight found.
pub(crate) fn found(known: Finding) -> wire::Finding {
    wire::Finding {
        severity: severity(known.severity).into(),
        until_time: known.until.map(time),
        ..finding(known.problem)
    }
}

pub(crate) const fn severity(known: Severity) -> wire::Severity {
    match known {
        Severity::Info => wire::Severity::Info,
        Severity::Warning => wire::Severity::Warning,
        Severity::Error => wire::Severity::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every permission of the domain goes to the wire and back; what is no permission is refused.
    #[test]
    fn permissions_round_trip() {
        for key in [
            PermissionKey::Identity,
            PermissionKey::Organizations,
            PermissionKey::ReadCode,
            PermissionKey::WriteCode,
            PermissionKey::Webhooks,
        ] {
            assert_eq!(asked(permission(key.into()).into()), Ok(key));
        }
        for odd in [0, -1, 6, 7, 8, i32::MAX] {
            assert!(asked(odd).is_err(), "{odd}");
        }
    }

    /// Times keep their milliseconds, and mangled durations are no durations.
    #[test]
    fn times_are_exact() {
        let wire = time(Timestamp::from_unix_ms(1_234_567));
        assert_eq!((wire.seconds, wire.nanos), (1234, 567_000_000));
        assert!(
            duration(prost_types::Duration {
                seconds: -1,
                nanos: 0
            })
            .is_none()
        );
        assert_eq!(
            duration(prost_types::Duration {
                seconds: 1,
                nanos: 0
            }),
            Some(Duration::from_secs(1))
        );
    }
}
