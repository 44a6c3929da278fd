//! What can be told about a host's secrets: which they are, since when, until when.

use bindery_core::{
    host::{Host, HostSecrets, SecretFact, SecretKind},
    secret::Secret,
    time::Timestamp,
};
use ring::hmac;

/// Sixteen hexadecimal digits that tell two secrets of a host apart, and nothing about either without the host's key.
pub(crate) fn fingerprint(key: &[u8; 16], secret: &Secret) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, secret.expose().as_bytes());
    data_encoding::HEXLOWER.encode(&tag.as_ref()[..8])
}

/// Makes the facts those of `secrets`. What was known about a secret stays with it, at whichever place it is now.
pub(super) fn renew(host: &mut Host, secrets: &HostSecrets, now: Timestamp) {
    let old = std::mem::take(&mut host.secret_facts);
    let fact = |(kind, secret): (SecretKind, &Secret)| {
        let fingerprint = fingerprint(&host.fingerprint_key, secret);
        let same =
            |fact: &&SecretFact| same_sort(fact.kind, kind) && fact.fingerprint == fingerprint;
        match old.iter().find(same) {
            Some(known) => SecretFact {
                kind,
                ..known.clone()
            },
            None => SecretFact {
                kind,
                fingerprint,
                created: now,
                expires: None,
                taken: None,
                refused: None,
            },
        }
    };
    host.secret_facts = all(secrets).map(fact).collect();
}

/// Notes when client secrets and the app's key end.
pub(super) fn set_ends(
    host: &mut Host,
    clients: Option<&[Option<Timestamp>]>,
    key: Option<Option<Timestamp>>,
) {
    for fact in &mut host.secret_facts {
        match (fact.kind, clients, key) {
            (SecretKind::ClientSecret(place), Some(ends), _) => {
                fact.expires = ends.get(place as usize).copied().flatten();
            }
            (SecretKind::AppKey, _, Some(end)) => fact.expires = end,
            _ => {}
        }
    }
}

fn all(secrets: &HostSecrets) -> impl Iterator<Item = (SecretKind, &Secret)> {
    let clients = secrets.client_secrets.iter().zip(0..);
    let clients = clients.map(|(secret, place)| (SecretKind::ClientSecret(place), secret));
    let others = [
        (SecretKind::AppKey, &secrets.app_private_key),
        (SecretKind::ClientKey, &secrets.client_key),
        (SecretKind::ProxyPassword, &secrets.proxy_password),
    ];
    let others = others.into_iter();
    clients.chain(others.filter_map(|(kind, secret)| Some((kind, secret.as_ref()?))))
}

/// Client secrets are of one sort wherever they stand.
fn same_sort(one: SecretKind, other: SecretKind) -> bool {
    let client = |kind| matches!(kind, SecretKind::ClientSecret(_));
    one == other || (client(one) && client(other))
}
