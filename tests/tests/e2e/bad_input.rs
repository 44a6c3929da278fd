//! Bad input and faults: one clear sentence that says what is wrong and what to do, a stable reason, and nothing lost.

use std::{os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Client, Error, LinkRequest, Token,
    proto::v1::{Host, Namespace, Permission, namespace, provider},
};
use bindery_tests::{
    artifacts::Plugin,
    daemon::{Daemon, Options},
    forge::{Forge, GitHubForge, consent_in_browser},
    github::{self, Pat, PatKind},
    ports::free_port,
};
use url::Url;

use crate::world::{World, connected, host_of};

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn append(path: &Path, text: &str) -> Result<()> {
    let old = std::fs::read_to_string(path)?;
    Ok(std::fs::write(path, old + text)?)
}

/// A misspelt key is named with its line, and nothing starts (exit 78: systemd does not restart into it).
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_configuration_key_is_named() -> Result<()> {
    let daemon = Daemon::prepare(&Options::default())?;
    append(&daemon.config(), "run_as_rooot = true\n")?;
    let output = daemon.binderyd(&["run"])?;
    ensure!(output.status.code() == Some(78), "exit {:?}", output.status);
    ensure!(
        stderr(&output).contains("run_as_rooot"),
        "{}",
        stderr(&output)
    );
    ensure!(stderr(&output).contains("line "), "{}", stderr(&output));
    Ok(())
}

/// A key file that others can read is refused, with the command that mends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_world_readable_key_file_is_refused() -> Result<()> {
    let mut daemon = Daemon::start(&Options::default()).await?;
    daemon.kill()?;
    let key = daemon.path("data/development-root.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644))?;
    let said = daemon.refuses()?;
    ensure!(
        said.contains("chmod 0400") && said.contains("ROOT_KEY_UNUSABLE"),
        "{said}"
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    daemon.resume().await
}

/// A wrong key opens nothing and changes nothing: with the right one everything is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_loses_nothing() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let link = world.link().await?;
    world.daemon.kill()?;
    let key = world.daemon.path("data/development-root.key");
    let right = std::fs::read(&key)?;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    let mut wrong = right.clone();
    let first = wrong.first_mut().context("an empty key")?;
    *first = if *first == b'A' { b'B' } else { b'A' };
    std::fs::write(&key, &wrong)?;
    let said = world.daemon.refuses()?;
    ensure!(said.contains("ROOT_KEY_WRONG"), "{said}");
    std::fs::write(&key, &right)?;
    world.daemon.resume().await?;
    world.client = connected(&world.daemon).await?;
    world.fetch(&link).await?;
    Ok(())
}

/// A damaged store is reported, never opened as an empty one.
#[tokio::test(flavor = "multi_thread")]
async fn a_corrupted_store_is_reported() -> Result<()> {
    let mut daemon = Daemon::start(&Options::default()).await?;
    daemon.kill()?;
    let db = daemon.path("data/store/db");
    let length = std::fs::metadata(&db)?.len();
    std::fs::OpenOptions::new()
        .write(true)
        .open(&db)?
        .set_len(length / 2)?;
    let said = daemon.refuses()?;
    ensure!(
        !said.contains("Ready"),
        "a damaged store was opened: {said}"
    );
    let reports = said.lines().filter(|line| line.contains("STORE_"));
    ensure!(reports.count() == 1 && !said.contains("panicked"), "{said}");
    Ok(())
}

/// K11: a second daemon on the same folder ends with its own exit code, and the first one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn k11_a_second_daemon_is_refused() -> Result<()> {
    let daemon = Daemon::start(&Options::default()).await?;
    let output = daemon.binderyd(&["run", "--development"])?;
    ensure!(
        output.status.code() == Some(73),
        "exit {:?}: {}",
        output.status,
        stderr(&output)
    );
    let client = connected(&daemon).await?;
    client.list_hosts("").all().await?;
    Ok(())
}

