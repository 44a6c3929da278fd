use proptest::prelude::*;

use super::*;

fn echo(secret: &str, before: &str) -> Vec<(&'static str, String)> {
    let both = format!("{before}{secret}!");
    let bytes = both.as_bytes();
    let hex = |upper: bool| {
        if upper {
            HEXUPPER.encode(bytes)
        } else {
            HEXLOWER.encode(bytes)
        }
    };
    let every = |write: fn(u8) -> String| bytes.iter().map(|byte| write(*byte)).collect::<String>();
    vec![
        ("raw", both.clone()),
        ("form", form_urlencoded::byte_serialize(bytes).collect()),
        ("percent", every(|byte| format!("%{byte:02x}"))),
        ("json", serde_json::to_string(&both).expect("json")),
        (
            "json slashes",
            serde_json::to_string(&both)
                .expect("json")
                .replace('/', "\\/"),
        ),
        ("json numbers", every(|byte| format!("\\u{byte:04X}"))),
        (
            "json in json",
            serde_json::to_string(&serde_json::to_string(&both).expect("json")).expect("json"),
        ),
        ("percent in html", every(|byte| format!("&#37;{byte:02X}"))),
        ("html", every(|byte| format!("&#{byte};"))),
        ("html hex", every(|byte| format!("&#x{byte:x};"))),
        ("base64", BASE64.encode(bytes)),
        ("base64url", BASE64URL_NOPAD.encode(bytes)),
        ("hex", hex(false)),
        ("HEX", hex(true)),
    ]
}

proptest! {
    /// S7: whatever a secret is and whatever stands before it, no writing of it gets through, and what is innocent does.
    #[test]
    fn s7_every_writing_is_blanked(secret in "[!-~]{8,60}", before in "[a-z:]{0,4}") {
        let known = Secret::new(secret.clone());
        let scrubber = Scrubber::new(std::iter::once(&known));
        for (writing, text) in echo(&secret, &before) {
            let clean = scrubber.clean(format!("<{text}>").into_bytes());
            let clean = String::from_utf8(clean).expect("utf-8");
            prop_assert!(clean.contains("[redacted]"), "{} of {}: {}", writing, secret, clean);
            prop_assert!(clean.starts_with('<') && clean.ends_with('>'), "{}", clean);
            prop_assert!(scrubber.clean(clean.clone().into_bytes()) == clean.as_bytes());
        }
    }

    /// S7: text without a secret is handed on byte for byte.
    #[test]
    fn s7_innocent_text_is_untouched(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let known = Secret::new("BNDRYCANARY-0123456789".to_owned());
        prop_assert_eq!(Scrubber::new(std::iter::once(&known)).clean(text.clone()), text);
    }
}

/// S7: two secrets that overlap are both gone.
#[test]
fn s7_overlapping_secrets() {
    let secrets = [
        Secret::new("abcdefgh".to_owned()),
        Secret::new("efghijkl".to_owned()),
    ];
    let clean = Scrubber::new(secrets.iter()).clean(b"1abcdefghijkl2".to_vec());
    assert_eq!(clean, b"1[redacted]2");
}

/// S7: what looks like the start of an escape, in front of a secret as the daemon writes it, swallows none of it.
#[test]
fn s7_no_escape_in_front_hides_a_secret() {
    let secret = "BNDRYCANARYq7+/w&%\"8z";
    let known = Secret::new(secret.to_owned());
    let scrubber = Scrubber::new(std::iter::once(&known));
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = serde_json::to_string(secret).expect("json");
    for before in ["%", "%1", "\\", "\\u00", "&#", "&#x4", "%%\\&"] {
        for written in [secret, &form, json.trim_matches('"')] {
            let clean = scrubber.clean(format!("{before}{written}!").into_bytes());
            let left = memmem::find(&clean, &written.as_bytes()[6..]);
            assert!(left.is_none(), "{}", clean.escape_ascii());
        }
    }
}
