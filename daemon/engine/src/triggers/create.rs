//! Making a trigger with its first token.

use bindery_core::{
    name::TriggerId,
    port::{Expect, Key, Record, VaultHealth},
    problem::{Problem, Reason},
    secret::Secret,
    source::{Source, SourceName},
    trigger::{OverlappingSecret, Trigger, TriggerPlace},
};

use super::{TriggerSettings, WithToken, check_ref, key, secret_key, token::made};
use crate::{Engine, RequestKey, Versioned, namespaces::taken, records::change};

/// Most triggers of a source. A source has one for a person, a script or a schedule; each is an open door, and listing them and
/// disconnecting their source go through all of them.
const MOST: usize = 100;

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct NewTrigger {
    /// The source.
    pub source: SourceName,
    /// Its id; `None` to have one made.
    pub id: Option<TriggerId>,
    /// What people say about it.
    pub settings: TriggerSettings,
    /// Everything is checked, and nothing is stored.
    pub validate_only: bool,
}

impl Engine {
    /// Makes a trigger and its token. A repetition of the request shows the same token.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ALREADY_EXISTS`, `INVALID_ARGUMENT` for a ref and where the source has as many as it may, `REQUEST_ID_REUSED`, `STORE_LOW_SPACE`, and what the vault
    /// says.
    pub async fn create_trigger(
        &self,
        new: NewTrigger,
        request: Option<&RequestKey>,
    ) -> Result<WithToken, Problem> {
        check_ref("default_ref", &new.settings.default_ref)?;
        if let Some(made) = self.made_before(request).await? {
            return Ok(made);
        }
        self.room_for_triggers()?;
        let source = self.known_source(&new.source).await?;
        // A source that goes takes its triggers with it; none is made behind its back.
        let _alone = self.hooks().place(&source.host, &source.repository).await;
        self.known_source(&new.source).await?;
        if self.triggers_of(&new.source).await?.len() >= MOST {
            return Err(too_many(&new.source));
        }
        let trigger = self.new_trigger(&new)?;
        if new.validate_only {
            return self.only_checked(trigger).await;
        }
        let name = trigger.name().to_string();
        match self.write_trigger(trigger, request).await {
            Err(problem) if problem.reason == Reason::StoreConflict => {
                // The same request, asked twice at the same time: the other one was faster.
                let made = self.made_before(request).await?;
                made.ok_or_else(|| taken(problem, &name))
            }
            outcome => outcome,
        }
    }

    pub(super) async fn known_source(&self, name: &SourceName) -> Result<Source, Problem> {
        let found = self.find_source(name).await?;
        let found = found.ok_or_else(|| Problem::not_found(name))?;
        Ok(found.record)
    }

    fn room_for_triggers(&self) -> Result<(), Problem> {
        if self.health() != VaultHealth::LowSpace {
            return Ok(());
        }
        let message = "the disk is nearly full, so no new trigger is taken; existing ones are served; free some space";
        Err(Problem::new(Reason::StoreLowSpace, message))
    }

    fn new_trigger(&self, new: &NewTrigger) -> Result<Trigger, Problem> {
        let id = match &new.id {
            Some(id) => id.clone(),
            None => TriggerId::parse(&self.new_id())
                .map_err(|error| Problem::new(Reason::Internal, error.to_string()))?,
        };
        let (settings, now) = (new.settings.clone(), self.now());
        Ok(Trigger {
            namespace: new.source.namespace.clone(),
            link: new.source.link.clone(),
            source: new.source.source.clone(),
            id,
            place: self.new_id(),
            display_name: settings.display_name,
            default_ref: settings.default_ref,
            disabled: settings.disabled,
            token_created: now,
            previous_token_until: None,
            fired: None,
            created: now,
        })
    }

    async fn only_checked(&self, trigger: Trigger) -> Result<WithToken, Problem> {
        if self.find_trigger(&trigger.name()).await?.is_some() {
            let conflict = Problem::new(Reason::StoreConflict, "");
            return Err(taken(conflict, &trigger.name().to_string()));
        }
        Ok(WithToken {
            trigger: Versioned {
                record: trigger,
                version: 0,
            },
            token: Secret::new(String::new()),
        })
    }

    async fn write_trigger(
        &self,
        trigger: Trigger,
        request: Option<&RequestKey>,
    ) -> Result<WithToken, Problem> {
        let (name, token) = (trigger.name(), self.new_token());
        let place = TriggerPlace {
            place: trigger.place.clone(),
            source: name.source.clone(),
            trigger: name.trigger.clone(),
        };
        let secret = OverlappingSecret::first(token.duplicate());
        let put = |key, record| change(key, Expect::Absent, Some(record));
        let mut changes = vec![
            put(key(&name), Record::Trigger(trigger)),
            put(secret_key(&name), Record::TriggerSecret(secret)),
            put(
                Key::TriggerPlace(place.place.clone()),
                Record::TriggerPlace(place),
            ),
        ];
        changes.extend(self.remember(request, &made(&name, &token)).await?);
        self.commit(changes).await?;
        let trigger = self.trigger(&name).await?;
        Ok(WithToken { trigger, token })
    }
}

fn too_many(source: &SourceName) -> Problem {
    let message = format!("{source} has {MOST} triggers already; delete one that nobody needs");
    Problem::invalid("parent", message)
}
