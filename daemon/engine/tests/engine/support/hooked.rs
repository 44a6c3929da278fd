//! A repository with a hook, and deliveries of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bindery_core::{
    event::{Event, EventChange},
    hook::{Hook, HookPlace, HookSecrets, HookState, KnownRef, KnownRefs},
    link::Link,
    name::{HookId, NamespaceName, SourceId},
    port::{Clock as _, Key, Record, Vault as _},
    provider::{
        Call, Commit, Delivered, DeliveredRepository, Failure, FailureCode, Happening, HookSupport,
        Input, OperationKind, Output, Person, Push, Ref, RefDeleted, RefKind, RepositoryChange,
        RepositoryChanged, Revocation, RevocationOutcome, SentDelivery, SignatureKind,
        SignatureScheme, TagCreated,
    },
    secret::Secret,
    source::{Source, SourceName},
    time::Timestamp,
};
use bindery_engine::intake::{Incoming, Refused, Taken};
use data_encoding::{BASE64, HEXLOWER};
use ring::hmac;

use super::{World, failure, host_name};

/// What the provider has: full name to commit.
pub(crate) type Remote = Arc<Mutex<BTreeMap<String, String>>>;

/// Secret of all hooks here.
pub(crate) const SECRET: &str = "5ecre7";

/// A world in which repository 1 has hook `hook-1`.
pub(crate) struct Hooked {
    pub(crate) world: World,
    pub(crate) link: Link,
    pub(crate) source: SourceName,
    pub(crate) remote: Remote,
    /// What the provider says that it sent, the newest first.
    pub(crate) sent: Arc<Mutex<Vec<SentDelivery>>>,
    /// What it was asked to send again.
    pub(crate) again: Arc<Mutex<Vec<String>>>,
}

impl Hooked {
    pub(crate) async fn new() -> Self {
        Self::of(World::new().await).await
    }

