//! Names and ids, parsed once and then trusted.

use std::fmt;

use thiserror::Error;

/// A name that is not `[a-z0-9][a-z0-9.-]{0,62}`, ends in a dot, or is reserved.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "a {what} name is 1 to 63 of a-z, 0-9, '-' and '.', starts with a letter or digit, and is not reserved"
)]
pub struct InvalidName {
    what: &'static str,
}

/// Words that would read as something else in a resource name.
const RESERVED: [&str; 4] = ["all", "root", "admin", "system"];

fn check(text: &str, what: &'static str) -> Result<(), InvalidName> {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let well_formed = (1..=63).contains(&text.len())
        && text.bytes().next().is_some_and(plain)
        && text.bytes().last().is_some_and(plain)
        && text.bytes().all(|c| plain(c) || c == b'-' || c == b'.')
        && !text.contains("..");
    if well_formed && !RESERVED.contains(&text) {
        Ok(())
    } else {
        Err(InvalidName { what })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $type(String);

        impl $type {
            /// Parses a name.
            ///
            /// # Errors
            ///
            /// [`InvalidName`] when the text is not canonical.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                check(text, $what).map(|()| Self(text.to_owned()))
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Name of a host: `github.com`, `gitea.corp`.
    HostName, "host"
);
name!(
    /// Name of a namespace: `acme`.
    NamespaceName, "namespace"
);
name!(
    /// Id of a link: chosen by the caller, or 26 characters of base32 over 128 random bits.
    LinkId, "link"
);
name!(
    /// Id of a flow: 26 characters of base32 over 128 random bits.
    FlowId, "flow"
);
name!(
    /// Id of a lease: 26 characters of base32 over 128 random bits.
    LeaseId, "lease"
);
name!(
    /// Id of a source: chosen by the caller, or 26 characters of base32 over 128 random bits.
    SourceId, "source"
);
name!(
    /// Id of a hook, as in its URL: 26 characters of base32 over 128 random bits.
    HookId, "hook"
);
name!(
    /// Id of a hook rotation: 26 characters of base32 over 128 random bits.
    RotationId, "hook rotation"
);
name!(
    /// Id of a consumer of events, chosen by the caller.
    ConsumerId, "consumer"
);
name!(
    /// Id of a trigger: chosen by the caller, or 26 characters of base32 over 128 random bits.
    TriggerId, "trigger"
);
name!(
    /// Id of a subscription: chosen by the caller, or 26 characters of base32 over 128 random bits.
    SubscriptionId, "subscription"
);
name!(
    /// Name of a provider: `github`.
    ProviderName, "provider"
);

#[cfg(test)]
mod tests {
    use bindery_replay::figure;

    use super::*;

    /// G2: what is accepted is canonical, and what looks like something else is refused.
    #[test]
    fn g2_names_play_no_tricks() {
        for good in ["a", "github.com", "acme-2", "0x"] {
            assert_eq!(HostName::parse(good).expect(good).as_str(), good);
        }
        let long = "a".repeat(64);
        for bad in [
            "", "root", "ROOT", "root ", "a/../b", "..", "a..b", "-a", "a-", ".a", "a.", "é",
            "a%2fb", "a\0", &long,
        ] {
            assert!(NamespaceName::parse(bad).is_err(), "{bad:?}");
        }
    }

    /// Parts that tricks are made of.
    const PARTS: [&str; 32] = [
        "a",
        "z",
        "0",
        "9",
        "-",
        ".",
        "..",
        "/",
        "\\",
        "%2f",
        "%00",
        "\0",
        " ",
        "\t",
        "\n",
        "root",
        "ROOT",
        "A",
        "é",
        "e\u{301}",
        "ａ",
        "\u{200b}",
        "\u{202e}",
        "ß",
        "ﬁ",
        "*",
        "?",
        "#",
        "~",
        "_",
        "namespaces",
        "acme",
    ];

    /// G2: whatever is put together from such parts: what is accepted is its own canonical form, and no two that are
    /// accepted look alike. Ten million names with `BINDERY_FIGURES=full`.
    #[test]
    fn g2_what_is_accepted_is_canonical() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).expect("31 bits") % below
        };
        let (mut accepted, cases) = (0, figure(1_000_000, 10_000_000));
        for _ in 0..cases {
            let count = random(5);
            let text: String = (0..count).map(|_| PARTS[random(PARTS.len())]).collect();
            let Ok(name) = NamespaceName::parse(&text) else {
                continue;
            };
            accepted += 1;
            assert_eq!(name.as_str(), text);
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            assert!(text.chars().all(plain), "{text:?}");
            assert_eq!(text, text.trim().to_lowercase());
            assert!(!text.contains("..") && text != "root", "{text:?}");
        }
        println!("figure: G2: {accepted} of {cases} names accepted, all canonical");
        assert!(accepted > 1000, "{accepted}");
    }
}
