//! What the stand-in knows, all behind one lock

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bindery_twins::hooks::{Hooks, Rules};
use bindery_twins::world::Ref;

use super::apps::{AskedFor, GitHubApp, Installation};
use super::device::Device;
use super::knobs::{Fault, Logged};
use super::mint::Mint;
use super::seed::{Permission, Role, Sso};
use super::{Inner, TokenShape, app_api};

pub(super) struct World {
    pub(super) mint: Mint,
    pub(super) users: Vec<User>,
    pub(super) orgs: Vec<Org>,
    pub(super) repos: Vec<Repo>,
    /// Branches and tags of repositories, as they were when somebody last looked
    pub(super) refs: HashMap<u64, Vec<Ref>>,
    /// Webhooks, and what they are to be sent
    pub(super) hooks: Hooks,
    pub(super) apps: Vec<App>,
    pub(super) github_apps: Vec<GitHubApp>,
    pub(super) installations: Vec<Installation>,
    /// What members asked the owners of their organizations to install
    pub(super) asked_for: Vec<AskedFor>,
    pub(super) devices: Vec<Device>,
    /// Client ids of apps that may not use the device flow
    pub(super) no_devices: BTreeSet<String>,
    /// People that the forge has suspended
    pub(super) suspended: BTreeSet<String>,
    /// How many requests with a token that a refresh made are refused at first
    pub(super) lag: u32,
    /// Tokens that replicas don't know yet, and for how many requests more
    pub(super) unseen: HashMap<String, u32>,
    pub(super) grants: Vec<Grant>,
    pub(super) tokens: Vec<Token>,
    pub(super) codes: Vec<Code>,
    pub(super) sessions: HashMap<String, Session>,
    pub(super) faults: VecDeque<(String, Fault)>,
    /// Whether every request is left without an answer
    pub(super) away: bool,
    pub(super) log: Vec<Logged>,
    pub(super) refreshes: usize,
    /// Requests by whom in which hour
    pub(super) spent: HashMap<(String, i64), u32>,
    pub(super) bad_credentials: (u32, i64),
    /// What tokens of installations are good for, in seconds
    pub(super) installation_seconds: i64,
    next_id: u64,
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) login: String,
    pub(super) name: String,
    pub(super) password: String,
    pub(super) created: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Org {
    pub(super) id: u64,
    pub(super) login: String,
    /// Where its pages are
    pub(super) url: String,
    pub(super) restricted: bool,
    pub(super) sso: Option<Sso>,
    pub(super) members: BTreeMap<String, Role>,
    /// Members who show it to everybody
    pub(super) shown: BTreeSet<String>,
    /// Client ids that an owner let in although the organization is restricted
    pub(super) approved: BTreeSet<String>,
    pub(super) requested: BTreeSet<String>,
    pub(super) created: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Repo {
    pub(super) id: u64,
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) private: bool,
    pub(super) archived: bool,
    pub(super) collaborators: BTreeMap<String, Permission>,
    /// Owner and name that it had before
    pub(super) former: Vec<(String, String)>,
    pub(super) created: i64,
}

#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) client_id: String,
    pub(super) secrets: Vec<String>,
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) callbacks: Vec<String>,
    pub(super) shape: TokenShape,
}

#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) login: String,
    pub(super) client_id: String,
    pub(super) scopes: BTreeSet<String>,
    pub(super) created: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) id: u64,
    pub(super) secret: String,
    pub(super) kind: TokenKind,
    pub(super) login: String,
    /// Scopes, or permissions as `contents:read` where the token is fine-grained
    pub(super) scopes: BTreeSet<String>,
    pub(super) note: String,
    pub(super) created: i64,
    pub(super) expires: Option<i64>,
    /// The refresh token and its end
    pub(super) refresh: Option<(String, i64)>,
    /// Organizations whose single sign-on it is authorized for
    pub(super) sso: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    OAuth {
        client_id: String,
    },
    ClassicPat,
    FineGrainedPat {
        owner: String,
    },
    /// What an app got for a person
    AppUser {
        client_id: String,
        app: u64,
    },
    /// What an app got for one of its installations, perhaps for some repositories only
    Installation {
        id: u64,
        repos: Option<BTreeSet<u64>>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) secret: String,
    pub(super) client_id: String,
    pub(super) login: String,
    pub(super) scopes: BTreeSet<String>,
    pub(super) offline: bool,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) expires: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    /// None before somebody signs in
    pub(super) login: Option<String>,
    /// What forms of this session's pages carry
    pub(super) form_token: String,
}

/// Deliveries are made once, and larger ones than 25 MB never
const RULES: Rules = Rules {
    attempts: 1,
    retry_ms: 0,
    payload_limit: 25 * 1024 * 1024,
    success_below: 300,
    disabling: None,
};