    /// As [`Self::new`], in a world that is there.
    pub(crate) async fn of(world: World) -> Self {
        let link = world.bound(None).await;
        world.plugin.describe_as(|description| {
            description.hooks = support();
            let hooks = [OperationKind::ListDeliveries, OperationKind::Redeliver];
            description.operations.extend(hooks);
        });
        world.plugin.on("ParseDelivery", parse);
        let remote = Remote::default();
        let shown = Arc::clone(&remote);
        world.plugin.on("ListRefs", move |_| {
            let refs = shown.lock().expect("lock");
            let items = refs.iter().map(|(name, commit)| listed(name, commit));
            Ok(Output::Refs {
                items: items.collect(),
                next_cursor: String::new(),
            })
        });
        let sent = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&sent);
        world.plugin.on("ListDeliveries", move |_| {
            Ok(Output::SentDeliveries(shown.lock().expect("lock").clone()))
        });
        let again = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&again);
        world.plugin.on("Redeliver", move |call| {
            if let Input::Redeliver { sent_id, .. } = &call.input {
                asked.lock().expect("lock").push(sent_id.clone());
            }
            Ok(Output::Revocation(Revocation {
                outcome: RevocationOutcome::Done,
                message: String::new(),
                action_uri: String::new(),
            }))
        });
        let source = source_name(&link, "api");
        let hooked = Self {
            world,
            link,
            source,
            remote,
            sent,
            again,
        };
        hooked.hook(1, "hmac").await;
        hooked.source(hooked.source.clone(), |_| {}).await;
        hooked
    }

    /// Repository `n` with hook `hook-{n}`, whose refs are known to be none.
    pub(crate) async fn hook(&self, n: usize, scheme: &str) -> HookId {
        let id = hook_id(n);
        let now = self.world.clock.now();
        let hook = Hook {
            id: id.clone(),
            host: host_name(),
            repository: n.to_string(),
            full_name: format!("acme/api{n}"),
            provider_id: "7".to_owned(),
            scheme: scheme.to_owned(),
            state: HookState::Silent,
            message: String::new(),
            who: None,
            action_uri: String::new(),
            step: None,
            verified: None,
            last_delivery: None,
            last_rejection: None,
            deliveries: (0, 0),
            secret_created: now,
            previous_secret_until: None,
            checked: None,
            caught_up: None,
            reconciled: Some(now),
            reconcile_due: false,
            by_app: false,
            secret_fingerprint: String::new(),
            unknown_since: None,
            sources: vec![self.source.clone()],
            created: now,
        };
        let secrets = HookSecrets {
            current: Secret::new(SECRET.to_owned()),
            previous: None,
            next: None,
        };
        let known = KnownRefs {
            complete: true,
            ..KnownRefs::default()
        };
        let world = &self.world;
        world.put(Key::Hook(id.clone()), Record::Hook(hook)).await;
        world
            .put(Key::HookSecrets(id.clone()), Record::HookSecrets(secrets))
            .await;
        world
            .put(Key::KnownRefs(id.clone()), Record::KnownRefs(known))
            .await;
        id
    }

    /// A source of hook 1.
    pub(crate) async fn source(&self, name: SourceName, change: impl FnOnce(&mut Source)) {
        let mut source = Source {
            namespace: name.namespace.clone(),
            link: name.link.clone(),
            id: name.source.clone(),
            host: host_name(),
            repository: "1".to_owned(),
            full_name: "acme/api1".to_owned(),
            display_name: String::new(),
            rules: Vec::new(),
            max_triggers_per_minute: 0,
            ignore_skip_marks: false,
            paused: false,
            reconcile: None,
            hook: hook_id(1),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            created_by: "uid:1000".to_owned(),
            created: Timestamp::default(),
            updated: Timestamp::default(),
            behind: None,
            disconnected: None,
        };
        change(&mut source);
        let key = Key::Source(name.namespace.clone(), name.link.clone(), name.source);
        self.world.put(key, Record::Source(source)).await;
    }

    /// Repository 1 is served by the hook of the host's app, which is `hook-9`.
    pub(crate) async fn serve_by_app(&self) {
        let app = self.hook(9, "hmac").await;
        let change = |hook: &mut Hook| {
            hook.repository.clear();
            hook.sources.clear();
            hook.checked = Some(hook.created);
        };
        self.change_hook(9, change).await;
        self.change_hook(1, |hook| {
            hook.by_app = true;
            hook.provider_id.clear();
            hook.checked = Some(hook.created);
        })
        .await;
        for (repository, hook) in [("", app), ("1", hook_id(1))] {
            let place = HookPlace {
                host: host_name(),
                repository: repository.to_owned(),
                hook,
            };
            let key = Key::HookPlace(host_name(), repository.to_owned());
            self.world.put(key, Record::HookPlace(place)).await;
        }
    }

    pub(crate) async fn change_hook(&self, n: usize, change: impl FnOnce(&mut Hook)) {
        let mut hook = self.read_hook(n).await;
        change(&mut hook);
        self.world
            .put(Key::Hook(hook_id(n)), Record::Hook(hook))
            .await;
    }

    pub(crate) async fn read_hook(&self, n: usize) -> Hook {
        match self.record(Key::Hook(hook_id(n))).await {
            Some(Record::Hook(hook)) => hook,
            other => panic!("{other:?}"),
        }
    }

    /// What is known of a ref.
    pub(crate) async fn known(&self, reference: &str) -> Option<KnownRef> {
        match self.record(Key::KnownRefs(hook_id(1))).await {
            Some(Record::KnownRefs(known)) => known.refs.get(reference).cloned(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn record(&self, key: Key) -> Option<Record> {
        let found = self.world.vault.get(&key).await.expect("vault");
        found.map(|entry| entry.record)
    }

    /// A delivery to hook `n`, signed as GitHub does.
    pub(crate) async fn deliver(&self, n: usize, id: &str, body: &str) -> Result<Taken, Refused> {
        self.world.engine.take_delivery(signed(n, id, body)).await
    }

    /// A delivery to hook 1 that is taken, and processed.
    pub(crate) async fn happen(&self, id: &str, body: &str) {
        self.deliver(1, id, body).await.expect("taken");
        self.world.engine.process_deliveries().await;
    }

    /// All events of a namespace about what happened at the provider, in words.
    pub(crate) async fn told_in(&self, namespace: &NamespaceName) -> Vec<String> {
        let events = self.events_of(namespace).await;
        events.iter().filter_map(words).collect()
    }

    pub(crate) async fn told(&self) -> Vec<String> {
        self.told_in(&super::acme()).await
    }

    /// All events of a namespace; their numbers have no gap.
    pub(crate) async fn events_of(&self, namespace: &NamespaceName) -> Vec<Event> {
        let head = self.record(Key::EventHead(namespace.clone())).await;
        let Some(Record::EventHead(head)) = head else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for n in 1..=head.last {
            match self.record(Key::Event(namespace.clone(), n)).await {
                Some(Record::Event(event)) => all.push(event),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    /// What the provider has from now on.
    pub(crate) fn remote(&self, refs: &[(&str, &str)]) {
        let all = refs
            .iter()
            .map(|(name, commit)| ((*name).to_owned(), (*commit).to_owned()));
        *self.remote.lock().expect("lock") = all.collect();
    }
}

pub(crate) fn source_name(link: &Link, id: &str) -> SourceName {
    SourceName {
        namespace: link.namespace.clone(),
        link: link.id.clone(),
        source: SourceId::parse(id).expect("name"),
    }
}

pub(crate) fn hook_id(n: usize) -> HookId {
    HookId::parse(&format!("hook-{n}")).expect("name")
}

fn hex(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    HEXLOWER.encode(hmac::sign(&key, body).as_ref())
}

pub(crate) fn signed(n: usize, id: &str, body: &str) -> Incoming {
    let sign = format!("sha256={}", hex(SECRET, body.as_bytes()));
    incoming(
        n,
        &[
            ("x-forge-event", "push"),
            ("x-forge-delivery", id),
            ("x-forge-signature", &sign),
            ("x-forge-extra", "extra"),
            ("authorization", "Bearer BNDRYCANARY"),
        ],
        body,
    )
}

/// As Gitee signs: the time and the secret, and not the body.
pub(crate) fn weakly_signed(n: usize, ms: u64, body: &str) -> Incoming {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let text = format!("{ms}\n{SECRET}");
    let sign = BASE64.encode(hmac::sign(&key, text.as_bytes()).as_ref());
    incoming(
        n,
        &[
            ("x-forge-event", "push"),
            ("x-forge-time", &ms.to_string()),
            ("x-forge-token", &sign),
        ],
        body,
    )
}

pub(crate) fn incoming(n: usize, headers: &[(&str, &str)], body: &str) -> Incoming {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    Incoming {
        hook: format!("hook-{n}"),
        headers: headers.collect(),
        body: body.as_bytes().to_vec(),
    }
}

fn support() -> HookSupport {
    let scheme = |name: &str, kind, header: &str| SignatureScheme {
        name: name.to_owned(),
        kind,
        header: header.to_owned(),
        prefix: String::new(),
        timestamp_header: String::new(),
        weak: false,
    };
    HookSupport {
        schemes: vec![
            SignatureScheme {
                prefix: "sha256=".to_owned(),
                ..scheme("hmac", SignatureKind::BodyHmacSha256, "x-forge-signature")
            },
            SignatureScheme {
                timestamp_header: "x-forge-time".to_owned(),
                weak: true,
                ..scheme("time", SignatureKind::TimestampHmacSha256, "x-forge-token")
            },
            SignatureScheme {
                weak: true,
                ..scheme("token", SignatureKind::Token, "x-forge-token")
            },
        ],
        event_header: "x-forge-event".to_owned(),
        id_headers: vec!["x-forge-delivery".to_owned()],
        headers: vec!["x-forge-extra".to_owned(), "x-forge-token".to_owned()],
        form_member: String::new(),
        failures_disable: false,
        hooks_per_repository: 20,
    }
}

/// Bodies of this forge are lines: `push {ref} {before} {after} [message]`, `tag {ref} {commit}`, `delete {ref} {commit}`,
/// `rename {name}`, `transfer {name}`, `named {name}`, `deleted`, `access`, `installation {id}`, `revoked {user}`, `ping`, `truncated`, `repository {id}`; `-` is nothing. Anything else it can't read.
fn parse(call: &Call) -> Result<Output, Failure> {
    let Input::ParseDelivery { body, .. } = &call.input else {
        return Err(failure(FailureCode::Protocol));
    };
    let text = String::from_utf8(body.clone()).expect("text");
    let mut delivered = Delivered {
        repository: Some(DeliveredRepository {
            stable_id: String::new(),
            full_name: "acme/api1".to_owned(),
        }),
        ..Delivered::default()
    };
    for line in text.lines() {
        let words: Vec<_> = line.splitn(5, ' ').collect();
        if !parse_line(&mut delivered, &words) {
            return Err(failure(FailureCode::InvalidArgument));
        }
    }
    Ok(Output::Delivered(delivered))
}

fn parse_line(delivered: &mut Delivered, words: &[&str]) -> bool {
    let word = |n: usize| match words.get(n) {
        Some(&"-") | None => String::new(),
        Some(word) => (*word).to_owned(),
    };
    let happening = match words[0] {
        "push" => Happening::Push(Push {
            reference: word(1),
            before: word(2),
            after: word(3),
            commits: vec![Commit {
                id: word(3),
                message: word(4),
                ..Commit::default()
            }],
            ..Push::default()
        }),
        "tag" => Happening::TagCreated(TagCreated {
            reference: word(1),
            commit: word(2),
            ..TagCreated::default()
        }),
        "delete" => Happening::RefDeleted(RefDeleted {
            reference: word(1),
            before: word(2),
        }),
        "rename" => {
            if let Some(repository) = &mut delivered.repository {
                repository.full_name = word(1);
            }
            Happening::RepositoryChanged(RepositoryChanged {
                kind: RepositoryChange::Renamed,
                before: "acme/api1".to_owned(),
                after: word(1),
            })
        }
        "transfer" => Happening::RepositoryChanged(RepositoryChanged {
            kind: RepositoryChange::Transferred,
            before: String::new(),
            after: word(1),
        }),
        "named" => {
            if let Some(repository) = &mut delivered.repository {
                repository.full_name = word(1);
            }
            return true;
        }
        "deleted" => Happening::RepositoryChanged(RepositoryChanged {
            kind: RepositoryChange::Deleted,
            before: "acme/api1".to_owned(),
            after: String::new(),
        }),
        "access" | "installation" => {
            delivered.access_changed = true;
            delivered.installation_id = word(1);
            return true;
        }
        "revoked" => {
            delivered.access_changed = true;
            delivered.actor = Some(Person {
                stable_id: word(1),
                ..Person::default()
            });
            return true;
        }
        "repository" => {
            if let Some(repository) = &mut delivered.repository {
                repository.stable_id = word(1);
            }
            return true;
        }
        "ping" => {
            delivered.ping = true;
            return true;
        }
        "truncated" => {
            delivered.truncated = true;
            return true;
        }
        _ => return false,
    };
    delivered.happenings.push(happening);
    true
}

fn listed(name: &str, commit: &str) -> Ref {
    let (kind, name) = match name.strip_prefix("refs/tags/") {
        Some(tag) => (RefKind::Tag, tag),
        None => (RefKind::Branch, name.trim_start_matches("refs/heads/")),
    };
    Ref {
        name: name.to_owned(),
        kind,
        commit: commit.to_owned(),
        protected: false,
    }
}

/// An event in the words of a body.
fn words(event: &Event) -> Option<String> {
    let EventChange::Provider(happening) = &event.change else {
        return None;
    };
    Some(match happening {
        Happening::Push(push) => {
            let before = if push.before.is_empty() {
                "-"
            } else {
                &push.before
            };
            format!("push {} {before} {}", push.reference, push.after)
        }
        Happening::TagCreated(tag) => format!("tag {} {}", tag.reference, tag.commit),
        Happening::RefDeleted(deleted) => {
            format!("delete {} {}", deleted.reference, deleted.before)
        }
        Happening::RepositoryChanged(changed) => format!("rename {}", changed.after),
    })
}
