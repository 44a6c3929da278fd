//! What callers ask of links. Tokens become secrets here.

use std::collections::BTreeSet;

use bindery_core::{
    name::{HostName, LinkId, NamespaceName},
    secret::Secret,
};
use bindery_engine::links::{Method, NewLink, PermissionKey, Reauthorize};
use bindery_proto::v1::{
    self as wire, create_link_request::Method as WireMethod,
    reauthorize_link_request::Method as AnewMethod,
};

use super::super::common;
use crate::{
    fields::{Fields, etag},
    names,
    status::Failure,
};

/// Longest token that is taken.
pub(super) const TOKEN: usize = 8 << 10;

/// Longest name of an identity, user or installation that is taken.
const NAME: usize = 320;

/// Checks a request for a link, all fields at once.
pub(crate) fn new_link(
    request: wire::CreateLinkRequest,
    principal: &str,
) -> Result<NewLink, Failure> {
    let namespace = names::namespace(&request.parent)?;
    let mut fields = Fields::default();
    let link = request.link.unwrap_or_default();
    let host = host(&mut fields, &link.host);
    fields.text("link.display_name", &link.display_name, 200);
    fields.labels("link.labels", &link.labels);
    fields.annotations("link.annotations", &link.annotations);
    fields.text("expected_identity", &request.expected_identity, NAME);
    let permissions = permissions_asked(&mut fields, &link.permissions);
    if request.method.is_none() {
        let why = "is missing; name oauth_code, device_flow, access_token or app_installation";
        fields.refuse("method", why);
    }
    let method = request.method.map(|given| method(&mut fields, given));
    fields.finish()?;
    let (Some(host), Some(method)) = (host, method) else {
        // The fields are in order, so both are there.
        return Err(crate::fields::wrong("link", "is incomplete"));
    };
    Ok(NewLink {
        display_name: link.display_name,
        permissions: or_usual(permissions),
        service_account: link.service_account,
        labels: link.labels,
        annotations: link.annotations,
        expected_identity: request.expected_identity,
        allow_personal_account: request.allow_personal_account,
        rotate_token: link.rotate_token,
        validate_only: request.validate_only,
        ..NewLink::new(namespace, host, method, principal.to_owned())
    })
}

/// Checks a request to authorize a link anew, all fields at once.
pub(crate) fn reauthorize(
    request: wire::ReauthorizeLinkRequest,
    (namespace, id): (NamespaceName, LinkId),
    principal: &str,
) -> Result<Reauthorize, Failure> {
    let mut fields = Fields::default();
    let permissions = permissions_asked(&mut fields, &request.permissions);
    let method = request
        .method
        .map(|given| method(&mut fields, as_for_a_new_one(given)));
    fields.finish()?;
    Ok(Reauthorize {
        namespace,
        id,
        method,
        permissions,
        allow_identity_change: request.allow_identity_change,
        allow_personal_account: request.allow_personal_account,
        principal: principal.to_owned(),
        expect: etag(&request.etag)?,
        validate_only: request.validate_only,
    })
}

fn as_for_a_new_one(given: AnewMethod) -> WireMethod {
    match given {
        AnewMethod::OauthCode(given) => WireMethod::OauthCode(given),
        AnewMethod::DeviceFlow(given) => WireMethod::DeviceFlow(given),
        AnewMethod::AccessToken(given) => WireMethod::AccessToken(given),
        AnewMethod::AppInstallation(given) => WireMethod::AppInstallation(given),
    }
}

fn host(fields: &mut Fields, name: &str) -> Option<HostName> {
    match name.strip_prefix("hosts/").map(HostName::parse) {
        Some(parsed) => fields.take("link.host", parsed),
        None => {
            fields.refuse("link.host", "is missing; write it as hosts/{host}");
            None
        }
    }
}

fn permissions_asked(fields: &mut Fields, numbers: &[i32]) -> BTreeSet<PermissionKey> {
    let asked = numbers
        .iter()
        .filter_map(|number| fields.take("link.permissions", common::asked(*number)));
    asked.collect()
}

/// What a link is for whose caller does not say.
fn or_usual(permissions: BTreeSet<PermissionKey>) -> BTreeSet<PermissionKey> {
    if permissions.is_empty() {
        return [
            PermissionKey::Identity,
            PermissionKey::Organizations,
            PermissionKey::ReadCode,
        ]
        .into();
    }
    permissions
}

fn method(fields: &mut Fields, method: WireMethod) -> Method {
    match method {
        WireMethod::OauthCode(code) if code.headless => {
            let why = "is missing; with headless it names the page that receives the code";
            fields.check(!code.return_to.is_empty(), "oauth_code.return_to", why);
            Method::Headless {
                return_to: code.return_to,
            }
        }
        WireMethod::OauthCode(code) => Method::OAuthCode {
            return_to: (!code.return_to.is_empty()).then_some(code.return_to),
        },
        WireMethod::DeviceFlow(wire::DeviceFlow {}) => Method::Device,
        WireMethod::AccessToken(given) => access_token(fields, given),
        WireMethod::AppInstallation(given) => installation(fields, given),
    }
}

fn access_token(fields: &mut Fields, given: wire::AccessToken) -> Method {
    let token = Secret::new(given.token);
    let plain = token.expose().bytes().all(|c| c.is_ascii_graphic());
    fields.check(!token.is_empty(), "access_token.token", "is missing");
    fields.check(
        token.expose().len() <= TOKEN,
        "access_token.token",
        "is longer than 8 KiB",
    );
    fields.check(
        plain,
        "access_token.token",
        "holds blanks or characters that no token has; copy it again",
    );
    fields.text("access_token.username", &given.username, NAME);
    Method::AccessToken {
        token,
        username: given.username,
    }
}

fn installation(fields: &mut Fields, given: wire::AppInstallation) -> Method {
    let id = given.installation_id;
    let plain = id.len() <= 64 && id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    fields.check(
        plain,
        "app_installation.installation_id",
        "is no id of an installation; copy it from its page at the host",
    );
    Method::Installation {
        id: (!id.is_empty()).then_some(id),
    }
}
