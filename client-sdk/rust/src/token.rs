//! A secret that does not print.

use std::fmt;

use zeroize::Zeroizing;

/// A secret: a token, a passphrase, a code. It never prints, and its memory is overwritten when it goes.
///
/// ```
/// let token = bindery_client::Token::from("s3cret");
/// assert_eq!(format!("{token:?}"), "Token([redacted])");
/// assert_eq!(token.expose(), "s3cret");
/// ```
#[derive(Clone, Default)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// The secret itself. Keep what is made of it as short as possible.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token([redacted])")
    }
}

impl From<String> for Token {
    fn from(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }
}

impl From<&str> for Token {
    fn from(secret: &str) -> Self {
        Self::from(secret.to_owned())
    }
}
