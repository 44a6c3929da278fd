use std::{collections::BTreeMap, path::PathBuf};

use bindery_core::provider::SignatureScheme;
use serde_json::Value;

use super::*;

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(below.max(1)).expect("small")).expect("small")
    }
}

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("BINDERY_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("not run: BINDERY_CORPUS names no folder with recorded deliveries");
    }
    folder
}

/// The schemes that plugins describe: a test of each plugin compares what it says with these.
const SCHEMES: &str = include_str!("../../../../../plugins/sdk/src/testing/schemes.json");

/// Every scheme of every provider.
fn schemes() -> Vec<(String, SignatureScheme)> {
    let all: BTreeMap<String, Vec<Value>> = serde_json::from_str(SCHEMES).expect("JSON");
    let each = all.iter().flat_map(|(provider, schemes)| {
        let known = schemes.iter().map(known);
        known.map(|scheme| (provider.clone(), scheme))
    });
    each.collect()
}

fn known(scheme: &Value) -> SignatureScheme {
    let text = |member: &str| scheme[member].as_str().expect("text").to_owned();
    SignatureScheme {
        name: text("name"),
        kind: match scheme["kind"].as_str().expect("text") {
            "BODY_HMAC_SHA256" => SignatureKind::BodyHmacSha256,
            "TOKEN" => SignatureKind::Token,
            "STANDARD_WEBHOOKS" => SignatureKind::StandardWebhooks,
            "TIMESTAMP_HMAC_SHA256" => SignatureKind::TimestampHmacSha256,
            other => panic!("{other} is no kind of signature"),
        },
        header: text("header"),
        prefix: text("prefix"),
        timestamp_header: text("timestamp_header"),
        weak: scheme["weak"].as_bool().expect("truth"),
    }
}

fn scheme(provider: &str, name: &str) -> SignatureScheme {
    let mut all = schemes().into_iter();
    let found = all.find(|(whose, scheme)| whose == provider && scheme.name == name);
    found.expect("a known scheme").1
}

fn github() -> SignatureScheme {
    scheme("github", "hmac-sha256")
}

fn bitbucket() -> SignatureScheme {
    scheme("bitbucket", "hmac-sha256")
}

fn gitea() -> SignatureScheme {
    scheme("gitea", "hmac-sha256")
}

fn gitlab_token() -> SignatureScheme {
    scheme("gitlab", "token")
}

fn standard() -> SignatureScheme {
    scheme("gitlab", "standard-webhooks")
}

fn gitee() -> SignatureScheme {
    scheme("gitee", "signature")
}

fn gitee_password() -> SignatureScheme {
    scheme("gitee", "password")
}

/// A delivery that is right.
#[derive(Clone, Debug)]
struct Right {
    scheme: SignatureScheme,
    secret: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    now: Timestamp,
}

impl Right {
    fn new(scheme: SignatureScheme, secret: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        Self {
            scheme,
            secret: secret.to_owned(),
            headers: headers.collect(),
            body: body.to_vec(),
            now: Timestamp::default(),
        }
    }

    fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    fn holds(&self) -> bool {
        let holds = self.holds_for(&[&Secret::new(self.secret.clone())]);
        let in_pieces = self.holds_in_pieces();
        assert_eq!(in_pieces.unwrap_or(holds), holds, "{:?}", self.headers);
        holds
    }

    /// As [`Self::holds`], where the body comes in two pieces; `None` where it is not signed.
    fn holds_in_pieces(&self) -> Option<bool> {
        let secret = Secret::new(self.secret.clone());
        let claim = Claim {
            scheme: &self.scheme,
            headers: Headers(&self.headers),
            body: &[],
            now: self.now,
        };
        let mut bodies = claim.begin(&[&secret]);
        let (first, second) = self.body.split_at(self.body.len() / 2);
        for body in &mut bodies {
            body.update(first);
            body.update(second);
        }
        let covers = claim.covers_body();
        covers.then(|| claim.holds_over(&[&secret], &bodies))
    }

    fn holds_for(&self, secrets: &[&Secret]) -> bool {
        let claim = Claim {
            scheme: &self.scheme,
            headers: Headers(&self.headers),
            body: &self.body,
            now: self.now,
        };
        claim.holds(secrets)
    }
}

fn vectors(corpus: &std::path::Path) -> Vec<Right> {
    let text = std::fs::read(corpus.join("vectors/signatures/vectors.json")).expect("vectors");
    let all: Vec<Value> = serde_json::from_slice(&text).expect("JSON");
    let signed = all.iter().filter(|one| one["header"].is_object());
    signed.map(|one| vector(corpus, one)).collect()
}

fn vector(corpus: &std::path::Path, one: &Value) -> Right {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let body = match one["body_file"].as_str() {
        Some(file) => std::fs::read(corpus.join(file.trim_start_matches("open/"))).expect("body"),
        None => text(&one["body"]).into_bytes(),
    };
    let headers = one["header"].as_object().expect("headers");
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), text(value).into_bytes()))
        .collect();
    let find = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| String::from_utf8(value.clone()).expect("text"))
    };
    let number = |text: String| text.parse::<u64>().expect("number");
    let (scheme, now) = if let Some(seconds) = find("webhook-timestamp") {
        (standard(), number(seconds) * 1000)
    } else if let Some(ms) = find("x-gitee-timestamp") {
        (gitee(), number(ms))
    } else {
        (github(), 0)
    };
    Right {
        scheme,
        secret: text(&one["secret"]),
        headers,
        body,
        now: Timestamp::from_unix_ms(now),
    }
}

