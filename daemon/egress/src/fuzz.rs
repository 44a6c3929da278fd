//! Targets of the fuzzer: each takes any bytes, and panics when a property does not hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arbitrary::{Result, Unstructured};
use bindery_core::{
    exchange::{Encoding, HttpRequest, Segment},
    host::HostNetwork,
    secret::{Secret, SecretSet},
};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use http::HeaderMap;
use url::Url;

use crate::{
    address::AddressRule, assemble, exchange::Answer, policy, scrub::Scrubber, token::fuzz_reply,
};

/// Stands in for a token. No input holds it by chance.
const CANARY: &str = "BNDRYCANARYq7+/w&%\"8z";

/// A secret is in the value of `Authorization` or `PRIVATE-TOKEN`, or in the body, and nowhere else; no header breaks its line or
/// frames the message (THREATS P9, S8).
pub fn inject(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(wanted) = wanted(&mut input) else {
        return;
    };
    let mut secrets = SecretSet::new();
    secrets.insert("token", Secret::new(CANARY.to_owned()));
    let url = Url::parse("https://forge.example/api/v4/user").expect("a URL");
    let Ok(request) = assemble::request(&wanted, url.clone(), &secrets) else {
        return;
    };
    assert_eq!(request.url(), &url);
    for (name, value) in request.headers() {
        let value = value.as_bytes();
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        assert!(!FRAMING.contains(&name.as_str()), "{name}");
        let may = ["authorization", "private-token"].contains(&name.as_str());
        assert!(may || !holds_canary(value), "{name}");
    }
}

/// Headers that are the client's own.
const FRAMING: [&str; 8] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "cookie",
    "te",
    "upgrade",
    "proxy-authorization",
];

fn wanted(input: &mut Unstructured<'_>) -> Result<HttpRequest> {
    let mut headers = Vec::new();
    for _ in 0..input.int_in_range(0..=4)? {
        let name = match input.int_in_range(0..=4)? {
            0 => "Authorization".to_owned(),
            1 => "PRIVATE-TOKEN".to_owned(),
            2 => "x-github-api-version".to_owned(),
            _ => input.arbitrary()?,
        };
        headers.push((name, segments(input)?));
    }
    Ok(HttpRequest {
        method: ["GET", "POST", "DELETE", input.arbitrary()?][input.int_in_range(0..=3)?]
            .to_owned(),
        url: String::new(),
        headers,
        body: segments(input)?,
        capture: Vec::new(),
        max_response_bytes: 0,
    })
}

fn segments(input: &mut Unstructured<'_>) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for _ in 0..input.int_in_range(0..=3)? {
        segments.push(match input.arbitrary()? {
            true => Segment::Literal(input.arbitrary()?),
            false => Segment::Secret {
                name: if input.arbitrary()? {
                    "token".to_owned()
                } else {
                    input.arbitrary()?
                },
                encoding: *input.choose(&[
                    Encoding::Raw,
                    Encoding::Base64,
                    Encoding::JsonString,
                    Encoding::Form,
                ])?,
                prefix: input.arbitrary()?,
            },
        });
    }
    Ok(segments)
}

fn holds_canary(bytes: &[u8]) -> bool {
    let raw = CANARY.as_bytes();
    let core = &raw[..11];
    memchr::memmem::find(bytes, core).is_some()
        || memchr::memmem::find(bytes, BASE64.encode(&raw[..9]).as_bytes()).is_some()
}

/// No address that the standard library, or the list of special ranges, calls private is connected to without a rule, in whichever
/// form it is written; and no metadata service is with one (THREATS S1).
pub fn address(data: &[u8]) {
    let Some((bytes, _)) = data.split_first_chunk::<16>() else {
        return;
    };
    let six = Ipv6Addr::from(*bytes);
    let public = AddressRule::Target(Vec::new());
    let four = Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]);
    let plain = public.permits(four.into());
    assert!(!(plain && is_inner(four)), "{four}");
    assert!(!(public.permits(six.into()) && is_inner_six(six)), "{six}");
    assert_eq!(public.permits(four.to_ipv6_mapped().into()), plain);
    let nat = Ipv6Addr::from(
        u128::from(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)) | u128::from(four.to_bits()),
    );
    assert_eq!(public.permits(nat.into()), plain, "{nat}");
    let everything = ["0.0.0.0/0", "::/0"];
    let everything = everything
        .iter()
        .filter_map(|net| net.parse().ok())
        .collect();
    let metadata = IpAddr::from(Ipv4Addr::new(169, 254, 169, 254));
    assert!(!AddressRule::Target(everything).permits(metadata));
}

