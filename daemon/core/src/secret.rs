//! Text that can't be printed, compared by accident, or copied without saying so.

use zeroize::Zeroizing;

/// A secret text. It has no `Display`, `Serialize` or `Clone`; `Debug` prints `[redacted]`; its memory is wiped when it
/// is dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. Only the vault (to seal it), egress (to send it) and the credential hand-out have a reason to
    /// call this.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A second copy, said aloud.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }

    /// Whether there is no text at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Named secrets that one call may use: `access_token`, `client_secret`.
#[derive(Debug, Default)]
pub struct SecretSet(Vec<(String, Secret)>);

impl SecretSet {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `secret` under `name`, or replaces what was there.
    pub fn insert(&mut self, name: &str, secret: Secret) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), secret));
    }

    /// The secret under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0
            .iter()
            .find_map(|(known, secret)| (known == name).then_some(secret))
    }

    /// Moves all of `other` in.
    pub fn extend(&mut self, other: Self) {
        for (name, secret) in other.0 {
            self.insert(&name, secret);
        }
    }

    /// All names and secrets.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, secret)| (name.as_str(), secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L1: neither a secret nor a set of them can be printed.
    #[test]
    fn l1_debug_is_redacted() {
        let mut set = SecretSet::new();
        set.insert("access_token", Secret::new("BNDRYCANARY".to_owned()));
        assert!(!format!("{set:?}").contains("BNDRYCANARY"));
    }

    /// A second insert under a name replaces the first.
    #[test]
    fn insert_replaces() {
        let mut set = SecretSet::new();
        set.insert("a", Secret::new("1".to_owned()));
        set.insert("a", Secret::new("2".to_owned()));
        assert_eq!(set.iter().count(), 1);
        assert_eq!(set.get("a").map(Secret::expose), Some("2"));
    }
}
