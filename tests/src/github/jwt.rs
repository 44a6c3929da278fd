//! The JWT by which an app proves itself

use data_encoding::BASE64URL_NOPAD;
use http::StatusCode;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use super::apps::GitHubApp;
use super::reply::Reply;
use super::world::World;

/// So far ahead a JWT may end, in seconds
const LONGEST: i64 = 600;

const NO_JWT: &str = "A JSON web token could not be decoded";
const NO_ISSUER: &str = "'Issuer' claim ('iss') must be an Integer or a client ID";
const FROM_THE_FUTURE: &str = "'Issued at' claim ('iat') must be an Integer representing the time \
                               that the assertion was issued";
const ENDED: &str = "'Expiration time' claim ('exp') must be a numeric value representing the \
                     future time at which the assertion expires";
const TOO_LONG: &str = "'Expiration time' claim ('exp') is too far in the future";

/// Whether a credential has the form of a JWT and of nothing else that the forge knows
pub(super) fn is_one(secret: &str) -> bool {
    secret.starts_with("eyJ") && secret.split('.').count() == 3
}

/// The app that signed this, or why it is refused
pub(super) fn signer<'a>(world: &'a World, jwt: &str, now: i64) -> Result<&'a GitHubApp, Reply> {
    let (input, signature) = jwt.rsplit_once('.').ok_or_else(|| refused(NO_JWT))?;
    let (header, claims) = input.split_once('.').ok_or_else(|| refused(NO_JWT))?;
    let (header, claims) = (json(header)?, json(claims)?);
    let app = issuer(world, &claims["iss"])?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &app.key);
    let genuine = key.verify(input.as_bytes(), &decoded(signature)?).is_ok();
    if header["alg"] != "RS256" || !genuine {
        return Err(refused(NO_JWT));
    }
    in_time(&claims, now)?;
    Ok(app)
}

/// An app says its number, as a number or in digits, or its client id
fn issuer<'a>(world: &'a World, claim: &Value) -> Result<&'a GitHubApp, Reply> {
    let text = claim.as_str().map(str::to_owned);
    let name = text.or_else(|| claim.as_u64().map(|id| id.to_string()));
    let name = name.ok_or_else(|| refused(NO_ISSUER))?;
    let mut apps = world.github_apps.iter();
    let app = apps.find(|app| app.client_id == name || app.id.to_string() == name);
    app.ok_or_else(|| Reply::error(StatusCode::NOT_FOUND, "Integration not found", ""))
}

fn in_time(claims: &Value, now: i64) -> Result<(), Reply> {
    let (issued, end) = (claims["iat"].as_i64(), claims["exp"].as_i64());
    match (issued, end) {
        (Some(issued), _) if issued > now => Err(refused(FROM_THE_FUTURE)),
        (None, _) => Err(refused(FROM_THE_FUTURE)),
        (_, None) => Err(refused(ENDED)),
        (_, Some(end)) if end <= now => Err(refused(ENDED)),
        (_, Some(end)) if end > now + LONGEST => Err(refused(TOO_LONG)),
        _ => Ok(()),
    }
}

fn json(part: &str) -> Result<Value, Reply> {
    serde_json::from_slice(&decoded(part)?).map_err(|_| refused(NO_JWT))
}

fn decoded(part: &str) -> Result<Vec<u8>, Reply> {
    let decoded = BASE64URL_NOPAD.decode(part.as_bytes());
    decoded.map_err(|_| refused(NO_JWT))
}

fn refused(why: &str) -> Reply {
    Reply::error(StatusCode::UNAUTHORIZED, why, "")
}
