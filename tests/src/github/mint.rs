//! Secrets, as GitHub writes them

use ring::rand::{SecureRandom, SystemRandom};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes secrets and remembers each of them
#[derive(Debug)]
pub(super) struct Mint {
    canary: String,
    minted: Vec<String>,
    presented: Vec<String>,
}

impl Mint {
    pub(super) fn new(canary: Option<String>) -> Self {
        Self {
            canary: canary.unwrap_or_default(),
            minted: Vec::new(),
            presented: Vec::new(),
        }
    }

    /// An OAuth app's access token
    pub(super) fn access_token(&mut self) -> String {
        self.secret("gho_", 36)
    }

    /// What an app gets for a person
    pub(super) fn app_user_token(&mut self) -> String {
        self.secret("ghu_", 36)
    }

    /// What an app gets for an installation: over 500 characters with dots, or 40 as before 2026
    pub(super) fn installation_token(&mut self, app: u64, stateless: bool) -> String {
        if !stateless {
            return self.secret("ghs_", 36);
        }
        let head = format!("ghs_{app}_eyJ{}.eyJ{}.", random(33), random(340));
        self.secret(&head, 128)
    }

    /// What a machine waits with for its person
    pub(super) fn device_code(&mut self) -> String {
        self.secret("", 40)
    }

    /// What renews one
    pub(super) fn refresh_token(&mut self) -> String {
        self.secret("ghr_", 76)
    }

    pub(super) fn classic_pat(&mut self) -> String {
        self.secret("ghp_", 36)
    }

    pub(super) fn fine_grained_pat(&mut self) -> String {
        let head = random(22);
        self.secret(&format!("github_pat_{head}_"), 59)
    }

    pub(super) fn client_secret(&mut self) -> String {
        self.secret("", 40)
    }

    pub(super) fn code(&mut self) -> String {
        self.secret("", 20)
    }

    /// A secret that somebody else made and that came along
    pub(super) fn note(&mut self, secret: &str) {
        self.presented.push(secret.to_owned());
    }

    pub(super) fn presented(&self) -> &[String] {
        &self.presented
    }

    pub(super) fn minted(&self) -> &[String] {
        &self.minted
    }

    fn secret(&mut self, prefix: &str, length: usize) -> String {
        // The canary takes the place of random characters, but never of all that make it unique.
        let rest = length.saturating_sub(self.canary.len()).max(16);
        let secret = format!("{prefix}{}{}", self.canary, random(rest));
        self.minted.push(secret.clone());
        secret
    }
}

/// So many letters and digits that nobody can guess
pub(super) fn random(length: usize) -> String {
    let mut bytes = vec![0_u8; length];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system gives random bytes");
    let letters = bytes.iter().map(|byte| ALPHABET[usize::from(*byte) % 62]);
    letters.map(char::from).collect()
}
