//! What a test makes happen: hosts, links, and people who consent.

use std::time::Duration;

use bindery_proto::{
    admin::v1::{Plugin, plugin},
    v1::{
        AuthMethod, AuthMethodKind, DesiredState, Expiring, Flow, Host, Identity, Link, Namespace,
        ObservedState, Organization, Permission, Provider, Ref, Repository, desired_state, host,
        identity, namespace, observed_state::Stage, organization::AccessState, provider, r#ref,
        repository,
    },
};

use super::{
    FakeBindery,
    world::{after, now},
};
use crate::names::{LinkName, RepositoryName};

impl FakeBindery {
    /// Adds a provider whose plugin works.
    pub fn add_provider(&self, id: &str, display_name: &str) {
        let name = format!("providers/{id}");
        let method = AuthMethod {
            kind: AuthMethodKind::OauthCode.into(),
            display_name: format!("{display_name} OAuth"),
            pkce: true,
            ..AuthMethod::default()
        };
        let provider = Provider {
            name: name.clone(),
            display_name: display_name.to_owned(),
            platform_versions: "All".to_owned(),
            trigger_limits: "None".to_owned(),
            plugin_version: "0.1.0".to_owned(),
            state: provider::State::Ready.into(),
            auth_methods: vec![method],
            ..Provider::default()
        };
        let plugin = Plugin {
            name: id.to_owned(),
            version: "0.1.0".to_owned(),
            state: plugin::State::Running.into(),
            sandbox: vec!["seccomp".to_owned(), "landlock".to_owned()],
            ..Plugin::default()
        };
        let mut state = self.world.lock();
        state.providers.insert(name, provider);
        state.plugins.push(plugin);
    }

    /// Adds something that [`Client::diagnose`](crate::Client::diagnose) tells.
    pub fn add_check(&self, check: bindery_proto::admin::v1::Check) {
        self.world.lock().checks.push(check);
    }

    /// Adds a host.
    pub fn add_host(&self, id: &str, provider: &str, web: &str) {
        let name = format!("hosts/{id}");
        let urls = host::Urls {
            web: web.to_owned(),
            ..host::Urls::default()
        };
        let host = Host {
            name: name.clone(),
            provider: format!("providers/{provider}"),
            public_urls: Some(urls),
            create_time: now(),
            etag: "1".to_owned(),
            ..Host::default()
        };
        self.world.lock().hosts.insert(name, host);
    }

    /// Adds a namespace of an organization.
    pub fn add_namespace(&self, id: &str) {
        let name = format!("namespaces/{id}");
        let namespace = Namespace {
            name: name.clone(),
            kind: namespace::Kind::Organization.into(),
            create_time: now(),
            etag: "1".to_owned(),
            ..Namespace::default()
        };
        self.world.lock().namespaces.insert(name, namespace);
    }

    /// Adds a link that is bound to an identity, and returns its name.
    pub fn add_bound_link(&self, namespace: &str, host: &str, login: &str) -> String {
        let parent = format!("namespaces/{namespace}");
        let name = self.add_pending_link(&parent, &format!("hosts/{host}"));
        self.settle(&name, Stage::Bound, Some(identity(login)));
        name
    }