/// What is signed and what signs, as one may change it. Gitee's signature does not cover the body.
fn mutate(right: &Right, dice: &mut Dice) -> Right {
    let mut wrong = right.clone();
    let weak = right.scheme.kind == SignatureKind::TimestampHmacSha256;
    let names = [&right.scheme.header, &right.scheme.timestamp_header];
    let id = STANDARD_ID.to_owned();
    let covered: Vec<usize> = (0..wrong.headers.len())
        .filter(|at| {
            let name = &wrong.headers[*at].0;
            let standard = right.scheme.kind == SignatureKind::StandardWebhooks;
            names.contains(&name) || (standard && *name == id)
        })
        .collect();
    let place = dice.roll(covered.len() + usize::from(!weak));
    let bytes = match covered.get(place) {
        Some(at) => &mut wrong.headers[*at].1,
        None => &mut wrong.body,
    };
    scramble(bytes, dice);
    wrong
}

fn scramble(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.roll(bytes.len());
    match dice.roll(6) {
        0 => bytes.insert(at, u8::try_from(dice.roll(256)).expect("byte")),
        1 => drop(bytes.remove(at)),
        2 => bytes.truncate(at),
        3 => bytes[at] ^= 0x20,
        4 => bytes.push(b' '),
        _ => bytes[at] ^= 1 << dice.roll(8),
    }
}

/// W1: every recorded signature is accepted, and none of 10,000 changed ones.
#[test]
fn w1_vectors_hold_and_mutations_do_not() {
    let Some(corpus) = corpus() else {
        return;
    };
    let all = vectors(&corpus);
    assert_eq!(all.len(), 7);
    for right in &all {
        assert!(right.holds(), "{:?}", right.headers);
    }
    let mut dice = Dice(0x0b1d_e0e4_1234_5678);
    for n in 0..10_000 {
        let right = &all[n % all.len()];
        let wrong = mutate(right, &mut dice);
        let same = (&wrong.headers, &wrong.body) == (&right.headers, &right.body);
        assert!(same || !wrong.holds(), "{:?}", wrong.headers);
    }
}

/// `trap_7`: Gitea signs the JSON within a form post, and sends an empty signature where it has no secret.
#[test]
fn trap_7_recorded_gitea_deliveries_hold() {
    let Some(corpus) = corpus() else {
        return;
    };
    let support = HookSupport {
        form_member: "payload".to_owned(),
        ..HookSupport::default()
    };
    let (mut held, mut forms) = (0, 0);
    let folder = std::fs::read_dir(corpus.join("gitea/webhooks")).expect("folder");
    for file in folder.map(|entry| entry.expect("entry").path()) {
        if !file.to_string_lossy().ends_with(".request.json") {
            continue;
        }
        let text = std::fs::read(&file).expect("file");
        let recorded: Value = serde_json::from_slice(&text).expect("JSON");
        let Some(right) = recorded_request(&recorded, &support) else {
            continue;
        };
        forms += usize::from(recorded.to_string().contains("x-www-form-urlencoded"));
        assert!(right.holds(), "{}", file.display());
        held += 1;
    }
    assert!(held >= 4 && forms >= 1, "{held} {forms}");
}

fn recorded_request(recorded: &Value, support: &HookSupport) -> Option<Right> {
    let request = &recorded["request"];
    let headers: Vec<_> = request["headers"]
        .as_array()?
        .iter()
        .map(|pair| {
            let text = |n: usize| pair[n].as_str().expect("text");
            (text(0).to_lowercase(), text(1).as_bytes().to_vec())
        })
        .collect();
    let raw = request["body"].as_str()?;
    let known = Headers(&headers);
    known.only("x-gitea-signature")?;
    let body = signed(support, known, raw.as_bytes())?.into_owned();
    Some(Right {
        scheme: gitea(),
        secret: "s3cr3t-hook".to_owned(),
        headers,
        body,
        now: Timestamp::default(),
    })
}

fn hex(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    HEXLOWER.encode(hmac::sign(&key, body).as_ref())
}

fn base64(key: &[u8], message: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    BASE64.encode(hmac::sign(&key, message).as_ref())
}

/// A right delivery of each scheme, all at the same moment.
fn one_of_each() -> Vec<Right> {
    let (secret, body) = ("5ecre7", b"{}".as_slice());
    let seconds = 1_700_000_000_u64;
    let now = Timestamp::from_unix_ms(seconds * 1000);
    let key = [7; 32];
    let whsec = format!("whsec_{}", BASE64.encode(&key));
    let covered = format!("m1.{seconds}.{{}}");
    let standard_sign = format!("v1,{}", base64(&key, covered.as_bytes()));
    let ms = now.unix_ms().to_string();
    let gitee_sign = base64(secret.as_bytes(), format!("{ms}\n{secret}").as_bytes());
    let seconds = seconds.to_string();
    let all = [
        Right::new(
            github(),
            secret,
            &[(
                "x-hub-signature-256",
                &format!("sha256={}", hex(secret, body)),
            )],
            body,
        ),
        Right::new(
            bitbucket(),
            secret,
            &[("x-hub-signature", &format!("sha256={}", hex(secret, body)))],
            body,
        ),
        Right::new(
            gitea(),
            secret,
            &[("x-gitea-signature", &hex(secret, body))],
            body,
        ),
        Right::new(gitlab_token(), secret, &[("x-gitlab-token", secret)], body),
        Right::new(
            standard(),
            &whsec,
            &[
                ("webhook-id", "m1"),
                ("webhook-timestamp", &seconds),
                ("webhook-signature", &standard_sign),
            ],
            body,
        ),
        Right::new(
            gitee(),
            secret,
            &[("x-gitee-timestamp", &ms), ("x-gitee-token", &gitee_sign)],
            body,
        ),
        Right::new(gitee_password(), secret, &[("x-gitee-token", secret)], body),
    ];
    all.into_iter().map(|one| one.at(now)).collect()
}

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
