//! Lists that come in pages.

use bindery_client::{Client, RepositoryQuery, testing::FakeBindery};
use futures_util::TryStreamExt as _;

async fn seven_repositories() -> (FakeBindery, Client, String) {
    let bindery = FakeBindery::start().await.unwrap();
    bindery.add_host("github.com", "github", "https://github.com");
    bindery.add_namespace("acme");
    let link = bindery.add_bound_link("acme", "github.com", "octo");
    for number in 1..=7 {
        bindery.add_repository(&link, &format!("acme/r{number}"));
    }
    bindery.set_longest_page(3);
    let client = bindery.client().await.unwrap();
    (bindery, client, link)
}

/// All pages are read, in order, once each, however they are read.
#[tokio::test]
async fn all_pages_are_read() {
    let (bindery, client, link) = seven_repositories().await;
    let all = client
        .list_repositories(&link, RepositoryQuery::default())
        .all()
        .await
        .unwrap();
    let names: Vec<_> = all
        .iter()
        .map(|repository| repository.full_name.as_str())
        .collect();
    let expected: Vec<_> = (1..=7).map(|number| format!("acme/r{number}")).collect();
    assert_eq!(names, expected);
    assert_eq!(bindery.calls("ListRepositories").len(), 3);
    let stream = client
        .list_repositories(&link, RepositoryQuery::default())
        .into_stream();
    let streamed: Vec<_> = stream.try_collect().await.unwrap();
    assert_eq!(streamed, all);
}

/// A page is fetched when it is needed, and not before.
#[tokio::test]
async fn pages_are_fetched_when_they_are_read() {
    let (bindery, client, link) = seven_repositories().await;
    let mut pages = client.list_repositories(&link, RepositoryQuery::default());
    assert_eq!(bindery.calls("ListRepositories").len(), 0);
    assert_eq!(pages.next().await.unwrap().unwrap().full_name, "acme/r1");
    assert_eq!(pages.next_page().await.unwrap().unwrap().len(), 3);
    assert_eq!(bindery.calls("ListRepositories").len(), 2);
}

/// That the provider leaves something out is not lost on the way.
#[tokio::test]
async fn an_incomplete_list_says_so() {
    use bindery_client::proto::v1::organization::AccessState;
    let (bindery, client, link) = seven_repositories().await;
    bindery.add_organization(
        &link,
        "closed",
        AccessState::RestrictedByPolicy,
        "ask its owner",
    );
    let mut pages = client.list_repositories(&link, RepositoryQuery::default());
    assert!(pages.notice().is_none());
    pages.collect().await.unwrap();
    assert!(pages.notice().unwrap().message.contains("left out"));
}
