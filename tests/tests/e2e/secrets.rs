//! The leak gate: a whole story in which every secret is known, and a search for them in everything that is left behind.
//!
//! The control is a daemon of the same sources, but for a composition that leaks on purpose (`binderyd-leaky`): the same
//! story and the same search have to find every one of its leaks.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    CredentialRequest, Error, LinkRequest, RepositoryQuery, Token, UnlinkRequest,
    proto::v1::{Permission, Repository},
};
use bindery_tests::{
    artifacts::{Plugin, artifacts},
    browser::{Browser, Page},
    canary::{Leak, MARKER, Scanner},
    daemon::Options,
    forge::{Forge, GitHubForge, outlive},
    github::{Fault, Pat, PatKind, TokenShape},
};
use tempfile::TempDir;
use url::Url;

use crate::world::World;

#[path = "secrets/stored.rs"]
mod stored;

/// The key file that development makes: the one place where a secret of the daemon may be read.
const ROOT_KEY: &str = "development-root.key";

/// L1, L3: after a whole story at trace level, with refusals, garbage, forged callbacks and kills, no secret stands in
/// logs, errors, pages, metrics, health, files of the data folder, what plugins were handed, or the process's
/// environment and arguments.
#[tokio::test(flavor = "multi_thread")]
async fn l1_l3_no_secret_is_left_anywhere() -> Result<()> {
    let harvest = story(None).await?;
    let leaks = harvest.leaks();
    println!("figure: L1: {}, {} found", harvest.summary(), leaks.len());
    ensure!(
        harvest.secrets.len() >= 20,
        "only {} secrets were planted",
        harvest.secrets.len()
    );
    for place in ["log", "transcript", "errors", "command line"] {
        ensure!(
            harvest.size(place) > 200,
            "{place} is empty: nothing was searched there"
        );
    }
    ensure!(leaks.is_empty(), "{} leaks: {leaks:#?}", leaks.len());
    // L7: the variable that asks for the keys of TLS sessions was set all the time.
    ensure!(
        !harvest.keys_of_tls,
        "the keys of TLS sessions were written down"
    );
    Ok(())
}

/// What `binderyd-leaky` leaks on purpose: into which place, and which kind of secret.
const PLANTED: [(&str, &str); 12] = [
    ("log", "access token"),
    ("log", "client secret"),
    ("log", "state"),
    ("log", "cookie"),
    // By a panic.
    ("log", "refresh token"),
    ("errors", "access token"),
    // The last token that went out: which one that is depends on refreshes in the background.
    ("metrics", "token"),
    ("health", "token"),
    ("transcript", "access token"),
    // Encoded.
    ("pages", "access token"),
    ("data/leak.txt", "access token"),
    // Compressed: the last one that was stored.
    ("data/leak.gz", "token"),
];

/// The control of the search: it finds each of the twelve leaks of `binderyd-leaky`, and the search that every test ends with
/// notices it as well.
#[tokio::test(flavor = "multi_thread")]
async fn l1_the_control_leaks_are_found() -> Result<()> {
    let harvest = story(Some(artifacts().control("leak", "binderyd-leaky")?)).await?;
    let found = PLANTED
        .iter()
        .filter(|(place, kind)| harvest.finds(place, kind));
    let found: BTreeSet<_> = found.collect();
    println!(
        "figure: L1, control: {}, found {} of {} leaks",
        harvest.summary(),
        found.len(),
        PLANTED.len()
    );
    let missed: Vec<_> = PLANTED
        .iter()
        .filter(|leak| !found.contains(leak))
        .collect();
    ensure!(missed.is_empty(), "missed: {missed:?}");
    ensure!(
        harvest.marked,
        "the search that every test ends with missed all of them"
    );
    Ok(())
}

