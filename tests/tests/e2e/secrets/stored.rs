//! By number: 2,000 secrets in the store (`BINDERY_FIGURES=full`; a share of them without), and a search for the mark that stands in each.

use std::path::Path;

use anyhow::{Result, ensure};
use bindery_client::proto::v1::{Host, host::OAuthClient};
use bindery_replay::figure;
use bindery_tests::{
    artifacts::Plugin,
    browser::Browser,
    canary::{MARKER, Scanner},
    daemon::Options,
    forge::GitHubForge,
};
use futures_util::future::join_all;
use url::Url;

use super::read_all;
use crate::world::{World, host_of};

/// The most client secrets of a host.
const SECRETS: usize = 5;
/// Hosts that are made at the same time: they share a write of the disk.
const AT_ONCE: usize = 8;

/// L1: of 2,000 secrets that were stored, read back as far as that goes, changed, and met by a kill, none stands in the log at
/// trace level, in answers, in pages of operations or in a file.
#[tokio::test(flavor = "multi_thread")]
async fn l1_two_thousand_stored_secrets_are_nowhere() -> Result<()> {
    let options = Options {
        plugins: vec![Plugin::GitHub],
        log: "trace".to_owned(),
        ..Options::default()
    };
    let mut world = World::with(GitHubForge::start(true, Some(MARKER)).await?, options).await?;
    let (hosts, mut places) = (figure(20, 400), Vec::new());
    places.push(("answers".to_owned(), stores_all(&world, hosts).await?));
    world.crash().await?;
    places.push(("list".to_owned(), lists_all(&world, hosts).await?));
    places.push(("pages".to_owned(), operations(&world).await?));
    world.daemon.kill()?;
    places.push(("log".to_owned(), world.daemon.log().into_bytes()));
    read_all(&world.daemon.path("data"), Path::new("data"), &mut places)?;
    let scanner = Scanner::new([MARKER]);
    let found = places
        .iter()
        .flat_map(|(place, bytes)| scanner.search(place, bytes));
    let found: Vec<_> = found.collect();
    let bytes: usize = places.iter().map(|(_, bytes)| bytes.len()).sum();
    println!(
        "figure: L1: {} stored secrets, searched {bytes} bytes in {} places, {} found",
        hosts * SECRETS,
        places.len(),
        found.len()
    );
    ensure!(found.is_empty(), "{found:#?}");
    Ok(())
}

/// Makes so many hosts; returns how the answers print.
async fn stores_all(world: &World<GitHubForge>, hosts: usize) -> Result<Vec<u8>> {
    let mut printed = String::new();
    let like = host_of(&world.forge);
    let numbers: Vec<_> = (0..hosts).collect();
    for some in numbers.chunks(AT_ONCE) {
        let made = some.iter().map(|&number| {
            let (client, host) = (world.client.clone(), with_secrets(&like, number));
            async move { client.create_host(format!("stored-{number}"), host).await }
        });
        for made in join_all(made).await {
            printed += &format!("{:?}\n", made?);
        }
    }
    Ok(printed.into_bytes())
}

fn with_secrets(like: &Host, number: usize) -> Host {
    let secret = |n| format!("{MARKER}{:032x}", number * SECRETS + n);
    let client = OAuthClient {
        client_id: "stored".to_owned(),
        client_secrets: (0..SECRETS).map(secret).collect(),
        ..Default::default()
    };
    Host {
        oauth_client: Some(client),
        ..like.clone()
    }
}

/// Every host as the API and the command line tell of it.
async fn lists_all(world: &World<GitHubForge>, made: usize) -> Result<Vec<u8>> {
    let hosts = world.client.list_hosts("").all().await?;
    ensure!(hosts.len() > made, "only {} hosts", hosts.len());
    let output = world
        .daemon
        .cli(&["host", "list", "--output", "json"])
        .output()?;
    Ok([
        format!("{hosts:?}").into_bytes(),
        output.stdout,
        output.stderr,
    ]
    .concat())
}

async fn operations(world: &World<GitHubForge>) -> Result<Vec<u8>> {
    let (mut browser, mut pages) = (Browser::new()?, String::new());
    for path in ["/metrics", "/readyz", "/healthz", "/version"] {
        let url = format!("{}{path}", world.daemon.ops_url());
        pages += &browser.open(&Url::parse(&url)?).await?.body;
    }
    Ok(pages.into_bytes())
}
