//! What callers learn of links in other namespaces that live on the same grant: how many there are, and the names of those that
//! they may read.

use bindery_core::{
    link::{Link, Observed, Stage},
    name::{HostName, LinkId, NamespaceName},
    port::{Change, Expect, Key, Record, Vault},
    provider::AuthKind,
    receipt::Receipt,
    time::Timestamp,
};
use bindery_proto::v1::{self as wire, link_service_client::LinkServiceClient};
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt;

use crate::{client::reason, world::World};

const ASKED: &str = "namespaces/acme/links/one";

/// The others on the same installation.
const OTHERS: [&str; 3] = [
    "namespaces/acme/links/two",
    "namespaces/umbrella/links/four",
    "namespaces/umbrella/links/three",
];

const POLICY: &str = r#"
[[allow]]
principals = ["spiffe://test.example/owner"]
namespaces = ["*"]
actions = ["read", "link"]

[[allow]]
principals = ["spiffe://test.example/tenant"]
namespaces = ["acme"]
actions = ["read", "link"]

[[allow]]
principals = ["spiffe://test.example/linker"]
namespaces = ["acme"]
actions = ["link"]

[[allow]]
principals = ["spiffe://test.example/crossed"]
namespaces = ["acme"]
actions = ["link"]

[[allow]]
principals = ["spiffe://test.example/crossed"]
namespaces = ["umbrella"]
actions = ["read"]

[[allow]]
principals = ["spiffe://test.example/neighbour"]
namespaces = ["acme"]
actions = ["read", "link"]

[[allow]]
principals = ["spiffe://test.example/neighbour"]
namespaces = ["umbrella"]
actions = ["link", "credential:read", "source", "event"]
"#;

/// Who asks, whose names of [`OTHERS`] they learn, and whether they may read the namespace that they ask about.
const MATRIX: [(&str, &[usize], bool); 6] = [
    ("admin", &[0, 1, 2], true),
    ("owner", &[0, 1, 2], true),
    ("tenant", &[0], true),
    ("linker", &[], false),
    ("crossed", &[1, 2], false),
    ("neighbour", &[0], true),
];

async fn channel(world: &World, who: &str) -> Channel {
    match who {
        "admin" => world.admin(),
        _ => world.caller(who).await,
    }
}

fn named(known: &[usize]) -> Vec<&'static str> {
    known.iter().map(|at| OTHERS[*at]).collect()
}

/// Four links on one installation, in two namespaces.
async fn world() -> World {
    let world = World::new().await;
    world.set_policy(POLICY);
    let mut links = OTHERS.to_vec();
    links.push(ASKED);
    let changes = links.into_iter().map(|name| {
        let link = installed(name);
        put(
            Key::Link(link.namespace.clone(), link.id.clone()),
            Record::Link(link),
        )
    });
    world.vault.commit(changes.collect()).await.expect("links");
    world
}

fn installed(name: &str) -> Link {
    let parts: Vec<_> = name.split('/').collect();
    let mut link = Link::new(
        NamespaceName::parse(parts[1]).expect("name"),
        LinkId::parse(parts[3]).expect("name"),
        HostName::parse("forge").expect("name"),
        AuthKind::AppInstallation,
        Timestamp::default(),
    );
    link.installation_id = "42".into();
    link.generation = 1;
    link.observed = Observed::new(Stage::Bound, "", Timestamp::default());
    link
}

fn put(key: Key, record: Record) -> Change {
    Change {
        key,
        expect: Expect::Absent,
        write: Some(record),
    }
}

/// The links that a text names, of those that share the grant.
fn names_in(text: &str) -> Vec<&'static str> {
    OTHERS
        .into_iter()
        .filter(|name| text.contains(name))
        .collect()
}

fn told(refused: &Status) -> (Vec<String>, usize) {
    let details = refused.get_error_details();
    let metadata = &details.error_info().expect("info").metadata;
    let links = metadata.get("link").map_or("", String::as_str).split(',');
    let hidden = metadata.get("hidden_links").map_or("0", String::as_str);
    (
        links
            .filter(|link| !link.is_empty())
            .map(str::to_owned)
            .collect(),
        hidden.parse().expect("number"),
    )
}

