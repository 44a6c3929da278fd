//! Bitbucket Cloud

use super::*;

mod account;
mod delivery;
mod hooks;
mod lists;
mod organizations;
mod single;

fn api(path: &str) -> String {
    format!("https://api.bitbucket.org/2.0{path}")
}

/// A page of a list, the last one where `next` is empty.
fn page(values: &str, next: &str) -> Reply {
    let next = match next {
        "" => String::new(),
        next => format!(r#","next":"{next}""#),
    };
    Reply::json(
        200,
        format!(r#"{{"pagelen":100,"values":[{values}]{next}}}"#),
    )
}

/// What Bitbucket says of a missing scope.
fn lacking(required: &str, granted: &str) -> Reply {
    let message = "Your credentials lack one or more required privilege scopes.";
    Reply::json(
        403,
        format!(
            r#"{{"type":"error","error":{{"message":"{message}","detail":{{"required":[{required}],"granted":[{granted}]}}}}}}"#
        ),
    )
}

fn repository(uuid: &str, full_name: &str) -> String {
    format!(
        r#"{{"uuid":"{{{uuid}}}","full_name":"{full_name}","is_private":true,"description":null,"mainbranch":{{"name":"main"}},
        "links":{{"html":{{"href":"https://bitbucket.org/{full_name}"}},"clone":[
        {{"name":"ssh","href":"git@bitbucket.org:{full_name}.git"}},
        {{"name":"https","href":"https://ada@bitbucket.org/{full_name}.git"}}]}}}}"#
    )
}

fn permission(uuid: &str, permission: &str) -> String {
    format!(r#"{{"permission":"{permission}","repository":{{"uuid":"{{{uuid}}}"}}}}"#)
}

const ADA: &str = r#"{"type":"user","uuid":"{a-1}","nickname":"ada","display_name":"Ada L","account_status":"active"}"#;

/// Endpoints that CHANGE-2770 took away.
const GONE: [&str; 4] = [
    "/repositories",
    "/workspaces",
    "/user/permissions/repositories",
    "/user/permissions/workspaces",
];
