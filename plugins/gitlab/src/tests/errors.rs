//! What an error means

use super::*;

fn failure(reply: Reply) -> v1::Failure {
    let run = driver()
        .on("GET", &api("/user"), reply)
        .run(v1::Identify {});
    run.failure().clone()
}

/// Every class of error has its code.
#[test]
fn errors_have_their_code() {
    for (reply, code) in [
        (Reply::json(401, REFUSED), Code::Unauthenticated),
        (
            Reply::json(403, r#"{"message":"403 Forbidden"}"#),
            Code::PermissionDenied,
        ),
        (
            Reply::json(403, r#"{"message":{"base":["no"]}}"#),
            Code::PermissionDenied,
        ),
        (
            Reply::json(404, r#"{"message":"404 Not found"}"#),
            Code::NotFound,
        ),
        (
            Reply::json(400, r#"{"error":"page is invalid"}"#),
            Code::InvalidArgument,
        ),
        (Reply::bytes(502, "<html>"), Code::Upstream),
        (Reply::bytes(200, "<html>"), Code::MalformedResponse),
        (Reply::json(200, r#"{"id":"x"}"#), Code::MalformedResponse),
        (Reply::transport_error(), Code::Transport),
    ] {
        assert_eq!(failure(reply).code(), code);
    }
}

/// PROVIDERS 3, rate limits: the body is plain text, and the wait is told in one of three headers, or in none.
#[test]
fn a_rate_limit_is_read_from_its_headers() {
    let later = || Reply::bytes(429, "Retry later\n").header("content-type", "text/plain");
    let reset = (NOW + 42).to_string();
    for (reply, wait) in [
        (later().header("retry-after", "42"), 42_000),
        (later().header("ratelimit-reset", &reset), 42_000),
        (
            later().header("ratelimit-resettime", "Fri, 15 Jan 2027 08:00:42 GMT"),
            42_000,
        ),
        (
            later()
                .header("retry-after", "7")
                .header("ratelimit-reset", &reset),
            42_000,
        ),
        (later(), 60_000),
        (
            Reply::json(
                429,
                r#"{"message":{"error":"This endpoint has been requested too many times."}}"#,
            ),
            60_000,
        ),
    ] {
        let failure = failure(reply);
        assert_eq!(failure.code(), Code::RateLimited);
        assert_eq!(failure.retry_after_ms, wait);
    }
}

/// PROVIDERS 3, scopes: a missing scope is named, the narrowest that would do, and comes in two spellings.
#[test]
fn a_missing_scope_is_named() {
    for (scope, named) in [
        (r#""api read_user read_api""#, &["read_user"][..]),
        (r#""api read_api""#, &["read_api"]),
        (r#"["api","self_rotate"]"#, &["self_rotate"]),
        (r#""api""#, &["api"]),
        (r#""sudo admin_mode""#, &["sudo", "admin_mode"]),
        ("null", &[]),
    ] {
        let body = format!(r#"{{"error":"insufficient_scope","scope":{scope}}}"#);
        let failure = failure(Reply::json(403, body));
        assert_eq!(failure.code(), Code::ScopeMissing);
        assert_eq!(failure.missing_scopes, named);
    }
}

/// An account that is kept out is told from a token that is refused, with what its owner has to do.
#[test]
fn an_account_that_is_kept_out_is_suspended() {
    for (message, told) in [
        ("Your account has been blocked.", "blocked"),
        (
            "Your account is pending approval from your administrator and hence blocked.",
            "administrator",
        ),
        (
            "Your account has been deactivated by your administrator. Please log back in",
            "deactivated",
        ),
        (
            "You (@ada) must accept the Terms of Service in order to perform this action.",
            "terms",
        ),
        ("Your password expired. Please access GitLab", "password"),
        ("Your primary email address is not confirmed.", "e-mail"),
    ] {
        let body = format!(r#"{{"message":"403 Forbidden - {message}"}}"#);
        let failure = failure(Reply::json(403, body));
        assert_eq!(failure.code(), Code::Suspended, "{message}");
        assert!(failure.message.contains(told), "{}", failure.message);
        assert_eq!(failure.action_uri, WEB);
    }
}

/// A single sign-on that is due comes as a 403 or, from git's side of the server, as a 400. Its page is shown if it is this
/// host's, without the key in its query.
#[test]
fn a_single_sign_on_names_its_page() {
    let message = |page: &str| {
        format!(
            r#"{{"message":"Cannot find valid SSO session. Please login via your group's SSO at {page}"}}"#
        )
    };
    let own = format!("{WEB}/groups/acme/-/saml/sso?token=k3y");
    for status in [400, 403] {
        let failure = failure(Reply::json(status, message(&own)));
        assert_eq!(failure.code(), Code::SsoRequired);
        assert_eq!(failure.action_uri, format!("{WEB}/groups/acme/-/saml/sso"));
    }
    let elsewhere = failure(Reply::json(403, message("https://evil.test/sso")));
    assert_eq!(elsewhere.action_uri, "");
}

/// Why a token is refused is told where GitLab tells it; a proof that Bindery can't give is no refused token.
#[test]
fn a_refusal_says_why() {
    for (error, description, code, told) in [
        (
            "invalid_token",
            "Token is expired. You can either do re-authorization or token refresh.",
            Code::Unauthenticated,
            "expired",
        ),
        (
            "invalid_token",
            "Token was revoked. You have to re-authorize from the user.",
            Code::Unauthenticated,
            "revoked",
        ),
        (
            "dpop_error",
            "DPoP validation error",
            Code::PermissionDenied,
            "DPoP",
        ),
    ] {
        let body = format!(r#"{{"error":"{error}","error_description":"{description}"}}"#);
        let failure = failure(Reply::json(401, body));
        assert_eq!(failure.code(), code);
        assert!(failure.message.contains(told), "{}", failure.message);
    }
}
