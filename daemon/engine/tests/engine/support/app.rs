//! An app of the host, and links that are installations of it.

use bindery_core::{
    host::{App, Host, HostSecrets},
    link::{Grant, Link, Stage},
    name::LinkId,
    port::{Change, Clock as _, Expect, Key, Record, Vault as _},
    provider::AuthKind,
    secret::Secret,
};

use super::{World, acme, host_name, octo};

impl World {
    /// Gives the host an app and its private key.
    pub(crate) async fn give_app(&self) {
        let mut host: Host = self.engine.host(&host_name()).await.expect("host").record;
        host.app = Some(App {
            app_id: "7".to_owned(),
            slug: "bindery".to_owned(),
        });
        let secrets = HostSecrets {
            client_secrets: vec![Secret::new("s3cret".to_owned())],
            app_private_key: Some(Secret::new("key".to_owned())),
            ..HostSecrets::default()
        };
        let origins = host.allowed_origins().expect("origins");
        self.put(
            Key::HostSecrets(host_name(), origins),
            Record::HostSecrets(secrets),
        )
        .await;
        self.put(Key::Host(host_name()), Record::Host(host)).await;
    }

    /// A bound link of installation `installation` with the broad token `m0`, which lives an hour.
    pub(crate) async fn installed(&self, id: &str, installation: &str) -> LinkId {
        let (id, now) = (LinkId::parse(id).expect("name"), self.clock.now());
        let expires = Some(now.after(std::time::Duration::from_secs(3600)));
        let mut link = Link::new(
            acme(),
            id.clone(),
            host_name(),
            AuthKind::AppInstallation,
            now,
        );
        link.installation_id = installation.to_owned();
        link.identity = Some(octo());
        (link.generation, link.refreshable, link.token_expires) = (1, true, expires);
        link.observe(Stage::Bound, "", now);
        let grant = Grant {
            access_token: Secret::new("m0".to_owned()),
            refresh_token: None,
            expires,
            obtained: now,
            generation: 1,
        };
        let host = self.engine.host(&host_name()).await.expect("host").record;
        let origins = host.allowed_origins().expect("origins");
        let key = Key::Grant(acme(), id.clone(), host_name(), origins);
        self.put(key, Record::Grant(grant)).await;
        self.put(Key::Link(acme(), id.clone()), Record::Link(link))
            .await;
        id
    }

    /// Puts a record into the store, as another release or another call would have left it.
    pub(crate) async fn put(&self, key: Key, record: Record) {
        let change = Change {
            key,
            expect: Expect::Any,
            write: Some(record),
        };
        self.vault.commit(vec![change]).await.expect("record");
    }
}
