//! The cookie that binds a flow to one browser.

use data_encoding::BASE64URL_NOPAD;
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use ring::{
    error::Unspecified,
    rand::{SecureRandom, SystemRandom},
};

use crate::public_url::PublicUrl;

/// Seconds that the browser keeps it: a flow takes two times ten minutes at most.
const LIFETIME: u32 = 3600;

/// Name of the cookie. Over TLS its prefix makes browsers refuse one that was set by a sibling domain or over http.
const fn name(public_url: &PublicUrl) -> &'static str {
    if public_url.is_https() {
        "__Host-bindery"
    } else {
        "bindery"
    }
}

/// What the browser holds. Two of the same name mean that somebody planted one: then none is believed.
pub(crate) fn read(headers: &HeaderMap, public_url: &PublicUrl) -> Option<String> {
    let wanted = name(public_url);
    let mut found = headers
        .get_all(COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(name, value)| (name == wanted).then_some(value));
    let first = found.next()?;
    (found.next().is_none() && well_formed(first)).then(|| first.to_owned())
}

fn well_formed(value: &str) -> bool {
    BASE64URL_NOPAD
        .decode(value.as_bytes())
        .is_ok_and(|bytes| bytes.len() == 32)
}

/// 256 random bits.
pub(crate) fn make(random: &SystemRandom) -> Result<String, Unspecified> {
    let mut bytes = [0; 32];
    random.fill(&mut bytes)?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

/// Tells the browser to keep `value`.
pub(crate) fn write(headers: &mut HeaderMap, value: &str, public_url: &PublicUrl) {
    let secure = if public_url.is_https() {
        "; Secure"
    } else {
        ""
    };
    let cookie = format!(
        "{}={value}; Path=/; Max-Age={LIFETIME}; HttpOnly; SameSite=Lax{secure}",
        name(public_url)
    );
    if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
        cookie.set_sensitive(true);
        headers.insert(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> PublicUrl {
        PublicUrl::parse(text).expect("url")
    }

    fn sent(line: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(line).expect("header"))])
    }

    /// O1: what is set is read back, and only under the name that fits the scheme.
    #[test]
    fn o1_set_is_read_back() {
        let (https, http) = (url("https://b.example"), url("http://localhost"));
        let value = make(&SystemRandom::new()).expect("random");
        let mut headers = HeaderMap::new();
        write(&mut headers, &value, &https);
        let line = headers[SET_COOKIE].to_str().expect("ascii");
        assert!(line.starts_with("__Host-bindery=") && line.ends_with("SameSite=Lax; Secure"));
        let pair = line.split(';').next().expect("pair");
        assert_eq!(
            read(&sent(&format!("a=b; {pair}")), &https),
            Some(value.clone())
        );
        assert_eq!(read(&sent(pair), &http), None);
        write(&mut headers, &value, &http);
        assert!(
            !headers[SET_COOKIE]
                .to_str()
                .expect("ascii")
                .contains("Secure")
        );
    }

    /// O1: a planted second cookie, and one that was not made here, count as none.
    #[test]
    fn o1_planted_cookies_are_none() {
        let http = url("http://localhost");
        let value = "A".repeat(43);
        assert!(read(&sent(&format!("bindery={value}")), &http).is_some());
        for bad in [
            format!("bindery={value}; bindery={value}"),
            "bindery=short".to_owned(),
            format!("bindery={}", "A".repeat(64)),
            format!("BINDERY={value}"),
        ] {
            assert_eq!(read(&sent(&bad), &http), None, "{bad}");
        }
    }
}
