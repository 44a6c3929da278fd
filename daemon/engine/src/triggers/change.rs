//! Changing, rotating and deleting triggers.

use std::time::Duration;

use bindery_core::{
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason},
    trigger::{Trigger, TriggerName},
};

use super::{LONGEST_OVERLAP, WithToken, check_ref, key, secret_key, token::made};
use crate::{Engine, RequestKey, Versioned, namespaces::check_etag, records::change};

/// What is to change; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct TriggerChange {
    /// Name for people.
    pub display_name: Option<String>,
    /// Full name of the branch or tag to build where a firing names none.
    pub default_ref: Option<String>,
    /// It is switched off.
    pub disabled: Option<bool>,
    /// Everything is checked, and nothing is changed.
    pub validate_only: bool,
}

impl TriggerChange {
    fn put_into(&self, trigger: &mut Trigger) {
        if let Some(display_name) = &self.display_name {
            trigger.display_name.clone_from(display_name);
        }
        if let Some(default_ref) = &self.default_ref {
            trigger.default_ref.clone_from(default_ref);
        }
        if let Some(disabled) = self.disabled {
            trigger.disabled = disabled;
        }
    }
}

impl Engine {
    /// Changes what people say about a trigger.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `INVALID_ARGUMENT` for a ref, `REQUEST_ID_REUSED`, and what the vault says.
    pub async fn update_trigger(
        &self,
        name: &TriggerName,
        wanted: &TriggerChange,
        expect: Option<u64>,
        request: Option<&RequestKey>,
    ) -> Result<Versioned<Trigger>, Problem> {
        check_ref(
            "default_ref",
            wanted.default_ref.as_deref().unwrap_or_default(),
        )?;
        loop {
            if self.recall(request).await?.is_some() {
                return self.trigger(name).await;
            }
            let found = self.trigger(name).await?;
            check_etag(expect, found.version)?;
            let mut trigger = found.record.clone();
            wanted.put_into(&mut trigger);
            if wanted.validate_only || trigger == found.record {
                return Ok(Versioned {
                    record: trigger,
                    version: found.version,
                });
            }
            let mut changes = vec![put(name, found.version, trigger)];
            changes.extend(self.remember(request, &name.to_string()).await?);
            match self.commit(changes).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => {
                    outcome?;
                    return self.trigger(name).await;
                }
            }
        }
    }

    /// Gives a trigger a new token; the one before is accepted for `overlap` more, and those before it as long as they were to
    /// be; without an overlap all of them end.
    /// A repetition of the request shows the same token.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `INVALID_ARGUMENT` for an overlap that is too long, `REQUEST_ID_REUSED`, and what the vault says.
    pub async fn rotate_trigger_token(
        &self,
        name: &TriggerName,
        overlap: Duration,
        request: Option<&RequestKey>,
    ) -> Result<WithToken, Problem> {
        if overlap > LONGEST_OVERLAP {
            let message = "overlap is longer than seven days; give less";
            return Err(Problem::invalid("overlap", message));
        }
        loop {
            if let Some(made) = self.made_before(request).await? {
                return Ok(made);
            }
            match self.replace_token(name, overlap, request).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }

    async fn replace_token(
        &self,
        name: &TriggerName,
        overlap: Duration,
        request: Option<&RequestKey>,
    ) -> Result<WithToken, Problem> {
        let found = self.trigger(name).await?;
        let known = self.find_trigger_secret(name).await?;
        let known = known.ok_or_else(|| Problem::not_found(name))?;
        let (now, token) = (self.now(), self.new_token());
        let until = (!overlap.is_zero()).then(|| now.after(overlap));
        let secret = known.record.replaced(token.duplicate(), until, now);
        let trigger = Trigger {
            token_created: now,
            previous_token_until: secret.overlaps_until(),
            ..found.record
        };
        let mut changes = vec![
            put(name, found.version, trigger),
            change(
                secret_key(name),
                Expect::Version(known.version),
                Some(Record::TriggerSecret(secret)),
            ),
        ];
        changes.extend(self.remember(request, &made(name, &token)).await?);
        self.commit(changes).await?;
        let trigger = self.trigger(name).await?;
        Ok(WithToken { trigger, token })
    }

    /// Deletes a trigger; its URL leads nowhere from here on.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `REQUEST_ID_REUSED`, and what the vault says.
    pub async fn delete_trigger(
        &self,
        name: &TriggerName,
        expect: Option<u64>,
        request: Option<&RequestKey>,
    ) -> Result<(), Problem> {
        loop {
            if self.recall(request).await?.is_some() {
                return Ok(());
            }
            let found = self.trigger(name).await?;
            check_etag(expect, found.version)?;
            let gone = |key, expect| change(key, expect, None);
            let mut changes = vec![
                gone(key(name), Expect::Version(found.version)),
                gone(secret_key(name), Expect::Any),
                gone(Key::TriggerPlace(found.record.place), Expect::Any),
            ];
            changes.extend(self.remember(request, &name.to_string()).await?);
            match self.commit(changes).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }
}

fn put(name: &TriggerName, version: u64, trigger: Trigger) -> Change {
    let write = Some(Record::Trigger(trigger));
    change(key(name), Expect::Version(version), write)
}
