//! Listing links, of one namespace or of all that the caller may see.

use bindery_core::{link::Link, name::NamespaceName};
use bindery_engine::{LinkFilter, Versioned};
use bindery_proto::v1 as wire;

use super::{Known, shown_with};
use crate::{
    access::EVERYWHERE,
    call::Call,
    filter::{Filter, LABELS, label_of},
    names, pages,
    services::namespace::may_read,
    status::Failure,
};

/// How many namespaces one page looks into at most.
const NAMESPACES: usize = 256;

/// What a filter may compare.
const FIELDS: [&str; 7] = [
    "host",
    "stage",
    "cause",
    "desired",
    "login",
    "service_account",
    LABELS,
];

pub(super) async fn list(
    call: Call,
    request: wire::ListLinksRequest,
) -> Result<wire::ListLinksResponse, Failure> {
    let (size, place) = (pages::size(&request, 1000)? as usize, call.place(&request)?);
    let filter = Filter::parse(&request.filter, &FIELDS)?;
    let stored = LinkFilter {
        host: filter.wanted("host").map(names::host).transpose()?,
        include_unlinked: filter.wanted("stage") == Some("UNLINKED"),
    };
    let (found, next) = if request.parent == EVERYWHERE {
        everywhere(&call, &stored, place.as_deref(), size).await?
    } else {
        let namespace = names::namespace(&request.parent)?;
        call.engine().namespace(&namespace).await?;
        within(&call, &namespace, &stored, place.as_deref(), size).await?
    };
    let (mut links, mut known) = (Vec::new(), Known::default());
    for entry in &found {
        links.push(shown_with(&call, entry, &mut known).await?);
    }
    links.retain(|link| filter.admits(|field| field_of(link, field)));
    Ok(wire::ListLinksResponse {
        links,
        next_page_token: call.next(&request, next.as_deref()),
    })
}

type Found = (Vec<Versioned<Link>>, Option<Vec<u8>>);

async fn within(
    call: &Call,
    namespace: &NamespaceName,
    filter: &LinkFilter,
    place: Option<&[u8]>,
    size: usize,
) -> Result<Found, Failure> {
    let page = call
        .engine()
        .list_links(namespace, filter, place, size)
        .await?;
    Ok((page.items, page.next))
}

/// Goes through the namespaces that the caller may read, one after the other. A page may be short although more follow.
async fn everywhere(
    call: &Call,
    filter: &LinkFilter,
    place: Option<&[u8]>,
    size: usize,
) -> Result<Found, Failure> {
    let mut at = Place::read(place.unwrap_or_default());
    let mut links = Vec::new();
    for _ in 0..NAMESPACES {
        let outer = some(&at.outer);
        let namespaces = call.engine().list_namespaces(outer, 1).await?;
        for entry in &namespaces.items {
            let name = &entry.record.name;
            if !may_read(call, name) {
                continue;
            }
            let left = size - links.len();
            let (found, next) = within(call, name, filter, some(&at.inner), left).await?;
            links.extend(found);
            if let Some(inner) = next {
                return Ok((links, Some(Place { inner, ..at }.write())));
            }
        }
        let Some(outer) = namespaces.next else {
            return Ok((links, None));
        };
        at = Place {
            outer,
            inner: Vec::new(),
        };
        if links.len() >= size {
            break;
        }
    }
    Ok((links, Some(at.write())))
}

fn some(place: &[u8]) -> Option<&[u8]> {
    (!place.is_empty()).then_some(place)
}

/// Where to go on: behind which namespace, and where within the next.
#[derive(Debug, Default, Eq, PartialEq)]
struct Place {
    outer: Vec<u8>,
    inner: Vec<u8>,
}

impl Place {
    fn write(&self) -> Vec<u8> {
        let length = u16::try_from(self.outer.len()).unwrap_or_default();
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.outer);
        bytes.extend_from_slice(&self.inner);
        bytes
    }

    /// The start for what is no place; page tokens are authenticated, so that is an empty one.
    fn read(bytes: &[u8]) -> Self {
        let read = || {
            let (length, rest) = bytes.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            let (outer, inner) = rest.split_at_checked(length)?;
            Some(Self {
                outer: outer.to_vec(),
                inner: inner.to_vec(),
            })
        };
        read().unwrap_or_default()
    }
}

/// What a filter compares with: names of enum values without their prefix.
fn field_of(link: &wire::Link, field: &str) -> String {
    let observed = link.observed.clone().unwrap_or_default();
    let bare = |name: &str, prefix: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
    match field {
        "host" => link.host.clone(),
        "stage" => bare(observed.stage().as_str_name(), "STAGE_"),
        "cause" => bare(observed.cause().as_str_name(), "CAUSE_"),
        "desired" => bare(
            link.desired
                .clone()
                .unwrap_or_default()
                .state()
                .as_str_name(),
            "STATE_",
        ),
        "login" => link.identity.clone().unwrap_or_default().login,
        "service_account" => link.service_account.to_string(),
        label => label_of(&link.labels, label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place is read as it was written, whatever its parts hold.
    #[test]
    fn places_round_trip() {
        for (outer, inner) in [("", ""), ("a", ""), ("", "b"), ("a\0", "\0b")] {
            let place = Place {
                outer: outer.into(),
                inner: inner.into(),
            };
            assert_eq!(Place::read(&place.write()), place);
        }
        assert_eq!(Place::read(b"\0\x09x"), Place::default());
    }
}
