//! What came out of a scripted run

use std::mem;

use bindery_plugin_proto::v1::{self, effect, output, step};

use super::show_segments;

/// A request as it left, secrets shown by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sent {
    /// Method.
    pub method: String,
    /// URL.
    pub url: String,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
    /// Pointers that the daemon captures, and the names under which it keeps what it finds.
    pub captures: Vec<(String, String)>,
}

impl Sent {
    /// First value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn new(request: &v1::HttpRequest) -> Self {
        let header = |header: &v1::Header| (header.name.clone(), show_segments(&header.value));
        let capture = |capture: &v1::Capture| (capture.pointer.clone(), capture.secret.clone());
        Self {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.iter().map(header).collect(),
            body: show_segments(&request.body),
            captures: request.capture.iter().map(capture).collect(),
        }
    }
}

/// The run that a scripted answer ended. A well-formed answer may also lead to another question, which is not in the script
/// and has tests of its own: then there is none.
///
/// # Panics
///
/// If the run broke in another way.
#[track_caller]
pub fn ended(name: &str, run: Result<Run, String>) -> Option<Run> {
    match run {
        Ok(run) => Some(run),
        Err(asks_on) if asks_on.contains("is not in the script") => None,
        Err(other) => panic!("{name}: {other}"),
    }
}

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// How it ended.
    pub outcome: Result<output::Kind, v1::Failure>,
    /// Pages that came before the end.
    pub pages: Vec<output::Kind>,
    /// Requests in the order in which they left.
    pub requests: Vec<Sent>,
    /// JWTs that were asked for, in order.
    pub jwts: Vec<v1::SignJwt>,
    /// Lines for the log.
    pub logs: Vec<v1::Log>,
    /// Number of steps.
    pub steps: usize,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            outcome: Ok(output::Kind::Empty(v1::Empty {})),
            pages: Vec::new(),
            requests: Vec::new(),
            jwts: Vec::new(),
            logs: Vec::new(),
            steps: 0,
        }
    }
}

impl Run {
    /// Takes in a step; gives its outcome if it has one.
    pub(super) fn absorb(
        &mut self,
        step: &mut v1::Step,
        open: &mut Vec<v1::Effect>,
    ) -> Option<step::Outcome> {
        self.steps += 1;
        self.logs.append(&mut step.logs);
        self.pages.extend(
            mem::take(&mut step.partial)
                .into_iter()
                .filter_map(|page| page.kind),
        );
        self.requests
            .extend(step.effects.iter().filter_map(|effect| match &effect.kind {
                Some(effect::Kind::Http(request)) => Some(Sent::new(request)),
                _ => None,
            }));
        self.jwts
            .extend(step.effects.iter().filter_map(|effect| match &effect.kind {
                Some(effect::Kind::SignJwt(jwt)) => Some(jwt.clone()),
                _ => None,
            }));
        open.append(&mut step.effects);
        open.retain(|effect| !step.cancelled.contains(&effect.id));
        step.outcome.take()
    }

    /// The failure that it ended with.
    ///
    /// # Panics
    ///
    /// If it ended well.
    #[track_caller]
    pub fn failure(&self) -> &v1::Failure {
        match &self.outcome {
            Err(failure) => failure,
            Ok(kind) => panic!("no failure: {kind:?}"),
        }
    }

    /// What it ended with.
    ///
    /// # Panics
    ///
    /// If it failed.
    #[track_caller]
    pub fn output(&self) -> &output::Kind {
        match &self.outcome {
            Ok(kind) => kind,
            Err(failure) => panic!("{failure:?}"),
        }
    }

    /// Result of identify.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[track_caller]
    pub fn identity(&self) -> &v1::Identity {
        match self.output() {
            output::Kind::Identity(identity) => identity,
            other => panic!("no identity: {other:?}"),
        }
    }

