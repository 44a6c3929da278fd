//! Permissions of apps and of tokens that are made of permissions
//!
//! They are written `contents:read`, as scopes are; `write` includes `read`.

use std::collections::BTreeMap;

use bindery_plugin_sdk::v1::Permission;

/// Names and levels: `contents` and `read`.
pub(crate) type Levels = BTreeMap<String, String>;

/// What `permissions` take. Metadata can be read by every token for a repository, and goes with them.
pub(crate) fn levels(permissions: impl IntoIterator<Item = Permission>) -> Levels {
    let mut levels = Levels::new();
    for (name, level) in permissions.into_iter().flat_map(needed) {
        let held = levels.entry((*name).to_owned()).or_default();
        if held != "write" {
            (*level).clone_into(held);
        }
    }
    levels
}

const fn needed(permission: Permission) -> &'static [(&'static str, &'static str)] {
    match permission {
        Permission::Unspecified => &[],
        Permission::Identity => &[("metadata", "read")],
        Permission::Organizations => &[("members", "read")],
        Permission::ReadCode => &[("contents", "read"), ("metadata", "read")],
        Permission::WriteCode => &[("contents", "write"), ("metadata", "read")],
        Permission::Webhooks => &[("repository_hooks", "write"), ("metadata", "read")],
    }
}

/// `contents:read`, for each.
pub(crate) fn written(levels: &Levels) -> Vec<String> {
    let one = |(name, level): (&String, &String)| format!("{name}:{level}");
    levels.iter().map(one).collect()
}

/// What `granted` does not carry of `asked`.
pub(crate) fn missing(asked: &Levels, granted: &Levels) -> Vec<String> {
    let lacks = |name: &String, level: &String| match granted.get(name).map(String::as_str) {
        None => true,
        Some("read") => level != "read",
        Some(_) => false,
    };
    let lacking = asked.iter().filter(|(name, level)| lacks(name, level));
    lacking
        .map(|(name, level)| format!("{name}:{level}"))
        .collect()
}

/// `X-Accepted-GitHub-Permissions: contents=read,metadata=read; administration=write`: any one of the groups would do,
/// and of a group all are needed. The first one is the least.
pub(crate) fn accepted(header: &str) -> Vec<String> {
    let group = header.split(';').next().unwrap_or_default();
    let each = group.split(',').filter_map(|one| one.split_once('='));
    each.map(|(name, level)| format!("{}:{}", name.trim(), level.trim()))
        .collect()
}