/// A plugin that is not the one that was agreed to does not run; the others do, and the status says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_plugin_does_not_run() -> Result<()> {
    let mut daemon = Daemon::prepare(&Options::default())?;
    let version = env!("CARGO_PKG_VERSION");
    append_byte(&daemon.path(format!("plugins/github/{version}/plugin.so")))?;
    daemon.resume().await?;
    let client = connected(&daemon).await?;
    let states = client.list_providers().all().await?;
    let state = |name: &str| {
        states
            .iter()
            .find(|provider| provider.name == name)
            .map(|provider| provider.state())
    };
    ensure!(
        state("providers/gitea") == Some(provider::State::Ready),
        "{states:?}"
    );
    ensure!(
        state("providers/github") != Some(provider::State::Ready),
        "{states:?}"
    );
    let output = daemon
        .cli(&["plugin", "list"])
        .env("BINDERY_ENDPOINT", daemon.admin_endpoint())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains("github"), "{text} {}", stderr(&output));
    ensure!(daemon.log().contains("sha256"), "the log does not say why");
    Ok(())
}

fn append_byte(path: &Path) -> Result<()> {
    let mut bytes = std::fs::read(path)?;
    bytes.push(0);
    Ok(std::fs::write(path, bytes)?)
}

/// A forge that is away is named, and its host's entry stays.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_forge_is_named() -> Result<()> {
    let daemon = Daemon::start(&Options::default()).await?;
    let client = connected(&daemon).await?;
    let away = format!("127.0.0.1:{}", free_port()?);
    let forge = GitHubForge::start(false, None).await?;
    let mut host = host_of(&forge);
    if let Some(urls) = &mut host.public_urls {
        urls.web = format!("http://{away}");
        urls.api = format!("http://{away}/api/v3");
    }
    let host = client.create_host("away", host).await?;
    let probe = client.probe_host(&host.name).await?;
    let text = format!("{probe:?}");
    client.get_host(&host.name).await?;
    ensure!(text.contains("HOST_UNREACHABLE"), "{text}");
    Ok(())
}

/// A forge with a certificate of an unknown CA is refused by name of the problem; with the CA in the host's entry the whole
/// link works.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_ca_is_named_and_mended() -> Result<()> {
    let authority = Authority::new()?;
    let options = github::Options {
        tls: Some(authority.server("localhost")?),
        host: "localhost".to_owned(),
        rate_limits: false,
        ..github::Options::default()
    };
    let standin = github::GitHub::start(options).await?;
    standin.add_user("octo");
    let daemon = Daemon::start(&Options {
        plugins: vec![Plugin::GitHub],
        ..Options::default()
    })
    .await?;
    let client = connected(&daemon).await?;
    let port = standin.web_url().port().context("no port")?;
    let https_ports = vec![bindery_client::proto::v1::host::PortRange {
        first: port.into(),
        last: 0,
    }];
    let host = Host {
        provider: "providers/github".to_owned(),
        public_urls: Some(bindery_client::proto::v1::host::Urls {
            web: standin.web_url().as_str().trim_end_matches('/').to_owned(),
            api: standin.api_url().as_str().trim_end_matches('/').to_owned(),
            ..Default::default()
        }),
        allowed_private_cidrs: vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()],
        port_policy: Some(bindery_client::proto::v1::host::PortPolicy {
            https_ports,
            ..Default::default()
        }),
        ..Default::default()
    };
    let host = client.create_host("forge", host).await?;
    let probe = format!("{:?}", client.probe_host(&host.name).await?);
    ensure!(probe.contains("HOST_CERTIFICATE_UNKNOWN"), "{probe}");
    let update = Host {
        name: host.name.clone(),
        ca_bundle_pem: authority.pem(),
        ..Default::default()
    };
    client.update_host(update, ["ca_bundle_pem"]).await?;
    let probe = format!("{:?}", client.probe_host(&host.name).await?);
    ensure!(!probe.contains("HOST_CERTIFICATE_UNKNOWN"), "{probe}");
    let pat = Pat {
        kind: PatKind::Classic {
            scopes: &["repo", "read:user"],
        },
        expires_in: None,
    };
    let token = Token::from(standin.add_pat("octo", &pat)?);
    let user = Namespace {
        kind: namespace::Kind::User.into(),
        ..Default::default()
    };
    client.create_namespace("octo", user).await?;
    let link = client
        .create_link(
            LinkRequest::token("namespaces/octo", &host.name, &token)
                .permissions([Permission::ReadCode]),
        )
        .await?
        .link;
    let identity = link
        .and_then(|link| link.identity)
        .context("no identity over TLS")?;
    ensure!(identity.login == "octo", "another identity: {identity:?}");
    Ok(())
}

/// A CA for one test.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: rcgen::Certificate,
}

