use super::*;

use self::right::{Right, gitea, hex, one_of_each, schemes, standard};

mod recorded;
mod right;

/// The deliveries here are in the words of the providers' documentation, and every scheme that a plugin describes has one.
#[test]
fn each_scheme_has_a_delivery_that_holds() {
    let all = one_of_each();
    for (provider, scheme) in schemes() {
        let right = all.iter().find(|right| right.scheme == scheme);
        let right = right.unwrap_or_else(|| panic!("{provider} {}", scheme.name));
        assert!(right.holds(), "{provider} {}", scheme.name);
    }
}

/// W4: what proves a delivery under one scheme proves nothing under any other, the weaker ones included.
#[test]
fn w4_no_header_counts_in_another_mode() {
    let all = one_of_each();
    for (n, mode) in all.iter().enumerate() {
        for (m, sent) in all.iter().enumerate() {
            let tried = Right {
                scheme: mode.scheme.clone(),
                ..sent.clone()
            };
            assert_eq!(tried.holds(), n == m, "{} in {}", m, n);
        }
        let mut both = mode.clone();
        let other = all
            .iter()
            .find(|one| one.scheme.header != mode.scheme.header);
        both.headers.extend(other.expect("another").headers.clone());
        assert!(both.holds(), "{n}: the others are passed over");
    }
}

/// W1: an empty or missing secret or signature is a rejection, and so is one that two might read differently.
#[test]
fn w1_nothing_is_no_proof() {
    for right in one_of_each() {
        assert!(right.holds());
        for secret in ["", "whsec_"] {
            let empty = Secret::new(secret.to_owned());
            let mut forged = right.clone();
            secret.clone_into(&mut forged.secret);
            assert!(!forged.holds_for(&[&empty]), "{right:?}");
        }
        assert!(!right.holds_for(&[]));
        let secrets = HookSecrets {
            current: Secret::new(String::new()),
            previous: Some((Secret::new(String::new()), right.now.after(STANDARD_WINDOW))),
            next: Some(Secret::new(String::new())),
        };
        assert!(accepted(&secrets, right.now).is_empty());
        for at in 0..right.headers.len() {
            let mut missing = right.clone();
            let header = missing.headers.remove(at);
            assert!(!missing.holds(), "{header:?}");
            let mut doubled = right.clone();
            doubled.headers.push(header.clone());
            assert!(!doubled.holds(), "{header:?}");
            let mut empty = right.clone();
            empty.headers[at].1 = right.scheme.prefix.clone().into_bytes();
            assert!(!empty.holds(), "{header:?}");
        }
    }
    let unsigned = hex("", b"{}");
    let forged = Right::new(gitea(), "", &[("x-gitea-signature", &unsigned)], b"{}");
    assert!(!forged.holds_for(&accepted(
        &HookSecrets {
            current: Secret::new(String::new()),
            previous: None,
            next: None
        },
        forged.now
    )));
}

/// W3: a signed time counts for its window only, before and after.
#[test]
fn w3_times_have_windows() {
    for right in one_of_each() {
        let window = match right.scheme.kind {
            SignatureKind::StandardWebhooks => STANDARD_WINDOW,
            SignatureKind::TimestampHmacSha256 => GITEE_WINDOW,
            _ => continue,
        };
        let (second, ms) = (Duration::from_secs(1), right.now.unix_ms());
        let early = |by: Duration| {
            let by = u64::try_from(by.as_millis()).expect("small");
            right.clone().at(Timestamp::from_unix_ms(ms - by))
        };
        let late = |by| right.clone().at(right.now.after(by));
        assert!(late(window).holds() && early(window).holds());
        assert!(!late(window + second).holds() && !early(window + second).holds());
    }
}

/// Old, current and next secret are accepted as long as they are meant to be; of several signatures one is enough.
#[test]
fn secrets_overlap() {
    let now = Timestamp::from_unix_ms(10_000);
    let secret = |text: &str| Secret::new(text.to_owned());
    let secrets = HookSecrets {
        current: secret("current"),
        previous: Some((secret("previous"), now)),
        next: Some(secret("next")),
    };
    let texts = |now| {
        let all = accepted(&secrets, now);
        all.iter()
            .map(|one| one.expose().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(now), ["current", "next"]);
    let before = Timestamp::from_unix_ms(9_999);
    assert_eq!(texts(before), ["current", "next", "previous"]);
    let mut rotated = one_of_each()
        .into_iter()
        .find(|right| right.scheme == standard())
        .expect("one");
    let right = rotated.headers[2].1.clone();
    rotated.headers[2].1 = [b"v2,abc v1,AAAA ".as_slice(), &right].concat();
    assert!(rotated.holds());
}

/// L1: a provider that writes the hook's secret into its deliveries does not make us keep or show it.
#[test]
fn l1_no_secret_of_the_hook_stays_in_a_body() {
    let (current, previous, next) = ("c".repeat(64), "p".repeat(64), "n".repeat(64));
    let secrets = HookSecrets {
        current: Secret::new(current.clone()),
        previous: Some((Secret::new(previous.clone()), Timestamp::default())),
        next: Some(Secret::new(next.clone())),
    };
    let body = format!(r#"{{"secret":"{current}","old":"{previous}{previous}","new":"{next}"}}"#);
    let stars = "*".repeat(64);
    let wanted = format!(r#"{{"secret":"{stars}","old":"{stars}{stars}","new":"{stars}"}}"#);
    assert_eq!(blanked(body.as_bytes(), &secrets), wanted.as_bytes());
}