/// All secrets of a story, and everything that it left behind.
struct Harvest {
    secrets: Vec<(&'static str, Vec<u8>)>,
    places: Vec<(String, Vec<u8>)>,
    /// Secrets were left behind that the search after every test notices.
    marked: bool,
    /// Somebody wrote down the keys of TLS sessions.
    keys_of_tls: bool,
}

impl Harvest {
    /// Whether a secret of this kind is found in this place; `token` is each kind of them.
    fn finds(&self, place: &str, kind: &str) -> bool {
        let secrets = self.secrets.iter().filter(|(of, _)| of.ends_with(kind));
        let scanner = Scanner::new(secrets.map(|(_, secret)| secret));
        // Several pages are one place.
        let mut pages = self.places.iter().filter(|(name, _)| name == place);
        pages.any(|(_, bytes)| !scanner.search(place, bytes).is_empty())
    }

    fn scanner(&self) -> Scanner {
        Scanner::new(self.secrets.iter().map(|(_, secret)| secret))
    }

    fn leaks(&self) -> Vec<Leak> {
        let scanner = self.scanner();
        self.places
            .iter()
            .flat_map(|(place, bytes)| scanner.search(place, bytes))
            .collect()
    }

    fn place(&self, name: &str) -> Option<&(String, Vec<u8>)> {
        self.places.iter().find(|(place, _)| place == name)
    }

    fn size(&self, name: &str) -> usize {
        self.place(name).map_or(0, |(_, bytes)| bytes.len())
    }

    fn summary(&self) -> String {
        let bytes: usize = self.places.iter().map(|(_, bytes)| bytes.len()).sum();
        let (secrets, places) = (self.secrets.len(), self.places.len());
        let needles = self.scanner().needles();
        format!(
            "searched {bytes} bytes in {places} places for {secrets} secrets in {needles} writings"
        )
    }
}

/// Everything that is collected while the story goes on.
struct Story {
    world: World<GitHubForge>,
    transcript: Transcript,
    secrets: Vec<(&'static str, Vec<u8>)>,
    errors: String,
    cli: Vec<u8>,
    pages: String,
    places: Vec<(String, Vec<u8>)>,
}

async fn story(binary: Option<PathBuf>) -> Result<Harvest> {
    let mut story = Story::new(binary).await?;
    let link = story.links().await?;
    story.refreshes(&link).await?;
    story.looks_around(&link).await?;
    story.crashes().await?;
    story.meets_faults(&link).await?;
    story.is_refused().await?;
    story.asks_operations().await?;
    story.unlinks(&link).await?;
    story.harvest()
}

impl Story {
    async fn new(binary: Option<PathBuf>) -> Result<Self> {
        let transcript = Transcript::new()?;
        let options = Options {
            plugins: vec![Plugin::GitHub],
            log: "trace".to_owned(),
            worker: Some(transcript.worker()),
            environment: vec![("SSLKEYLOGFILE", transcript.key_log())],
            leaky: binary.is_some(),
            binary,
            ..Options::default()
        };
        let world = World::with(GitHubForge::start(true, Some(MARKER)).await?, options).await?;
        Ok(Self {
            world,
            transcript,
            secrets: Vec::new(),
            errors: String::new(),
            cli: Vec::new(),
            pages: String::new(),
            places: Vec::new(),
        })
    }

    fn plant(&mut self, kind: &'static str, secret: impl AsRef<[u8]>) {
        self.secrets.push((kind, secret.as_ref().to_vec()));
    }

    /// Keeps how an error, or an answer in its place, prints.
    fn note<T: Debug, E: Debug + std::fmt::Display>(&mut self, outcome: &Result<T, E>) {
        self.errors += &match outcome {
            Ok(answer) => format!("{answer:?}\n"),
            Err(error) => format!("{error}\n{error:?}\n"),
        };
    }

    fn show(&mut self, page: &Page) {
        self.pages += &format!("{}\n", page.body);
    }

