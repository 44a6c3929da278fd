//! Repositories, refs and organizations, as a link sees them.

use bindery_core::{
    link::Link,
    provider::{Organization, OrganizationAccess, Ref, RefKind, Repository},
};
use bindery_proto::v1::{self as wire, organization::AccessState, repository};

use super::common;
use crate::names::encoded;

/// `link` is the name of the link that sees it.
pub(crate) fn repository(link: &str, seen: Repository) -> wire::Repository {
    let access = match (seen.can_administer, seen.can_write, seen.can_read) {
        (true, _, _) => repository::Access::Admin,
        (_, true, _) => repository::Access::Write,
        (_, _, true) => repository::Access::Read,
        _ => repository::Access::None,
    };
    let visibility = match (seen.internal, seen.private) {
        (true, _) => repository::Visibility::Internal,
        (_, true) => repository::Visibility::Private,
        _ => repository::Visibility::Public,
    };
    wire::Repository {
        name: format!("{link}/repositories/{}", encoded(&seen.stable_id)),
        stable_id: seen.stable_id,
        full_name: seen.full_name,
        description: clipped(seen.description),
        default_branch: seen.default_branch,
        clone_uri: seen.clone_uri,
        web_uri: seen.web_uri,
        visibility: visibility.into(),
        archived: seen.archived,
        access: access.into(),
        can_add_hook: answer(seen.can_administer).into(),
        display_name: seen.display_name,
        ssh_uri: seen.ssh_uri,
        fork: seen.fork,
        update_time: seen.updated.map(common::time),
    }
}

pub(crate) const fn answer(yes: bool) -> wire::Answer {
    if yes {
        wire::Answer::Yes
    } else {
        wire::Answer::No
    }
}

/// At most 1,000 bytes, cut between characters.
fn clipped(mut text: String) -> String {
    let mut end = text.len().min(1000);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// `default` is the name of the default branch.
pub(crate) fn reference(seen: Ref, default: &str) -> wire::Ref {
    let (prefix, kind) = match seen.kind {
        RefKind::Branch => ("refs/heads/", wire::r#ref::Kind::Branch),
        RefKind::Tag => ("refs/tags/", wire::r#ref::Kind::Tag),
    };
    wire::Ref {
        r#ref: format!("{prefix}{}", seen.name),
        kind: kind.into(),
        commit_id: seen.commit,
        is_default: seen.kind == RefKind::Branch && seen.name == default,
        protected: seen.protected,
    }
}

/// Which refs are asked for; `None` in the outer option for what is no kind.
pub(crate) fn ref_kind(number: i32) -> Option<Option<RefKind>> {
    match wire::r#ref::Kind::try_from(number).ok()? {
        wire::r#ref::Kind::Unspecified => Some(None),
        wire::r#ref::Kind::Branch => Some(Some(RefKind::Branch)),
        wire::r#ref::Kind::Tag => Some(Some(RefKind::Tag)),
    }
}

pub(crate) fn organization(link: &Link, seen: Organization) -> wire::Organization {
    let access = match seen.access {
        OrganizationAccess::Unknown => AccessState::Unknown,
        OrganizationAccess::Granted => AccessState::Granted,
        OrganizationAccess::RestrictedByPolicy => AccessState::RestrictedByPolicy,
        OrganizationAccess::RequestPending => AccessState::RequestPending,
        OrganizationAccess::SsoRequired => AccessState::SsoRequired,
        OrganizationAccess::NotInstalled => AccessState::NotInstalled,
        OrganizationAccess::ScopeTooSmall => AccessState::ScopeTooSmall,
        OrganizationAccess::NoMembership => AccessState::NoMembership,
    };
    wire::Organization {
        name: format!(
            "{}/organizations/{}",
            link.resource(),
            encoded(&seen.stable_id)
        ),
        stable_id: seen.stable_id,
        login: seen.login,
        display_name: seen.display_name,
        access: access.into(),
        message: seen.reason,
        who_must_act: common::who(seen.who).into(),
        action_uri: seen.action_uri,
        role: seen.role,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a provider tells beside the path is there: the name for people, the place over SSH, whether it is a fork, and when it
    /// changed. Who sees it is told in three steps.
    #[test]
    fn repositories_are_told_whole() {
        let seen = |private, internal| Repository {
            stable_id: "7".into(),
            display_name: "接口".into(),
            ssh_uri: "git@forge.example:acme/api.git".into(),
            fork: true,
            updated: Some(bindery_core::time::Timestamp::from_unix_ms(7_000)),
            private,
            internal,
            ..Repository::default()
        };
        let told = repository("namespaces/acme/links/l", seen(true, true));
        assert_eq!(told.display_name, "接口");
        assert_eq!(told.ssh_uri, "git@forge.example:acme/api.git");
        assert!(told.fork);
        assert_eq!(told.update_time.map(|time| time.seconds), Some(7));
        let visible = |private, internal| {
            repository("namespaces/acme/links/l", seen(private, internal)).visibility()
        };
        assert_eq!(visible(true, true), repository::Visibility::Internal);
        assert_eq!(visible(true, false), repository::Visibility::Private);
        assert_eq!(visible(false, false), repository::Visibility::Public);
    }

    /// Refs get their full names; what is no kind is told apart from "all".
    #[test]
    fn refs_are_full_names() {
        let seen = |name: &str, kind| Ref {
            name: name.into(),
            kind,
            commit: "c".into(),
            protected: false,
        };
        let main = reference(seen("main", RefKind::Branch), "main");
        assert_eq!(
            (main.r#ref.as_str(), main.is_default),
            ("refs/heads/main", true)
        );
        let tag = reference(seen("main", RefKind::Tag), "main");
        assert_eq!(
            (tag.r#ref.as_str(), tag.is_default),
            ("refs/tags/main", false)
        );
        assert_eq!(ref_kind(0), Some(None));
        assert_eq!(ref_kind(2), Some(Some(RefKind::Tag)));
        assert_eq!(ref_kind(9), None);
    }
}