    /// Result of inspect_token.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[track_caller]
    pub fn token_facts(&self) -> &v1::TokenFacts {
        match self.output() {
            output::Kind::TokenFacts(facts) => facts,
            other => panic!("no facts of a token: {other:?}"),
        }
    }

    /// Result of get_repository.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[track_caller]
    pub fn repository(&self) -> &v1::Repository {
        match self.output() {
            output::Kind::Repository(repository) => repository,
            other => panic!("no repository: {other:?}"),
        }
    }

    /// Result of revoke.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[track_caller]
    pub fn revocation(&self) -> &v1::Revocation {
        match self.output() {
            output::Kind::Revocation(revocation) => revocation,
            other => panic!("no revocation: {other:?}"),
        }
    }

    /// Result of probe.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[track_caller]
    pub fn server(&self) -> &v1::ServerFacts {
        match self.output() {
            output::Kind::Server(server) => server,
            other => panic!("no server: {other:?}"),
        }
    }

    /// Result of mint_token.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[track_caller]
    pub fn minted(&self) -> &v1::Minted {
        match self.output() {
            output::Kind::Minted(minted) => minted,
            other => panic!("no minted token: {other:?}"),
        }
    }

    /// Result of get_installation.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[track_caller]
    pub fn installation(&self) -> &v1::Installation {
        match self.output() {
            output::Kind::Installation(installation) => installation,
            other => panic!("no installation: {other:?}"),
        }
    }

    /// Result of create_hook and update_hook.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[track_caller]
    pub fn hook(&self) -> &v1::HookFacts {
        match self.output() {
            output::Kind::Hook(hook) => hook,
            other => panic!("no hook: {other:?}"),
        }
    }

    /// Result of parse_delivery.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[track_caller]
    pub fn delivered(&self) -> &v1::Delivered {
        match self.output() {
            output::Kind::Delivered(delivered) => delivered,
            other => panic!("no delivery: {other:?}"),
        }
    }

    /// Hooks of all pages.
    pub fn hooks(&self) -> Vec<&v1::HookFacts> {
        let pages = self.pages.iter().filter_map(|page| match page {
            output::Kind::Hooks(page) => Some(&page.items),
            _ => None,
        });
        pages.flatten().collect()
    }

    /// Deliveries of all pages, as the provider lists them.
    pub fn sent_deliveries(&self) -> Vec<&v1::SentDelivery> {
        let pages = self.pages.iter().filter_map(|page| match page {
            output::Kind::SentDeliveries(page) => Some(&page.items),
            _ => None,
        });
        pages.flatten().collect()
    }

    /// Organizations of all pages.
    pub fn organizations(&self) -> Vec<&v1::Organization> {
        self.organization_pages()
            .into_iter()
            .flat_map(|page| &page.items)
            .collect()
    }

    /// Pages of organizations.
    pub fn organization_pages(&self) -> Vec<&v1::OrganizationPage> {
        let pages = self.pages.iter().filter_map(|page| match page {
            output::Kind::Organizations(page) => Some(page),
            _ => None,
        });
        pages.collect()
    }

    /// Pages of repositories.
    pub fn repository_pages(&self) -> Vec<&v1::RepositoryPage> {
        let pages = self.pages.iter().filter_map(|page| match page {
            output::Kind::Repositories(page) => Some(page),
            _ => None,
        });
        pages.collect()
    }

    /// Repositories of all pages.
    pub fn repositories(&self) -> Vec<&v1::Repository> {
        self.repository_pages()
            .into_iter()
            .flat_map(|page| &page.items)
            .collect()
    }

    /// Pages of refs.
    pub fn ref_pages(&self) -> Vec<&v1::RefPage> {
        let pages = self.pages.iter().filter_map(|page| match page {
            output::Kind::Refs(page) => Some(page),
            _ => None,
        });
        pages.collect()
    }

    /// Refs of all pages.
    pub fn refs(&self) -> Vec<&v1::Ref> {
        self.ref_pages()
            .into_iter()
            .flat_map(|page| &page.items)
            .collect()
    }
}