    /// By a browser, with a forged and a replayed callback on the way.
    async fn links(&mut self) -> Result<String> {
        self.world
            .forge
            .set_shape(TokenShape::Expiring { access_seconds: 8 })?;
        let (name, uri) = self.world.start_link().await?;
        let mut browser = self.world.forge.browser();
        let start = browser.open(&Url::parse(&uri)?).await?;
        self.show(&start);
        let form = start
            .forms()
            .into_iter()
            .find(|form| form.action.path().ends_with("/start"));
        let away = browser.submit(&form.context("no form")?).await?;
        let state = query(&away.location()?.context("no way to the forge")?, "state")?;
        // The flow's id stands before the dot; it is no secret.
        self.plant("state", state.rsplit('.').next().unwrap_or_default());
        let back = self.world.forge.agree(&mut browser, away).await?;
        let callback = back.location()?.context("no way back")?;
        self.forges(&mut browser, &callback).await?;
        let confirm = browser.follow(back).await?;
        self.show(&confirm);
        let form = confirm
            .forms()
            .into_iter()
            .find(|form| form.action.path().ends_with("/confirm"));
        let done = browser.submit(&form.context("nothing to confirm")?).await?;
        let done = browser.follow(done).await?;
        self.show(&done);
        let replayed = browser.open(&callback).await?;
        self.show(&replayed);
        for cookie in browser.cookies(&Url::parse(&self.world.daemon.web_url())?) {
            self.plant("cookie", cookie.value);
        }
        Ok(name)
    }

    async fn forges(&mut self, browser: &mut Browser, callback: &Url) -> Result<()> {
        let code = query(callback, "code")?;
        let mut forged = callback.clone();
        forged
            .query_pairs_mut()
            .clear()
            .append_pair("code", &code)
            .append_pair("state", "a.forged");
        let page = browser.open(&forged).await?;
        self.show(&page);
        Ok(())
    }

    async fn looks_around(&mut self, link: &str) -> Result<()> {
        let client = self.world.client.clone();
        let listed = client
            .list_repositories(link, RepositoryQuery::default())
            .all()
            .await;
        self.note(&listed);
        let hello = listed?.into_iter().next().context("nothing is listed")?;
        self.note(&client.list_refs(&hello.name, None).all().await);
        self.note(&client.read_credential(&CredentialRequest::new(link)).await);
        self.note(&client.check_link(link).await);
        for arguments in [
            &["status"][..],
            &["host", "list", "--output", "json"],
            &["host", "probe", "forge"],
            &["link", "list", "acme", "--output", "json"],
            &["link", "show", link],
            &["link", "check", link],
            &["repo", "list", link],
            &["link", "show", "namespaces/acme/links/absent"],
            &["credential", "read", "namespaces/acme/links/absent"],
        ] {
            let output = self.world.daemon.cli(arguments).output()?;
            self.cli.extend([output.stdout, output.stderr].concat());
        }
        Ok(())
    }

    async fn crashes(&mut self) -> Result<()> {
        self.reads_the_process()?;
        self.world.crash().await
    }

