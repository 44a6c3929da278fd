//! What is sealed opens only as what was asked for.

use bindery_core::{
    name::{FlowId, HookId, HostName, LinkId, NamespaceName, SourceId, SubscriptionId, TriggerId},
    origin::{Origin, OriginSet},
    port::Key as Asked,
    source::SourceName,
    time::Timestamp,
};

use super::*;
use crate::{crypto::Key, ring::KeyRing};

/// K2: of all records under all keys, each opens under its own key only.
#[test]
fn k2_moved_records_do_not_open() {
    let keys = keys();
    let asked = all_keys();
    let sealed: Vec<_> = asked.iter().map(|key| seal(&keys, key, 1)).collect();
    for (at, key) in asked.iter().enumerate() {
        for (from, value) in sealed.iter().enumerate() {
            let opened = keys.open_record(&keys.address(key), value);
            assert_eq!(
                opened.is_ok(),
                at == from,
                "{key:?} opened {:?}",
                asked[from]
            );
        }
    }
}

/// K2: of 500 records, none opens with a field that another one has in its place: epoch, version, binding, envelope, or
/// all of them. All pairs with `BINDERY_FIGURES=full`; a share of them without.
#[test]
fn k2_exchanged_fields_do_not_open() {
    let keys = keys();
    let mut asked = all_keys();
    let host = HostName::parse("forge").unwrap();
    for n in 0.. {
        if asked.len() >= 500 {
            break;
        }
        let namespace = NamespaceName::parse(&format!("n{}", n % 7)).unwrap();
        let link = LinkId::parse(&format!("l{n}")).unwrap();
        let origins = OriginSet::new(vec![
            Origin::parse(&format!("https://f{}.example", n % 5)).unwrap(),
        ]);
        asked.push(Asked::Link(namespace.clone(), link.clone()));
        asked.push(Asked::Grant(namespace, link, host.clone(), origins));
    }
    let versions = 1..;
    let sealed = asked.iter().zip(versions);
    let sealed: Vec<_> = sealed
        .map(|(key, version)| seal(&keys, key, version))
        .collect();
    let full = std::env::var("BINDERY_FIGURES").is_ok_and(|text| text == "full");
    let (step, mut pairs, mut accepted) = (if full { 1 } else { 17 }, 0, 0);
    for at in (0..asked.len()).step_by(step) {
        let address = keys.address(&asked[at]);
        for from in (0..asked.len()).filter(|from| *from != at) {
            for field in [
                6..10,
                10..18,
                18..34,
                34..sealed[at].len(),
                0..sealed[at].len(),
            ] {
                let mut value = sealed[at].clone();
                let other = &sealed[from][field.start..];
                let other = &other[..other.len().min(field.len())];
                if value[field.clone()] == *other {
                    continue;
                }
                value.splice(field, other.iter().copied());
                pairs += 1;
                accepted += usize::from(keys.open_record(&address, &value).is_ok());
            }
        }
    }
    println!(
        "figure: K2: {pairs} exchanged fields among {} records, {accepted} accepted",
        asked.len()
    );
    assert_eq!(accepted, 0);
}

/// K2: no value with one changed byte, or with one byte less, opens; neither does another vault's.
#[test]
fn k2_changed_values_do_not_open() {
    let keys = keys();
    for key in all_keys().iter().step_by(7) {
        let value = seal(&keys, key, 3);
        let address = keys.address(key);
        for at in 0..value.len() {
            for bit in [1, 0x80] {
                let mut changed = value.clone();
                changed[at] ^= bit;
                assert!(keys.open_record(&address, &changed).is_err(), "byte {at}");
            }
            assert!(keys.open_record(&address, &value[..at]).is_err());
        }
        assert!(self::keys().open_record(&address, &value).is_err());
    }
}

/// K3: the credentials of a link open for its host and exactly its origins only.
#[test]
fn k3_other_origins_do_not_open() {
    let keys = keys();
    let origin = |text| Origin::parse(text).unwrap();
    let right = grant(
        "forge",
        OriginSet::new(vec![origin("https://forge.example")]),
    );
    let value = seal(&keys, &right, 1);
    assert!(keys.open_record(&keys.address(&right), &value).is_ok());
    for wrong in [
        grant(
            "evil",
            OriginSet::new(vec![origin("https://forge.example")]),
        ),
        grant(
            "forge",
            OriginSet::new(vec![origin("https://evil.example")]),
        ),
        grant(
            "forge",
            OriginSet::new(vec![origin("http://forge.example")]),
        ),
        grant(
            "forge",
            OriginSet::new(vec![origin("https://forge.example:444")]),
        ),
        grant("forge", OriginSet::default()),
        grant(
            "forge",
            OriginSet::new(vec![
                origin("https://evil.example"),
                origin("https://forge.example"),
            ]),
        ),
    ] {
        assert!(
            keys.open_record(&keys.address(&wrong), &value).is_err(),
            "{wrong:?}"
        );
    }
}