impl World {
    pub(super) fn new(canary: Option<String>) -> Self {
        Self {
            mint: Mint::new(canary),
            users: Vec::new(),
            orgs: Vec::new(),
            repos: Vec::new(),
            refs: HashMap::new(),
            hooks: Hooks::new(RULES),
            apps: Vec::new(),
            github_apps: Vec::new(),
            installations: Vec::new(),
            asked_for: Vec::new(),
            devices: Vec::new(),
            no_devices: BTreeSet::new(),
            suspended: BTreeSet::new(),
            lag: 0,
            unseen: HashMap::new(),
            grants: Vec::new(),
            tokens: Vec::new(),
            codes: Vec::new(),
            sessions: HashMap::new(),
            faults: VecDeque::new(),
            away: false,
            log: Vec::new(),
            refreshes: 0,
            spent: HashMap::new(),
            bad_credentials: (0, 0),
            installation_seconds: app_api::TOKEN_SECONDS,
            // GitHub's ids are large, and nothing may rely on their size or start.
            next_id: 21_000_000,
        }
    }

    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 17;
        self.next_id
    }

    pub(super) fn user(&self, login: &str) -> Option<&User> {
        let mut users = self.users.iter();
        users.find(|user| user.login.eq_ignore_ascii_case(login))
    }

    pub(super) fn org(&self, login: &str) -> Option<&Org> {
        let mut orgs = self.orgs.iter();
        orgs.find(|org| org.login.eq_ignore_ascii_case(login))
    }

    pub(super) fn org_mut(&mut self, login: &str) -> Option<&mut Org> {
        let mut orgs = self.orgs.iter_mut();
        orgs.find(|org| org.login.eq_ignore_ascii_case(login))
    }

    pub(super) fn app(&self, client_id: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.client_id == client_id)
    }

    pub(super) fn repo(&self, owner: &str, name: &str) -> Option<&Repo> {
        let mut repos = self.repos.iter();
        repos.find(|repo| same((&repo.owner, &repo.name), (owner, name)))
    }

    /// The repository that had this name before it was renamed
    pub(super) fn renamed(&self, owner: &str, name: &str) -> Option<&Repo> {
        self.repos.iter().find(|repo| {
            let mut former = repo.former.iter();
            former.any(|(old_owner, old)| same((old_owner, old), (owner, name)))
        })
    }

    pub(super) fn repo_mut(&mut self, owner: &str, name: &str) -> Option<&mut Repo> {
        let mut repos = self.repos.iter_mut();
        repos.find(|repo| same((&repo.owner, &repo.name), (owner, name)))
    }

    pub(super) fn grant(&self, login: &str, client_id: &str) -> Option<&Grant> {
        let mut grants = self.grants.iter();
        grants.find(|grant| grant.login == login && grant.client_id == client_id)
    }

    /// The token that this secret is, if it is still good for the API
    pub(super) fn live_token(&self, secret: &str, now: i64) -> Option<&Token> {
        let mut tokens = self.tokens.iter();
        tokens.find(|token| token.secret == secret && token.lives(now))
    }

    /// Take back what somebody allowed an app, with every token that came of it
    pub(super) fn revoke_grant(&mut self, login: &str, client_id: &str) {
        self.grants
            .retain(|grant| grant.login != login || grant.client_id != client_id);
        self.codes
            .retain(|code| code.login != login || code.client_id != client_id);
        self.tokens
            .retain(|token| token.login != login || token.client_id() != Some(client_id));
    }
}

impl Org {
    pub(super) fn is_owner(&self, login: &str) -> bool {
        self.members.get(login) == Some(&Role::Owner)
    }
}

impl Repo {
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

impl Token {
    pub(super) fn lives(&self, now: i64) -> bool {
        self.expires.is_none_or(|end| now < end)
    }

    pub(super) fn client_id(&self) -> Option<&str> {
        match &self.kind {
            TokenKind::OAuth { client_id } | TokenKind::AppUser { client_id, .. } => {
                Some(client_id)
            }
            TokenKind::ClassicPat
            | TokenKind::FineGrainedPat { .. }
            | TokenKind::Installation { .. } => None,
        }
    }

    /// The installation that it is of
    pub(super) const fn installation(&self) -> Option<u64> {
        match self.kind {
            TokenKind::Installation { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Whether it has permissions instead of scopes
    pub(super) const fn is_fine_grained(&self) -> bool {
        !matches!(self.kind, TokenKind::OAuth { .. } | TokenKind::ClassicPat)
    }

    /// Whether a person made it by hand
    pub(super) const fn is_personal(&self) -> bool {
        matches!(
            self.kind,
            TokenKind::ClassicPat | TokenKind::FineGrainedPat { .. }
        )
    }

    /// What an answer's header lists
    pub(super) fn scope_list(&self) -> String {
        let scopes: Vec<_> = self.scopes.iter().map(String::as_str).collect();
        scopes.join(", ")
    }
}

impl Inner {
    pub(super) fn world(&self) -> std::sync::MutexGuard<'_, World> {
        // A test that panicked has failed already; what others see is still whole.
        self.world
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn same(one: (&str, &str), other: (&str, &str)) -> bool {
    one.0.eq_ignore_ascii_case(other.0) && one.1.eq_ignore_ascii_case(other.1)
}