impl Authority {
    fn new() -> Result<Self> {
        let mut parameters = rcgen::CertificateParams::new(Vec::new())?;
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?;
        Ok(Self {
            issuer: rcgen::Issuer::new(parameters, key),
            certificate,
        })
    }

    fn pem(&self) -> String {
        self.certificate.pem()
    }

    fn server(&self, name: &str) -> Result<github::Tls> {
        let key = rcgen::KeyPair::generate()?;
        let parameters = rcgen::CertificateParams::new(vec![name.to_owned()])?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(github::Tls {
            cert_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            root_pem: self.pem(),
        })
    }
}

/// O2: a replayed and a forged callback end on a page that says so, and exchange nothing.
#[tokio::test(flavor = "multi_thread")]
async fn o2_replayed_and_forged_callbacks_do_nothing() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let (link, page) = world.start_link().await?;
    let mut browser = world.forge.browser();
    let start = browser.open(&Url::parse(&page)?).await?;
    let form = start
        .forms()
        .into_iter()
        .find(|form| form.action.path().ends_with("/start"));
    let towards = browser.submit(&form.context("no form")?).await?;
    let back = world.forge.agree(&mut browser, towards).await?;
    let callback = back.location()?.context("no callback")?;
    let confirm = browser.follow(back).await?;
    ensure!(confirm.status.is_success(), "{}", confirm.status);
    let exchanges = || {
        world
            .forge
            .standin
            .requests("/login/oauth/access_token")
            .len()
    };
    let before = exchanges();
    let replay = browser.open(&callback).await?;
    ensure!(
        replay.status.is_client_error(),
        "a replay was taken: {}",
        replay.status
    );
    let mut forged = callback.clone();
    forged
        .query_pairs_mut()
        .clear()
        .append_pair("code", "stolen")
        .append_pair("state", "forged<script>");
    let answer = browser.open(&forged).await?;
    ensure!(
        answer.status.is_client_error(),
        "a forged callback was taken: {}",
        answer.status
    );
    ensure!(
        !answer.body.contains("forged"),
        "the page repeats the query"
    );
    ensure!(exchanges() == before, "a code was exchanged");
    ensure!(
        world.fetch(&link).await.is_err(),
        "an unconfirmed link hands out a token"
    );
    Ok(())
}

/// O1: the victim of a fixated link consents in another browser than the one that started: nothing is bound.
#[tokio::test(flavor = "multi_thread")]
async fn o1_another_browser_can_not_finish() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let (link, page) = world.start_link().await?;
    let mut attacker = world.forge.browser();
    let start = attacker.open(&Url::parse(&page)?).await?;
    let form = start
        .forms()
        .into_iter()
        .find(|form| form.action.path().ends_with("/start"));
    attacker.submit(&form.context("no form")?).await?;
    let mut victim = world.forge.browser();
    ensure!(
        consent_in_browser(&mut world.forge, &mut victim, &page)
            .await
            .is_err(),
        "a second browser took over"
    );
    ensure!(
        world.fetch(&link).await.is_err(),
        "the link hands out a token"
    );
    Ok(())
}

/// G1: a caller without rights gets one answer for "absent" and for "not yours".
#[tokio::test(flavor = "multi_thread")]
async fn g1_a_caller_without_rights_learns_nothing() -> Result<()> {
    let policy = "[[allow]]\nprincipals = [\"spiffe://example.org/nobody\"]\nnamespaces = [\"acme\"]\nactions = [\"read\"]\n";
    let options = Options {
        policy: Some(policy.to_owned()),
        ..Options::default()
    };
    let daemon = Daemon::start(&options).await?;
    let client = connected(&daemon).await?;
    let admin = Client::builder()
        .endpoint(daemon.admin_endpoint())
        .connect()
        .await?;
    let acme = Namespace {
        kind: namespace::Kind::User.into(),
        ..Default::default()
    };
    admin.create_namespace("acme", acme).await?;
    let yours = client.get_namespace("namespaces/acme").await;
    let absent = client.get_namespace("namespaces/absent").await;
    let text = |result: Result<_, Error>| {
        result
            .map(|_| ())
            .map_err(|error| error.to_string().replace("absent", "acme"))
    };
    let (yours, absent) = (text(yours), text(absent));
    ensure!(yours.is_err() && yours == absent, "{yours:?} {absent:?}");
    Ok(())
}