/// G1: a refused unlink and its preview tell each caller of the links that they may read, and count the others. Nothing else of
/// the answer names them either.
#[tokio::test]
async fn g1_a_shared_grant_names_only_what_the_caller_may_read() {
    let world = world().await;
    for (who, known, _) in MATRIX {
        let mut links = LinkServiceClient::new(channel(&world, who).await);
        let ask = wire::UnlinkRequest {
            name: ASKED.into(),
            ..Default::default()
        };
        let refused = links.unlink(ask.clone()).await.expect_err("shared");
        assert_eq!(reason(&refused), "GRANT_SHARED", "{who}");
        let (mut shown, hidden) = told(&refused);
        shown.sort();
        assert_eq!((shown, hidden), (owned(known), 3 - known.len()), "{who}");
        let whole = format!("{refused:?} {}", refused.message());
        assert_eq!(names_in(&whole), named(known), "{who}: {whole}");
        let preview = wire::UnlinkRequest {
            validate_only: true,
            ..ask
        };
        let preview = links.unlink(preview).await.expect("preview").into_inner();
        assert_shown(who, known, preview);
    }
}

/// G1: so does the receipt, to whoever gets or lists it, in one namespace or in all.
#[tokio::test]
async fn g1_a_receipt_names_only_what_the_caller_may_read() {
    let world = world().await;
    let mut receipt = Receipt::open(
        NamespaceName::parse("acme").expect("name"),
        LinkId::parse("gone").expect("name"),
        HostName::parse("forge").expect("name"),
        "octo".into(),
        Timestamp::default(),
    );
    receipt.affected = OTHERS.map(str::to_owned).to_vec();
    let key = Key::Receipt(receipt.namespace.clone(), receipt.link.clone());
    let change = put(key, Record::Receipt(receipt));
    world.vault.commit(vec![change]).await.expect("receipt");
    for (who, known, may_read) in MATRIX {
        let mut links = LinkServiceClient::new(channel(&world, who).await);
        let get = wire::GetReceiptRequest {
            name: "namespaces/acme/receipts/gone".into(),
        };
        let got = links.get_receipt(get).await;
        assert_eq!(got.is_ok(), may_read, "{who}");
        if let Ok(got) = got {
            assert_shown(who, known, got.into_inner());
        }
        for parent in ["namespaces/acme", "namespaces/-"] {
            let list = wire::ListReceiptsRequest {
                parent: parent.into(),
                ..Default::default()
            };
            let listed = links
                .list_receipts(list)
                .await
                .map(|it| it.into_inner().receipts);
            let gone = |receipt: &wire::Receipt| receipt.name.ends_with("/gone");
            let found = listed.unwrap_or_default().into_iter().find(gone);
            assert_eq!(found.is_some(), may_read, "{who} {parent}");
            if let Some(found) = found {
                assert_shown(who, known, found);
            }
        }
    }
}

/// G1: the receipt of the unlink itself, which is kept whole for those who may know more.
#[tokio::test]
async fn g1_an_accepted_unlink_answers_the_caller_alone() {
    let world = world().await;
    let mut links = LinkServiceClient::new(world.caller("tenant").await);
    let accepted = wire::UnlinkRequest {
        name: ASKED.into(),
        accept_shared_grant: true,
        force: true,
        ..Default::default()
    };
    let receipt = links.unlink(accepted).await.expect("receipt").into_inner();
    let get = wire::GetReceiptRequest {
        name: receipt.name.clone(),
    };
    assert_shown("tenant", &[0], receipt);
    let mut owner = LinkServiceClient::new(world.caller("owner").await);
    let whole = owner.get_receipt(get).await.expect("receipt");
    assert_shown("owner", &[0, 1, 2], whole.into_inner());
}

fn owned(known: &[usize]) -> Vec<String> {
    named(known).into_iter().map(str::to_owned).collect()
}

fn assert_shown(who: &str, known: &[usize], mut receipt: wire::Receipt) {
    receipt.affected_links.sort();
    assert_eq!(receipt.affected_links, owned(known), "{who}");
    let hidden = usize::try_from(receipt.hidden_affected_link_count).expect("number");
    assert_eq!(hidden, 3 - known.len(), "{who}");
    assert_eq!(names_in(&format!("{receipt:?}")), named(known), "{who}");
}
