//! Deliveries that providers sent, and what becomes of them when one changes them.

use std::path::PathBuf;

use bindery_replay::figure;
use serde_json::Value;

use super::{
    super::*,
    right::{Right, gitea, gitee, github, standard},
};

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

/// W1: every recorded signature is accepted, and none of 10,000 changed ones, or of a million with `BINDERY_FIGURES=full`.
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
    let deliveries = figure(10_000, 1_000_000);
    let (mut changed, mut n) = (0, 0);
    while changed < deliveries {
        let right = &all[n % all.len()];
        let wrong = mutate(right, &mut dice);
        let same = (&wrong.headers, &wrong.body) == (&right.headers, &right.body);
        assert!(same || !wrong.holds(), "{:?}", wrong.headers);
        changed += usize::from(!same);
        n += 1;
    }
    println!("figure: W1: {changed} changed deliveries, 0 accepted");
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