fn is_inner(address: Ipv4Addr) -> bool {
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || address.octets()[0] >= 240
        || (address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64)
}

fn is_inner_six(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.to_ipv4_mapped().is_some_and(is_inner)
}

/// A URL that passes has no user name, is https on its default port, and names no inner address, however it is written (THREATS S1).
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(url) = policy::url(text, &HostNetwork::default()) else {
        return;
    };
    assert_eq!(url.scheme(), "https");
    assert!(url.username().is_empty() && url.password().is_none());
    assert!(
        url.host_str()
            .is_some_and(|host| !host.is_empty() && !host.ends_with('.'))
    );
    match policy::literal_address(&url) {
        Some(IpAddr::V4(address)) => assert!(!is_inner(address), "{url}"),
        Some(IpAddr::V6(address)) => assert!(!is_inner_six(address), "{url}"),
        None => {}
    }
}

/// A secret is blanked out in every writing, whatever stands around it (THREATS S7).
pub fn redact(data: &[u8]) {
    let [how, place, rest @ ..] = data else {
        return;
    };
    let secret = Secret::new(CANARY.to_owned());
    let at = usize::from(*place) % (rest.len() + 1);
    let (before, after) = rest.split_at(at);
    let written = written(*how, CANARY);
    // An echo that escapes every character escapes what stands before it too.
    let before = match how % 8 {
        6 | 7 => self::written(*how, &String::from_utf8_lossy(before)).into_bytes(),
        _ => before.to_vec(),
    };
    let text = [&before, written.as_bytes(), after].concat();
    let clean = Scrubber::new(std::iter::once(&secret)).clean(text.clone());
    let found = memchr::memmem::find(&clean, written.as_bytes());
    assert!(found.is_none(), "{}", clean.escape_ascii());
    let none = Scrubber::new(std::iter::once(&secret)).clean(rest.to_vec());
    assert!(
        memchr::memmem::find(rest, CANARY.as_bytes()).is_some()
            || none == rest
            || none.len() < rest.len()
    );
}

/// One of the writings in which an echo may give a secret back.
fn written(how: u8, secret: &str) -> String {
    let bytes = secret.as_bytes();
    match how % 8 {
        0 => secret.to_owned(),
        1 => form_urlencoded::byte_serialize(bytes).collect(),
        2 => BASE64.encode(bytes),
        3 => BASE64URL_NOPAD.encode(bytes),
        4 => HEXLOWER.encode(bytes),
        5 => serde_json::to_string(secret).expect("JSON"),
        6 => bytes.iter().map(|byte| format!("%{byte:02x}")).collect(),
        _ => bytes.iter().map(|byte| format!("\\u{byte:04x}")).collect(),
    }
}

/// An answer of a token endpoint is read without a panic, and one that holds no access token gives none.
pub fn token_reply(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    let kind = [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "",
    ][usize::from(kind % 4)];
    let mut headers = HeaderMap::new();
    headers.insert("content-type", kind.parse().expect("a header"));
    let answer = Answer {
        host: "forge.example".to_owned(),
        status: 200,
        headers,
        body: body.to_vec(),
    };
    if let Some(access_token) = fuzz_reply(&answer) {
        assert!(!access_token.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use bindery_replay::replay;

    /// P9, S8: secrets are in their slots only, and headers are whole.
    #[test]
    fn p9_secrets_are_in_their_slots_only() {
        replay("inject", super::inject);
    }

    /// S1: no writing of an inner address is let through.
    #[test]
    fn s1_no_inner_address_passes() {
        replay("address", super::address);
    }

    /// S1: no URL leads inside by how it is written.
    #[test]
    fn s1_no_url_leads_inside() {
        replay("url", super::url);
    }

    /// S7: no writing of a secret is left.
    #[test]
    fn s7_no_writing_of_a_secret_is_left() {
        replay("redact", super::redact);
    }

    /// Replies of token endpoints are read or refused.
    #[test]
    fn token_replies_are_read_or_refused() {
        replay("token_reply", super::token_reply);
    }
}
