//! `OperationRequest`: what a plugin is asked for

use bindery_core::provider::{
    AuthKind, Call, CredentialFacts, Input, Permission, RefKind, WantedHook,
};
use bindery_plugin_proto::v1::{self, operation_request};

use super::description::SCHEMA;

/// The message of a call.
pub(crate) fn request(call: Call) -> v1::OperationRequest {
    v1::OperationRequest {
        schema: SCHEMA,
        now_unix_ms: call.now.unix_ms(),
        random_seed: call.seed.to_vec(),
        api_base: call.api_base,
        web_base: call.web_base,
        settings: call.settings,
        edition: call.edition,
        credential: Some(credential(call.credential)),
        input: Some(input(call.input)),
    }
}

fn credential(facts: CredentialFacts) -> v1::Credential {
    v1::Credential {
        auth_kind: facts
            .auth_kind
            .map_or(v1::AuthKind::Unspecified, auth_kind)
            .into(),
        token_kind: facts.token_kind,
        scopes: facts.scopes,
        client_id: facts.client_id,
        login: facts.login,
        username: facts.username,
        app_id: facts.app_id,
        installation_id: facts.installation_id,
    }
}

const fn auth_kind(kind: AuthKind) -> v1::AuthKind {
    match kind {
        AuthKind::OAuthCode => v1::AuthKind::OauthCode,
        AuthKind::Device => v1::AuthKind::Device,
        AuthKind::AccessToken => v1::AuthKind::AccessToken,
        AuthKind::AppInstallation => v1::AuthKind::AppInstallation,
    }
}

fn input(input: Input) -> operation_request::Input {
    use operation_request::Input as Out;
    match input {
        Input::Identify => Out::Identify(v1::Identify {}),
        Input::InspectToken => Out::InspectToken(v1::InspectToken {}),
        Input::ListOrganizations { page_size } => {
            Out::ListOrganizations(v1::ListOrganizations { page_size })
        }
        Input::ListRepositories {
            owner,
            query,
            cursor,
            page_size,
            max_pages,
        } => Out::ListRepositories(v1::ListRepositories {
            owner,
            query,
            page_size,
            cursor,
            max_pages,
        }),
        Input::GetRepository { repository } => Out::GetRepository(v1::GetRepository { repository }),
        Input::ListRefs {
            repository,
            kind,
            cursor,
            page_size,
            max_pages,
        } => {
            let kind = ref_kind(kind).into();
            Out::ListRefs(v1::ListRefs {
                repository,
                kind,
                page_size,
                cursor,
                max_pages,
            })
        }
        Input::Revoke { whole_grant } => Out::Revoke(v1::Revoke { whole_grant }),
        Input::Probe => Out::Probe(v1::Probe {}),
        Input::MintToken {
            repositories,
            permissions,
        } => {
            let permissions = permissions.into_iter().map(permission).map(i32::from);
            Out::MintToken(v1::MintToken {
                repositories,
                permissions: permissions.collect(),
            })
        }
        Input::RotateToken { expires } => Out::RotateToken(v1::RotateToken {
            expire_unix: expires.map_or(0, |when| {
                i64::try_from(when.unix_seconds()).unwrap_or(i64::MAX)
            }),
        }),
        Input::GetInstallation {
            installation_id,
            as_person,
        } => Out::GetInstallation(v1::GetInstallation {
            installation_id,
            as_person,
        }),
        Input::ListHooks {
            repository,
            max_pages,
        } => Out::ListHooks(v1::ListHooks {
            repository,
            max_pages,
        }),
        Input::CreateHook {
            repository,
            hook: WantedHook { url, scheme },
        } => Out::CreateHook(v1::CreateHook {
            repository,
            url,
            scheme,
        }),
        Input::UpdateHook {
            repository,
            hook_id,
            hook: WantedHook { url, scheme },
        } => Out::UpdateHook(v1::UpdateHook {
            repository,
            hook_id,
            url,
            scheme,
        }),
        Input::DeleteHook {
            repository,
            hook_id,
        } => Out::DeleteHook(v1::DeleteHook {
            repository,
            hook_id,
        }),
        Input::PingHook {
            repository,
            hook_id,
            url,
        } => Out::PingHook(v1::PingHook {
            repository,
            hook_id,
            url,
        }),
        Input::ListDeliveries {
            repository,
            hook_id,
            since,
        } => Out::ListDeliveries(v1::ListDeliveries {
            repository,
            hook_id,
            since_unix_ms: since.unix_ms(),
        }),
        Input::Redeliver {
            repository,
            hook_id,
            sent_id,
        } => Out::Redeliver(v1::Redeliver {
            repository,
            hook_id,
            sent_id,
        }),
        Input::ParseDelivery {
            event,
            headers,
            body,
        } => Out::ParseDelivery(v1::ParseDelivery {
            event,
            headers: headers.into_iter().map(plain_header).collect(),
            body,
        }),
    }
}

fn plain_header((name, value): (String, String)) -> v1::PlainHeader {
    v1::PlainHeader { name, value }
}

const fn permission(permission: Permission) -> v1::Permission {
    match permission {
        Permission::Identity => v1::Permission::Identity,
        Permission::Organizations => v1::Permission::Organizations,
        Permission::ReadCode => v1::Permission::ReadCode,
        Permission::WriteCode => v1::Permission::WriteCode,
        Permission::Webhooks => v1::Permission::Webhooks,
    }
}

const fn ref_kind(kind: Option<RefKind>) -> v1::RefKind {
    match kind {
        None => v1::RefKind::Unspecified,
        Some(RefKind::Branch) => v1::RefKind::Branch,
        Some(RefKind::Tag) => v1::RefKind::Tag,
    }
}
