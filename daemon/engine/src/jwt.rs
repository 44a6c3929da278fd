//! JWTs that prove an app to its forge (RFC 7515, RS256).
//!
//! A plugin gives claims and names a key; it sees neither the key nor the JWT. The daemon sets the header, holds the
//! claims to ten minutes, signs, and keeps the JWT as a secret that a later request may name.

use bindery_core::{
    problem::{Problem, Reason, Who},
    secret::{Secret, SecretSet},
    time::Timestamp,
};
use data_encoding::BASE64URL_NOPAD;
use ring::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::{Map, Value};

/// More claims than this, in bytes of JSON, are no proof of an app.
const MOST_CLAIMS: usize = 2048;

/// What GitHub takes at most; nothing needs more.
const LONGEST_LIFE_S: u64 = 600;

/// What a plugin asks to have signed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// Name of the private key.
    pub(crate) secret: &'a str,
    /// A JSON object with `exp`, in seconds.
    pub(crate) claims: &'a [u8],
    /// Name under which the JWT is kept.
    pub(crate) store_as: &'a str,
}

/// Signs, and gives the JWT under the name that was asked for.
///
/// # Errors
///
/// `PROVIDER_UNSUPPORTED` if no private key is at hand, or one that can't sign; `PLUGIN_FAILED` if the claims are no
/// small object that ends within ten minutes, or the JWT would replace the key.
pub(crate) fn sign(
    secrets: &SecretSet,
    ask: Ask<'_>,
    now: Timestamp,
) -> Result<SecretSet, Problem> {
    if ask.store_as == ask.secret {
        return Err(misused("the JWT would be kept in place of its key"));
    }
    check(ask.claims, now)?;
    let pem = secrets.get(ask.secret).filter(|key| !key.is_empty());
    let key = key_pair(pem.ok_or_else(no_key)?)?;
    let mut kept = SecretSet::new();
    kept.insert(ask.store_as, Secret::new(token(&key, ask.claims)?));
    Ok(kept)
}

fn check(claims: &[u8], now: Timestamp) -> Result<(), Problem> {
    if claims.len() > MOST_CLAIMS {
        return Err(misused("the claims are too long"));
    }
    let claims: Map<String, Value> =
        serde_json::from_slice(claims).map_err(|_| misused("the claims are no JSON object"))?;
    let end = claims.get("exp").and_then(Value::as_u64);
    let latest = now.unix_seconds().saturating_add(LONGEST_LIFE_S);
    match end {
        Some(end) if end <= latest => Ok(()),
        _ => Err(misused("the claims don't end within ten minutes")),
    }
}

/// Whether a key can sign, for the operator who hands it in.
///
/// # Errors
///
/// `INVALID_ARGUMENT` if it is no RSA key of at least 2048 bits in PEM.
pub(crate) fn check_key(pem: &Secret) -> Result<(), Problem> {
    key_pair(pem).map(drop).map_err(|problem| {
        let message = format!(
            "{}; give the RSA key of at least 2048 bits that the host made for the app, in PEM (PKCS#1 or PKCS#8)",
            problem.message
        );
        Problem::invalid("app.private_key_pem", message).act(Who::HostOperator, "")
    })
}

/// GitHub hands out PKCS#1; an operator may have turned it into PKCS#8.
fn key_pair(pem: &Secret) -> Result<KeyPair, Problem> {
    let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes())
        .map_err(|_| unusable("it is no private key in PEM"))?;
    let pair = match &der {
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        _ => return Err(unusable("it is no RSA key")),
    };
    pair.map_err(|rejected| unusable(&rejected.to_string()))
}

fn token(key: &KeyPair, claims: &[u8]) -> Result<String, Problem> {
    let mut token = BASE64URL_NOPAD.encode(br#"{"alg":"RS256","typ":"JWT"}"#);
    token.push('.');
    BASE64URL_NOPAD.encode_append(claims, &mut token);
    let signature = signature(key, token.as_bytes())?;
    token.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut token);
    Ok(token)
}

fn signature(key: &KeyPair, input: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        input,
        &mut signature,
    )
    .map_err(|_| unusable("it can't sign"))?;
    Ok(signature)
}

fn no_key() -> Problem {
    let message = "this host has no private key to sign with; configure an app first";
    Problem::new(Reason::ProviderUnsupported, message)
}

fn unusable(why: &str) -> Problem {
    let message = format!("the app's private key can't be used: {why}; configure another one");
    Problem::new(Reason::ProviderUnsupported, message)
}

fn misused(why: &str) -> Problem {
    let message = format!("the plugin asked for a JWT that the daemon doesn't sign: {why}");
    Problem::new(Reason::PluginFailed, message)
}

#[cfg(test)]
mod tests;
