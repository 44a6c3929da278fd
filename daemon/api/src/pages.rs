//! Page tokens: opaque, and bound to their query, so that a token can't be used to look elsewhere.

use bindery_proto::{
    admin::v1 as admin,
    v1::{self, ErrorReason},
};
use data_encoding::BASE64URL_NOPAD;
use prost::Message;
use ring::{hmac, rand::SystemRandom};

use crate::status::Failure;

/// Bytes of the MAC in a token.
const MAC: usize = 16;

/// A request for a page.
pub(crate) trait Paged: Message + Clone {
    fn size(&self) -> i32;
    fn token(&self) -> &str;
    /// The request without its place: what must stay the same from page to page.
    fn query(&self) -> Self;
}

macro_rules! paged {
    ($($message:ident),* $(,)?) => {
        $(impl Paged for v1::$message {
            fn size(&self) -> i32 {
                self.page_size
            }
            fn token(&self) -> &str {
                &self.page_token
            }
            fn query(&self) -> Self {
                Self { page_size: 0, page_token: String::new(), ..self.clone() }
            }
        })*
    };
}

paged!(
    ListConsumersRequest,
    ListDeadLettersRequest,
    ListEventsRequest,
    ListDeliveriesRequest,
    ListExpiringRequest,
    ListHookRotationReportsRequest,
    ListHostsRequest,
    ListLeasesRequest,
    ListLinksRequest,
    ListNamespacesRequest,
    ListOrganizationsRequest,
    ListOrphanHooksRequest,
    ListReceiptsRequest,
    ListRefsRequest,
    ListRepositoriesRequest,
    ListSourcesRequest,
    ListSubscriptionsRequest,
    ListTriggersRequest,
);

impl Paged for admin::ListAuditRecordsRequest {
    fn size(&self) -> i32 {
        self.page_size
    }
    fn token(&self) -> &str {
        &self.page_token
    }
    fn query(&self) -> Self {
        Self {
            page_size: 0,
            page_token: String::new(),
            ..self.clone()
        }
    }
}

impl Paged for v1::ListProvidersRequest {
    fn size(&self) -> i32 {
        self.page_size
    }
    fn token(&self) -> &str {
        &self.page_token
    }
    fn query(&self) -> Self {
        Self::default()
    }
}

/// The key that page tokens are made with. A new one with every start: tokens do not outlive the daemon.
pub(crate) struct PageKey(hmac::Key);

impl PageKey {
    pub(crate) fn random() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        // Without randomness from the kernel nothing in this daemon is safe.
        Self(key.expect("the kernel gives random bytes"))
    }

    /// A token for the place `cursor` in what `caller` asked `method`.
    pub(crate) fn seal<M: Paged>(
        &self,
        caller: &str,
        method: &str,
        message: &M,
        cursor: &[u8],
    ) -> String {
        let mut token = self.mac(caller, method, message, cursor);
        token.extend_from_slice(cursor);
        BASE64URL_NOPAD.encode(&token)
    }

    /// The place that the request goes on from; `None` for the first page.
    pub(crate) fn open<M: Paged>(
        &self,
        caller: &str,
        method: &str,
        message: &M,
    ) -> Result<Option<Vec<u8>>, Failure> {
        if message.token().is_empty() {
            return Ok(None);
        }
        let token = BASE64URL_NOPAD
            .decode(message.token().as_bytes())
            .map_err(|_| foreign())?;
        let (mac, cursor) = token.split_at_checked(MAC).ok_or_else(foreign)?;
        let same = self.mac(caller, method, message, cursor);
        // The MAC is compared through another MAC, in constant time.
        let tag = hmac::sign(&self.0, &same);
        hmac::verify(&self.0, mac, tag.as_ref()).map_err(|_| foreign())?;
        Ok(Some(cursor.to_vec()))
    }

    fn mac<M: Paged>(&self, caller: &str, method: &str, message: &M, cursor: &[u8]) -> Vec<u8> {
        let query = message.query().encode_to_vec();
        let mut context = hmac::Context::with_key(&self.0);
        for part in [caller.as_bytes(), method.as_bytes(), &query, cursor] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref()[..MAC].to_vec()
    }
}

/// How many items a page has.
pub(crate) fn size<M: Paged>(message: &M, most: u32) -> Result<u32, Failure> {
    match u32::try_from(message.size()) {
        Ok(0) => Ok(50.min(most)),
        Ok(size) => Ok(size.min(most)),
        Err(_) => Err(Failure::new(
            ErrorReason::PageSizeInvalid,
            "page_size is negative; send 0 or more",
        )),
    }
}

fn foreign() -> Failure {
    Failure::new(
        ErrorReason::InvalidPageToken,
        "page_token is damaged or belongs to another query; start again without it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(parent: &str, token: String) -> v1::ListLinksRequest {
        v1::ListLinksRequest {
            parent: parent.to_owned(),
            page_token: token,
            page_size: 7,
            ..Default::default()
        }
    }

    /// A token opens for the same caller, call and query, with any page size, and for nothing else.
    #[test]
    fn tokens_belong_to_their_query() {
        let key = PageKey::random();
        let token = key.seal("me", "m", &request("namespaces/a", String::new()), b"place");
        let open = |caller, method, message| key.open(caller, method, &message);
        let found = open("me", "m", request("namespaces/a", token.clone())).expect("token");
        assert_eq!(found.as_deref(), Some(b"place".as_slice()));
        for (caller, method, parent) in [
            ("you", "m", "namespaces/a"),
            ("me", "n", "namespaces/a"),
            ("me", "m", "namespaces/b"),
        ] {
            let failure =
                open(caller, method, request(parent, token.clone())).expect_err("foreign");
            assert_eq!(failure.reason(), ErrorReason::InvalidPageToken);
        }
        assert!(
            PageKey::random()
                .open("me", "m", &request("namespaces/a", token))
                .is_err()
        );
    }

    /// A token that was changed anywhere, or is no token at all, is refused.
    #[test]
    fn changed_tokens_are_refused() {
        let key = PageKey::random();
        let token = key.seal("me", "m", &request("namespaces/a", String::new()), b"place");
        for index in 0..token.len() {
            let mut odd = token.clone().into_bytes();
            odd[index] = if odd[index] == b'A' { b'B' } else { b'A' };
            let odd = String::from_utf8(odd).expect("ascii");
            let opened = key.open("me", "m", &request("namespaces/a", odd));
            assert!(opened.is_err(), "{index}");
        }
        for odd in ["x", "=", "AAAA", "é"] {
            assert!(
                key.open("me", "m", &request("namespaces/a", odd.to_owned()))
                    .is_err()
            );
        }
    }

    /// Sizes: 0 is 50, too many is the most, negative is refused.
    #[test]
    fn sizes_are_bounded() {
        let of = |page_size, most| {
            size(
                &v1::ListLinksRequest {
                    page_size,
                    ..Default::default()
                },
                most,
            )
        };
        assert_eq!(of(0, 1000).expect("size"), 50);
        assert_eq!(of(5000, 1000).expect("size"), 1000);
        assert_eq!(of(500, 100).expect("size"), 100);
        assert_eq!(
            of(-1, 1000).expect_err("size").reason(),
            ErrorReason::PageSizeInvalid
        );
    }
}