/// Re-sealing keeps version and binding, uses the new epoch, and does nothing twice.
#[test]
fn resealing_keeps_everything_else() {
    let old = keys();
    let key = grant("forge", OriginSet::default());
    let value = seal(&old, &key, 9);
    let ring = old.ring.rotated(Timestamp::default()).unwrap();
    let new = old.with_ring(ring).unwrap();
    let address = new.address(&key);
    let again = new.reseal(&address.place, &value).unwrap().unwrap();
    assert_eq!(Prefix::parse(&again).unwrap().0.epoch, 2);
    let (version, plaintext) = new.open_record(&address, &again).unwrap();
    assert_eq!((version, plaintext.as_slice()), (9, b"text".as_slice()));
    assert_eq!(new.reseal(&address.place, &again), Ok(None));
    assert!(old.open_record(&address, &again).is_err());
}

/// Values are padded to steps, and what is too long is refused before it is sealed.
#[test]
fn lengths_are_hidden_and_bounded() {
    let keys = keys();
    let address = keys.address(&all_keys()[0]);
    let length = |bytes: usize| {
        let sealed = keys.seal_record(&address, 1, &vec![1; bytes]);
        sealed.map(|value| value.len())
    };
    assert_eq!(length(0), length(252));
    assert_eq!(length(253).unwrap(), length(252).unwrap() + 256);
    assert!(length(524_000).unwrap() <= 512 << 10);
    assert_eq!(length(524_288), Err(CannotSeal::TooLong(512 << 10)));
}

fn seal(keys: &Keys, key: &Asked, version: u64) -> Vec<u8> {
    keys.seal_record(&keys.address(key), version, b"text")
        .unwrap()
}

fn keys() -> Keys {
    let ring = KeyRing::new(Timestamp::default()).unwrap();
    Keys::new(
        crate::crypto::random().unwrap(),
        Key::random().unwrap(),
        Key::random().unwrap(),
        ring,
    )
    .unwrap()
}

/// Keys of all kinds, with names that run into each other if lengths are not sealed.
fn all_keys() -> Vec<Asked> {
    let names = ["a", "ab", "b", "abc", "c"];
    let mut all = Vec::new();
    for name in names {
        let host = HostName::parse(name).unwrap();
        let origins = OriginSet::new(vec![Origin::parse("https://forge.example").unwrap()]);
        all.push(Asked::Host(host.clone()));
        all.push(Asked::HostSecrets(host.clone(), origins.clone()));
        all.push(Asked::Namespace(NamespaceName::parse(name).unwrap()));
        all.push(Asked::Flow(FlowId::parse(name).unwrap()));
        all.push(Asked::Request(name.to_owned()));
        for id in names {
            let (namespace, id) = (
                NamespaceName::parse(name).unwrap(),
                LinkId::parse(id).unwrap(),
            );
            all.push(Asked::Link(namespace.clone(), id.clone()));
            all.push(Asked::Intent(namespace.clone(), id.clone()));
            all.push(Asked::Receipt(namespace.clone(), id.clone()));
            all.extend(source_keys(&namespace, &id));
            all.push(Asked::Grant(namespace, id, host.clone(), origins.clone()));
        }
        all.extend(hook_keys(name));
    }
    all
}

/// Keys below a link, whose parts run into each other if they are not told apart.
fn source_keys(namespace: &NamespaceName, link: &LinkId) -> Vec<Asked> {
    let mut all = vec![Asked::EventHead(namespace.clone())];
    all.retain(|_| link.as_str() == "a");
    for id in ["c", "bc"] {
        let source = SourceName {
            namespace: namespace.clone(),
            link: link.clone(),
            source: SourceId::parse(id).unwrap(),
        };
        for trigger in ["b", "c"].map(|trigger| TriggerId::parse(trigger).unwrap()) {
            all.push(Asked::Trigger(source.clone(), trigger.clone()));
            all.push(Asked::TriggerSecret(source.clone(), trigger));
        }
        all.push(Asked::Source(source.namespace, source.link, source.source));
    }
    let subscription = SubscriptionId::parse(link.as_str()).unwrap();
    for number in [1, 11] {
        all.push(Asked::Outgoing(
            namespace.clone(),
            subscription.clone(),
            number,
        ));
    }
    all.push(Asked::Subscription(namespace.clone(), subscription.clone()));
    all.push(Asked::SubscriptionSecret(namespace.clone(), subscription));
    all
}

/// Keys that belong to no namespace.
fn hook_keys(name: &str) -> Vec<Asked> {
    let hook = HookId::parse(name).unwrap();
    let host = HostName::parse(name).unwrap();
    vec![
        Asked::Hook(hook.clone()),
        Asked::HookSecrets(hook.clone()),
        Asked::KnownRefs(hook.clone()),
        Asked::HookPlace(host.clone(), "a".to_owned()),
        Asked::HookPlace(host, "b/a".to_owned()),
        Asked::DeliveryMark(hook.clone(), [1; 32]),
        Asked::DeliveryMark(hook, [2; 32]),
        Asked::TriggerPlace(name.to_owned()),
        Asked::Delivery(name.len() as u64 * 256 + u64::from(name.as_bytes()[0])),
    ]
}

fn grant(host: &str, origins: OriginSet) -> Asked {
    Asked::Grant(
        NamespaceName::parse("acme").unwrap(),
        LinkId::parse("l").unwrap(),
        HostName::parse(host).unwrap(),
        origins,
    )
}
