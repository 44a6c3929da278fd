//! The traps of the field's fact sheet that GitHub has, one test for each

use super::*;

fn description() -> v1::Description {
    testing::description::<GitHub>()
}

fn method(kind: v1::AuthKind) -> v1::AuthMethod {
    let mut methods = description().auth_methods.into_iter();
    methods.find(|one| one.kind() == kind).expect("a method")
}

/// Trap 1: a refresh ends the old pair at once, and a refresh token that rests for half a year is dead.
#[test]
fn trap_1_1_rotation_is_fatal() {
    for kind in [v1::AuthKind::OauthCode, v1::AuthKind::Device] {
        let method = method(kind);
        assert_eq!(method.rotation(), v1::RefreshRotation::Always);
        assert_eq!(method.reuse(), v1::RefreshReuse::Fatal);
        assert_eq!(method.token_lifetime_s, 28_800);
        assert_eq!(method.refresh_idle_s, 184 * 86_400);
    }
}

/// Trap 2: a token of over 500 characters with dots is of the same kind as a short one.
#[test]
fn trap_1_2_tokens_have_any_size() {
    let long = format!(
        "ghs_77_{}.{}.{}",
        "a".repeat(40),
        "b".repeat(430),
        "c-_".repeat(20)
    );
    let kinds = description().token_kinds;
    for token in ["ghs_16C7e42F292c6912E7710c838347Ae178B4a", &long] {
        let mut kinds = kinds.iter();
        let kind = kinds.find(|kind| token.starts_with(&kind.prefix));
        let kind = kind.expect("a kind");
        assert_eq!(
            (kind.name.as_str(), kind.git_username.as_str()),
            ("installation", "x-access-token")
        );
    }
}

/// Trap 3: an OAuth error comes with status 200, and a dead refresh token has a name of its own.
#[test]
fn trap_1_3_errors_come_with_status_200() {
    let method = method(v1::AuthKind::OauthCode);
    assert!(method.errors_with_status_ok);
    assert!(
        method
            .dead_grant_errors
            .iter()
            .any(|one| one == "bad_refresh_token")
    );
}

/// The reply of the token endpoint has commas between scopes, the request has spaces.
#[test]
fn trap_2_scopes_have_two_separators() {
    let method = method(v1::AuthKind::OauthCode);
    assert_eq!(
        (
            method.scope_separator.as_str(),
            method.response_scope_separator.as_str()
        ),
        (" ", ",")
    );
}

/// PKCE is for the browser's way; the device flow has none.
#[test]
fn trap_2_pkce_is_s256_and_not_for_devices() {
    assert_eq!(
        method(v1::AuthKind::OauthCode).pkce(),
        v1::PkceSupport::S256
    );
    assert_eq!(method(v1::AuthKind::Device).pkce(), v1::PkceSupport::None);
}

/// Each host's API is somewhere else: a tenant of GHE.com has a name of its own, a server a path.
#[test]
fn trap_2_hosts_have_their_api_elsewhere() {
    let endpoints = description().endpoints.expect("endpoints");
    let known: Vec<_> = endpoints
        .known_hosts
        .iter()
        .map(|host| (host.web.as_str(), host.api.as_str()))
        .collect();
    assert_eq!(
        known,
        [
            ("https://github.com", "https://api.github.com"),
            ("https://*.ghe.com", "https://api.*.ghe.com"),
        ]
    );
    assert_eq!(endpoints.api_from_web, "{web}/api/v3");
}

/// The JWT is dated back a minute, ends within ten, and older servers want the app's number as a number.
#[test]
fn trap_2_jwt_is_dated_back() {
    let claims = |app_id: &str| {
        let credential = v1::Credential {
            app_id: app_id.to_owned(),
            ..installed()
        };
        signed_claims(credential)
    };
    let iat = NOW - 60;
    let exp = NOW + 540;
    assert_eq!(
        claims("77"),
        format!(r#"{{"exp":{exp},"iat":{iat},"iss":77}}"#)
    );
    assert_eq!(
        claims("Iv23li"),
        format!(r#"{{"exp":{exp},"iat":{iat},"iss":"Iv23li"}}"#)
    );
}

/// Claims of the first JWT that an operation asks for.
fn signed_claims(credential: v1::Credential) -> String {
    let refused = Reply::result(effect_result::Kind::Signed(true));
    let run = driver()
        .credential(credential)
        .on("SIGN_JWT", "app_private_key", refused)
        .on("GET", &api("/app/installations/12"), Reply::status(401))
        .run(v1::Identify {});
    let signed = run.jwts.first().expect("a JWT");
    String::from_utf8(signed.claims_json.clone()).expect("JSON")
}

/// A suspended person and a suspended installation are no dead tokens.
#[test]
fn trap_2_suspended_is_not_refused() {
    for message in [
        "Sorry. Your account was suspended",
        "This installation has been suspended",
    ] {
        let reply = Reply::json(403, format!(r#"{{"message":"{message}"}}"#));
        let run = driver()
            .on("GET", &api("/user"), reply)
            .run(v1::Identify {});
        assert_eq!(run.failure().code(), Code::Suspended, "{message}");
    }
}

/// A fine-grained token tells no scopes; what it lacks is named by the header of the refusal.
#[test]
fn trap_2_fine_grained_refusal_names_the_permission() {
    let refusal = |accepted: &str| {
        let reply = Reply::json(
            403,
            r#"{"message":"Resource not accessible by personal access token"}"#,
        )
        .header("x-accepted-github-permissions", accepted);
        let run = driver()
            .on("GET", &api("/user"), reply)
            .run(v1::Identify {});
        run.failure().missing_scopes.clone()
    };
    assert_eq!(refusal("contents=read"), ["contents:read"]);
    assert_eq!(
        refusal("pull_requests=write,contents=read; issues=read"),
        ["pull_requests:write", "contents:read"]
    );
}

/// A single sign-on that is due has its own code and its page; a list that it thins out says so, with a page.
#[test]
fn trap_2_sso_has_two_forms() {
    let page = "https://github.com/orgs/acme/sso?authorization_request=x";
    let due = Reply::json(403, "{}").header("x-github-sso", &format!("required; url={page}"));
    let run = driver().on("GET", &api("/user"), due).run(v1::Identify {});
    assert_eq!(run.failure().code(), Code::SsoRequired);
    assert_eq!(run.failure().action_uri, page);
    let thinned = Reply::json(200, "[]").header(
        "x-github-sso",
        "partial-results; organizations=21955855,20582480",
    );
    let run = driver()
        .on("GET", &api("/user/orgs?per_page=100"), thinned)
        .on(
            "GET",
            &api("/users/octocat/orgs?per_page=100"),
            Reply::status(404),
        )
        .run(v1::ListOrganizations::default());
    let page = &run.organization_pages()[0];
    assert!(page.partial && page.partial_reason.ends_with(": 2"));
    assert_eq!(
        page.partial_uri,
        "https://github.com/settings/organizations"
    );
}

/// A client that is refused is no missing permission of the person's.
#[test]
fn trap_2_wrong_client_is_not_the_persons_fault() {
    let run = driver()
        .on(
            "DELETE",
            &api("/applications/client-1/grant"),
            Reply::status(401),
        )
        .run(v1::Revoke { whole_grant: true });
    assert_eq!(run.failure().code(), Code::ClientRefused);
}