    /// Adds a repository with a branch `main` and a tag `v1.0` to a link.
    pub fn add_repository(&self, link: &str, full_name: &str) {
        let Ok(link_name) = link.parse::<LinkName>() else {
            return;
        };
        let mut state = self.world.lock();
        let id = state.next().to_string();
        let clone_uri = format!("https://forge.example/{full_name}.git");
        let repository = Repository {
            name: RepositoryName::new(&link_name, &*id).into(),
            stable_id: id,
            full_name: full_name.to_owned(),
            default_branch: "main".to_owned(),
            web_uri: clone_uri.trim_end_matches(".git").to_owned(),
            clone_uri,
            visibility: repository::Visibility::Private.into(),
            access: repository::Access::Write.into(),
            ..Repository::default()
        };
        let refs = vec![
            a_ref("refs/heads/main", r#ref::Kind::Branch),
            a_ref("refs/tags/v1.0", r#ref::Kind::Tag),
        ];
        state.refs.insert(repository.stable_id.clone(), refs);
        state
            .repositories
            .entry(link.to_owned())
            .or_default()
            .push(repository);
    }

    /// Adds something that expires.
    pub fn add_expiring(&self, expiring: Expiring) {
        self.world.lock().expiring.push(expiring);
    }

    /// All links of one identity on one host live on one grant from now on, as at GitHub.
    pub fn share_grants(&self) {
        self.world.lock().shared_grants = true;
    }

    /// Adds an organization of a link's identity.
    pub fn add_organization(&self, link: &str, login: &str, access: AccessState, message: &str) {
        let mut state = self.world.lock();
        let stable_id = state.next().to_string();
        let organization = Organization {
            name: format!("{link}/organizations/{stable_id}"),
            stable_id,
            login: login.to_owned(),
            access: access.into(),
            message: message.to_owned(),
            ..Organization::default()
        };
        state
            .organizations
            .entry(link.to_owned())
            .or_default()
            .push(organization);
    }

    /// Plays a person who consents at the provider: the link waits for confirmation.
    pub fn consent(&self, link: &str, login: &str) {
        let pending = identity(login);
        let _ = self.world.edit_link(link, |link| {
            if let Some(flow) = &mut link.flow {
                flow.pending_identity = Some(pending);
            }
            observe(
                link,
                Stage::PendingConfirmation,
                "a person consented; confirm who it is",
            );
        });
    }

    /// Plays the person confirming on Bindery's page: the link is bound.
    pub fn confirm(&self, link: &str) {
        let pending = {
            let state = self.world.lock();
            let flow = state.links.get(link).and_then(|link| link.flow.as_ref());
            flow.and_then(|flow| flow.pending_identity.clone())
        };
        self.settle(link, Stage::Bound, pending);
    }

    /// Puts a link into a stage, for example `NEEDS_REAUTHORIZATION`; a flow that was under way is over.
    pub fn set_stage(&self, link: &str, stage: Stage, message: &str) {
        let _ = self.world.edit_link(link, |link| {
            link.flow = None;
            observe(link, stage, message);
        });
    }

    /// Changes a link as the daemon would: what it shows from now on.
    pub fn change_link(&self, link: &str, change: impl FnOnce(&mut Link)) {
        let _ = self.world.edit_link(link, change);
    }

    /// Seals or unseals the daemon, as its status shows it.
    pub fn set_sealed(&self, sealed: bool) {
        self.world.lock().sealed = sealed;
    }

    fn settle(&self, link: &str, stage: Stage, identity: Option<Identity>) {
        let _ = self.world.edit_link(link, |link| {
            link.flow = None;
            link.identity = identity;
            observe(link, stage, "the link works");
        });
    }

    fn add_pending_link(&self, parent: &str, host: &str) -> String {
        let template = Link {
            host: host.to_owned(),
            ..Link::default()
        };
        let mut state = self.world.lock();
        let id = state.next();
        let name = format!("{parent}/links/link-{id}");
        let link = new_link(&name, template, AuthMethodKind::OauthCode);
        state.links.insert(name.clone(), link);
        name
    }
}

pub(super) fn new_link(name: &str, template: Link, method: AuthMethodKind) -> Link {
    let defaults = [
        Permission::Identity,
        Permission::Organizations,
        Permission::ReadCode,
    ];
    let mut link = Link {
        name: name.to_owned(),
        method: method.into(),
        desired: Some(DesiredState {
            state: desired_state::State::Enabled.into(),
            set_time: now(),
            ..DesiredState::default()
        }),
        create_time: now(),
        etag: "1".to_owned(),
        flow: Some(Flow {
            method: method.into(),
            start_time: now(),
            expire_time: after(Duration::from_secs(600)),
            ..Flow::default()
        }),
        ..template
    };
    if link.permissions.is_empty() {
        link.permissions = defaults.map(i32::from).to_vec();
    }
    observe(
        &mut link,
        Stage::PendingAuthorization,
        "a person has to consent at the provider",
    );
    link
}

pub(super) fn observe(link: &mut Link, stage: Stage, message: &str) {
    link.observed = Some(ObservedState {
        stage: stage.into(),
        message: message.to_owned(),
        since_time: now(),
        ..ObservedState::default()
    });
}

pub(super) fn identity(login: &str) -> Identity {
    Identity {
        stable_id: "583231".to_owned(),
        login: login.to_owned(),
        kind: identity::Kind::User.into(),
        ..Identity::default()
    }
}

fn a_ref(name: &str, kind: r#ref::Kind) -> Ref {
    Ref {
        r#ref: name.to_owned(),
        kind: kind.into(),
        commit_id: "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a".to_owned(),
        is_default: name.ends_with("/main"),
        protected: false,
    }
}
