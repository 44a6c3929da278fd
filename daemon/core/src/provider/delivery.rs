//! Hooks and deliveries, as plugins describe and parse them.

use crate::time::Timestamp;

/// What a provider's webhooks are like, as data.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HookSupport {
    /// How deliveries can be signed, the best first. Without any there are no hooks here.
    pub schemes: Vec<SignatureScheme>,
    /// Header that names the event, lower case: `x-github-event`.
    pub event_header: String,
    /// Headers that hold the delivery's id, lower case; the first one that is there counts.
    pub id_headers: Vec<String>,
    /// Further headers that the plugin needs to parse a delivery, lower case.
    pub headers: Vec<String>,
    /// A form post carries the JSON in this member, and that text is what is signed; empty where the body always is.
    pub form_member: String,
    /// The provider counts every answer but 2xx against the hook, and switches it off.
    pub failures_disable: bool,
    /// How many hooks a repository can have; 0 where nobody knows.
    pub hooks_per_repository: u32,
}

/// One way in which deliveries are signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignatureScheme {
    /// Stable name, unique within the provider: `hmac-sha256`.
    pub name: String,
    /// How it works.
    pub kind: SignatureKind,
    /// Header with the signature or token, lower case.
    pub header: String,
    /// Text before the signature: `sha256=`.
    pub prefix: String,
    /// Header with the time, where the scheme signs one.
    pub timestamp_header: String,
    /// It does not protect the body.
    pub weak: bool,
}

/// How a signature works.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignatureKind {
    /// HMAC-SHA256 of the body, hexadecimal.
    BodyHmacSha256,
    /// The secret itself.
    Token,
    /// Standard Webhooks: `v1,` and base64 of the HMAC-SHA256 of `id.timestamp.body`; window of five minutes.
    StandardWebhooks,
    /// Gitee: base64 of the HMAC-SHA256 of `timestamp\nsecret` under the secret; milliseconds, window of one hour. The body is not
    /// covered, so each pair is good once.
    TimestampHmacSha256,
}

impl HookSupport {
    /// The scheme of a name.
    #[must_use]
    pub fn scheme(&self, name: &str) -> Option<&SignatureScheme> {
        self.schemes.iter().find(|scheme| scheme.name == name)
    }
}

/// Name of the secret of the hook that an operation is about.
pub const HOOK_SECRET: &str = "hook_secret";

/// A hook at the provider.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HookFacts {
    /// The provider's id.
    pub hook_id: String,
    /// Where it delivers to.
    pub url: String,
    /// Switched on by people.
    pub active: bool,
    /// Switched off by the provider, for the reason in `message`.
    pub disabled: bool,
    /// In what it differs from what Bindery makes, in words: `events`, `content type`, `TLS verification`, `secret`.
    pub deviations: Vec<String>,
    /// Name of the signature scheme that it is set up for; empty where the provider does not tell.
    pub scheme: String,
    /// What the provider says of its deliveries, in words for people; may be empty.
    pub message: String,
    /// The provider says that its latest deliveries failed.
    pub failing: bool,
    /// Its page; may be empty.
    pub web_uri: String,
}

/// One delivery in the provider's own list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SentDelivery {
    /// What the provider's API knows it by.
    pub sent_id: String,
    /// The id that its header carried; empty where the list does not tell.
    pub stable_id: String,
    /// The provider's name of the event.
    pub event: String,
    /// When it was sent.
    pub sent: Option<Timestamp>,
    /// Status that was answered; 0 for none.
    pub status: u16,
}

/// What a delivery says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivered {
    /// It only shows that the hook works.
    pub ping: bool,
    /// The repository; `None` where it concerns none.
    pub repository: Option<DeliveredRepository>,
    /// Who did it.
    pub actor: Option<Person>,
    /// When it happened.
    pub happened: Option<Timestamp>,
    /// What happened, in order; empty where nothing of it is wanted.
    pub happenings: Vec<Happening>,
    /// It says that the link's authorization or installation ended: the link is to be checked at once.
    pub access_changed: bool,
    /// The provider left changes out of it: refs are to be compared.
    pub truncated: bool,
    /// Id of the installation that `access_changed` is about; empty where it is about the authorization of `actor`, or where
    /// nobody tells.
    pub installation_id: String,
}

/// The repository of a delivery.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeliveredRepository {
    /// The provider's id.
    pub stable_id: String,
    /// Path.
    pub full_name: String,
}

/// Who did something at a provider.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Person {
    /// The provider's id; empty where it does not tell.
    pub stable_id: String,
    /// Login.
    pub login: String,
    /// Name for people.
    pub display_name: String,
}

/// One thing that happened to a repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Happening {
    /// Commits came onto a branch, or it was created.
    Push(Push),
    /// A tag was created or moved.
    TagCreated(TagCreated),
    /// A branch or tag was deleted.
    RefDeleted(RefDeleted),
    /// The repository changed as a whole.
    RepositoryChanged(RepositoryChanged),
}

/// Commits came onto a branch, or it was created.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Push {
    /// `refs/heads/...`.
    pub reference: String,
    /// Commit before; empty for a new branch.
    pub before: String,
    /// Commit after.
    pub after: String,
    /// History was rewritten; false also where nobody tells.
    pub forced: bool,
    /// The commits, the oldest first; at most 100.
    pub commits: Vec<Commit>,
    /// How many there are; 0 where nobody tells.
    pub commit_count: u32,
    /// Paths that changed; at most 1,000.
    pub changed_paths: Vec<String>,
    /// `changed_paths` is complete.
    pub changed_paths_complete: bool,
}

/// One commit of a push.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Commit {
    /// Id, hexadecimal.
    pub id: String,
    /// Message, at most 4 KiB.
    pub message: String,
    /// Name of the author.
    pub author_name: String,
    /// E-mail of the author.
    pub author_email: String,
    /// When it was made.
    pub time: Option<Timestamp>,
    /// Its page; may be empty.
    pub web_uri: String,
}

/// A tag was created or moved.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TagCreated {
    /// `refs/tags/...`.
    pub reference: String,
    /// The commit, peeled; empty where the delivery does not tell, and the daemon looks it up.
    pub commit: String,
    /// The tag object of an annotated tag; empty for a light one, or where nobody tells.
    pub tag_object: String,
    /// The commit before, peeled; empty for a new tag, and where nobody tells.
    pub before: String,
    /// Message of an annotated tag, at most 4 KiB.
    pub message: String,
    /// Message of the commit, for its skip marks; may be empty.
    pub commit_message: String,
}

/// A branch or tag was deleted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RefDeleted {
    /// Full name.
    pub reference: String,
    /// The commit that it pointed to, tags peeled; empty where nobody tells.
    pub before: String,
}

/// A repository changed as a whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RepositoryChanged {
    /// How.
    pub kind: RepositoryChange,
    /// Path before; empty where nobody tells.
    pub before: String,
    /// Path after; empty for a deletion.
    pub after: String,
}

/// How a repository changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RepositoryChange {
    /// It has a new name.
    Renamed,
    /// It has a new owner.
    Transferred,
    /// It was deleted.
    Deleted,
    /// It was archived.
    Archived,
    /// It is no longer archived.
    Unarchived,
    /// Who may see it changed.
    VisibilityChanged,
}