    /// Waits until the token is over for the forge, whose clock has whole seconds, and for the daemon.
    async fn outlives(&mut self, link: &str) -> Result<()> {
        let old = self.world.fetch(link).await?;
        outlive(&mut self.world.forge, old.token.expose()).await?;
        let end = old.expires_at.context("a token without an end")?;
        while std::time::SystemTime::now() < end {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The first token ends at once, so another one is handed out.
    async fn refreshes(&mut self, link: &str) -> Result<()> {
        self.outlives(link).await?;
        self.world.forge.set_shape(TokenShape::Expiring {
            access_seconds: 28_800,
        })?;
        self.note(
            &self
                .world
                .client
                .clone()
                .read_credential(&CredentialRequest::new(link))
                .await,
        );
        // The daemon may have refreshed it by itself meanwhile.
        ensure!(
            self.world.forge.refreshes().await? > 0,
            "nothing was refreshed"
        );
        Ok(())
    }

    /// The forge answers badly, while tokens are listed with, refreshed and exchanged.
    async fn meets_faults(&mut self, link: &str) -> Result<()> {
        let client = self.world.client.clone();
        for fault in [
            Fault::GarbageJson,
            Fault::Status(403),
            Fault::CloseAfterReading,
            Fault::RateLimited { retry_after: 1 },
        ] {
            self.world.forge.standin.fail_next("/user/repos", fault);
            self.note(&self.listed(link).await);
        }
        // Until the forge takes requests again, the daemon sends it none.
        while matches!(self.listed(link).await, Err(Error::RateLimited { .. })) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.world
            .forge
            .set_shape(TokenShape::Expiring { access_seconds: 5 })?;
        let (short, uri) = self.world.start_link_in("namespaces/globex").await?;
        self.world.person_links(&uri).await?;
        self.outlives(&short).await?;
        for fault in [Fault::Status(502), Fault::Status(400)] {
            self.world
                .forge
                .standin
                .fail_next("/login/oauth/access_token", fault);
            self.note(
                &client
                    .read_credential(&CredentialRequest::new(&short))
                    .await,
            );
        }
        // A code is exchanged, and the answer, which holds the tokens, is cut in half.
        let (_, uri) = self.world.start_link().await?;
        self.world
            .forge
            .standin
            .fail_next("/login/oauth/access_token", Fault::GarbageJson);
        let failed = self.world.person_links(&uri).await;
        self.note(&failed.map(|page| page.body));
        Ok(())
    }

    async fn listed(&self, link: &str) -> Result<Vec<Repository>, Error> {
        let all = self
            .world
            .client
            .list_repositories(link, RepositoryQuery::default());
        all.all().await
    }

    /// Tokens that are refused, or taken and given back.
    async fn is_refused(&mut self) -> Result<()> {
        let client = self.world.client.clone();
        let wrong = format!("ghp_{MARKER}0123456789abcdefghijklmno");
        self.plant("refused token", &wrong);
        let pat = |scopes: &'static [&'static str]| Pat {
            kind: PatKind::Classic { scopes },
            expires_in: None,
        };
        let small = self
            .world
            .forge
            .standin
            .add_pat("octo", &pat(&["read:user"]))?;
        let good = self
            .world
            .forge
            .standin
            .add_pat("octo", &pat(&["repo", "read:user"]))?;
        for text in [wrong, small, good] {
            let token = Token::from(text);
            let request = LinkRequest::token("namespaces/acme", "hosts/forge", &token);
            self.note(
                &client
                    .create_link(request.permissions([Permission::ReadCode]))
                    .await,
            );
        }
        // A host whose secret comes with a mistake.
        let secret = format!("{MARKER} with blanks 0123456789");
        self.plant("refused client secret", &secret);
        let oauth_client = bindery_client::proto::v1::host::OAuthClient {
            client_secrets: vec![secret],
            ..Default::default()
        };
        let host = bindery_client::proto::v1::Host {
            name: "hosts/forge".to_owned(),
            oauth_client: Some(oauth_client),
            ..Default::default()
        };
        self.note(
            &client
                .update_host(host, ["oauth_client.client_secrets"])
                .await,
        );
        Ok(())
    }

    async fn asks_operations(&mut self) -> Result<()> {
        let mut browser = Browser::new()?;
        for (place, path) in [
            ("metrics", "/metrics"),
            ("health", "/readyz"),
            ("health", "/healthz"),
            ("health", "/version"),
        ] {
            let page = browser
                .open(&Url::parse(&format!(
                    "{}{path}",
                    self.world.daemon.ops_url()
                ))?)
                .await?;
            self.places.push((place.to_owned(), page.body.into_bytes()));
        }
        Ok(())
    }

    async fn unlinks(&mut self, link: &str) -> Result<()> {
        // A dead grant: what the forge refuses is explained without it.
        self.world.forge.standin.set_clock_offset(28_801);
        let client = self.world.client.clone();
        self.note(&client.read_credential(&CredentialRequest::new(link)).await);
        let receipt = client.unlink(UnlinkRequest::new(link)).await;
        self.note(&receipt);
        self.note(&client.read_credential(&CredentialRequest::new(link)).await);
        let output = self.world.daemon.cli(&["link", "list", "acme"]).output()?;
        self.cli.extend([output.stdout, output.stderr].concat());
        Ok(())
    }

    /// L3: what others may read of a process.
    fn reads_the_process(&mut self) -> Result<()> {
        let id = self.world.daemon.id().context("no process")?;
        for name in ["environ", "cmdline"] {
            let bytes = std::fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
            self.places.push((format!("/proc/{name}"), bytes));
        }
        Ok(())
    }

    fn harvest(mut self) -> Result<Harvest> {
        self.reads_the_process()?;
        let data = self.world.daemon.path("data");
        self.plant("root key", std::fs::read(data.join(ROOT_KEY))?);
        let standin = &self.world.forge.standin;
        for secret in standin.minted().into_iter().chain(standin.presented()) {
            let kind = match secret.get(..4) {
                Some("gho_") => "access token",
                Some("ghr_") => "refresh token",
                Some("ghp_") => "personal token",
                _ => "minted",
            };
            self.plant(kind, secret);
        }
        let client_secret = self
            .world
            .forge
            .client_secret()
            .context("no client secret")?;
        self.plant("client secret", client_secret);
        self.world.daemon.kill()?;
        let marked = !self.world.daemon.left_behind()?.is_empty();
        let keys_of_tls = self.transcript.key_log().exists();
        let mut places = std::mem::take(&mut self.places);
        read_all(&data, Path::new("data"), &mut places)?;
        places.push(("log".to_owned(), self.world.daemon.log().into_bytes()));
        places.push(("transcript".to_owned(), self.transcript.read()));
        places.push(("errors".to_owned(), self.errors.into_bytes()));
        places.push(("pages".to_owned(), self.pages.into_bytes()));
        places.push(("command line".to_owned(), self.cli));
        places.sort();
        Ok(Harvest {
            secrets: self.secrets,
            places,
            marked,
            keys_of_tls,
        })
    }
}

fn query(url: &Url, name: &str) -> Result<String> {
    let value = url.query_pairs().find(|(key, _)| key == name);
    Ok(value
        .with_context(|| format!("no {name} in the URL"))?
        .1
        .into_owned())
}

/// Every file below a folder but the key file.
fn read_all(folder: &Path, name: &Path, places: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = name.join(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir() => read_all(&entry.path(), &name, places)?,
            kind if kind.is_file() && entry.file_name() != ROOT_KEY => {
                places.push((name.display().to_string(), std::fs::read(entry.path())?));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A worker that copies what plugins are handed, and what it has copied.
struct Transcript {
    folder: TempDir,
    copied: Arc<Mutex<Vec<u8>>>,
}

impl Transcript {
    fn new() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("bindery-worker-")
            .tempdir()?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        std::fs::copy(
            artifacts().worker(),
            folder.path().join("bindery-plugin-worker"),
        )?;
        std::fs::copy(
            artifacts().folder().join("transcript-worker"),
            folder.path().join("transcript-worker"),
        )?;
        let pipe = folder.path().join("transcript");
        ensure!(
            Command::new("mkfifo")
                .arg("-m")
                .arg("666")
                .arg(&pipe)
                .status()?
                .success(),
            "no named pipe"
        );
        // Open for writing as well, so that it does not end between two workers. The thread lives as long as the test.
        let mut drain = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&pipe)?;
        let copied = Arc::<Mutex<Vec<u8>>>::default();
        let into = Arc::clone(&copied);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count) = drain.read(&mut buffer) {
                into.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Ok(Self { folder, copied })
    }

    fn worker(&self) -> PathBuf {
        self.folder.path().join("transcript-worker")
    }

    /// Where a TLS library would write down its keys.
    fn key_log(&self) -> PathBuf {
        self.folder.path().join("tls-keys")
    }

    fn read(&self) -> Vec<u8> {
        self.copied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
