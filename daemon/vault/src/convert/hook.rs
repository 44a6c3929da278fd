//! [`Hook`] and [`HookPlace`].

use bindery_core::{
    hook::{Hook, HookPlace, HookState, HookStep},
    name::{HookId, HostName},
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{
    Stored, Unreadable, each,
    link::{read_who, write_who},
    ms, name,
    source::{read_source_name, write_source_name},
    time,
};

impl Stored for Hook {
    type Message = disk::Hook;

    fn write(&self) -> disk::Hook {
        disk::Hook {
            id: self.id.to_string(),
            host: self.host.to_string(),
            repository: self.repository.clone(),
            full_name: self.full_name.clone(),
            provider_id: self.provider_id.clone(),
            scheme: self.scheme.clone(),
            state: write_state(self.state).into(),
            message: self.message.clone(),
            who: write_who(self.who).into(),
            action_uri: self.action_uri.clone(),
            step: write_step(self.step).into(),
            verified_ms: ms(self.verified),
            last_delivery_ms: ms(self.last_delivery),
            last_rejection_ms: ms(self.last_rejection),
            first_delivery: self.deliveries.0,
            newest_delivery: self.deliveries.1,
            secret_created_ms: self.secret_created.unix_ms(),
            previous_secret_until_ms: ms(self.previous_secret_until),
            checked_ms: ms(self.checked),
            caught_up_ms: ms(self.caught_up),
            reconciled_ms: ms(self.reconciled),
            reconcile_due: self.reconcile_due,
            sources: self.sources.iter().map(write_source_name).collect(),
            created_ms: self.created.unix_ms(),
            by_app: self.by_app,
            secret_fingerprint: self.secret_fingerprint.clone(),
            unknown_since_ms: ms(self.unknown_since),
        }
    }

    fn read(message: disk::Hook) -> Result<Self, Unreadable> {
        Ok(Self {
            id: name(HookId::parse, &message.id, "hook id")?,
            host: name(HostName::parse, &message.host, "host")?,
            state: read_state(message.state)?,
            who: read_who(message.who)?,
            step: read_step(message.step)?,
            repository: message.repository,
            full_name: message.full_name,
            provider_id: message.provider_id,
            scheme: message.scheme,
            message: message.message,
            action_uri: message.action_uri,
            verified: time(message.verified_ms),
            last_delivery: time(message.last_delivery_ms),
            last_rejection: time(message.last_rejection_ms),
            deliveries: (message.first_delivery, message.newest_delivery),
            secret_created: Timestamp::from_unix_ms(message.secret_created_ms),
            previous_secret_until: time(message.previous_secret_until_ms),
            checked: time(message.checked_ms),
            caught_up: time(message.caught_up_ms),
            reconciled: time(message.reconciled_ms),
            reconcile_due: message.reconcile_due,
            sources: each(message.sources, read_source_name)?,
            created: Timestamp::from_unix_ms(message.created_ms),
            by_app: message.by_app,
            secret_fingerprint: message.secret_fingerprint,
            unknown_since: time(message.unknown_since_ms),
        })
    }
}

impl Stored for HookPlace {
    type Message = disk::HookPlace;

    fn write(&self) -> disk::HookPlace {
        disk::HookPlace {
            host: self.host.to_string(),
            repository: self.repository.clone(),
            hook: self.hook.to_string(),
        }
    }

    fn read(message: disk::HookPlace) -> Result<Self, Unreadable> {
        Ok(Self {
            host: name(HostName::parse, &message.host, "host")?,
            hook: name(HookId::parse, &message.hook, "hook id")?,
            repository: message.repository,
        })
    }
}

pub(super) const fn write_state(state: HookState) -> disk::HookState {
    match state {
        HookState::Pending => disk::HookState::Pending,
        HookState::Verified => disk::HookState::Verified,
        HookState::Silent => disk::HookState::Silent,
        HookState::Rejecting => disk::HookState::Rejecting,
        HookState::DisabledByProvider => disk::HookState::DisabledByProvider,
        HookState::Missing => disk::HookState::Missing,
        HookState::Forbidden => disk::HookState::Forbidden,
        HookState::Changed => disk::HookState::Changed,
    }
}

pub(super) fn read_state(number: i32) -> Result<HookState, Unreadable> {
    Ok(match disk::HookState::try_from(number) {
        Ok(disk::HookState::Pending) => HookState::Pending,
        Ok(disk::HookState::Verified) => HookState::Verified,
        Ok(disk::HookState::Silent) => HookState::Silent,
        Ok(disk::HookState::Rejecting) => HookState::Rejecting,
        Ok(disk::HookState::DisabledByProvider) => HookState::DisabledByProvider,
        Ok(disk::HookState::Missing) => HookState::Missing,
        Ok(disk::HookState::Forbidden) => HookState::Forbidden,
        Ok(disk::HookState::Changed) => HookState::Changed,
        Ok(disk::HookState::Unspecified) | Err(_) => return Err(Unreadable("state of a hook")),
    })
}

const fn write_step(step: Option<HookStep>) -> disk::HookStep {
    match step {
        None => disk::HookStep::Unspecified,
        Some(HookStep::Create) => disk::HookStep::Create,
        Some(HookStep::Update) => disk::HookStep::Update,
        Some(HookStep::Delete) => disk::HookStep::Delete,
    }
}

fn read_step(number: i32) -> Result<Option<HookStep>, Unreadable> {
    // Nothing is a value here, so an unknown number must not read as that.
    Ok(match disk::HookStep::try_from(number) {
        Ok(disk::HookStep::Unspecified) => None,
        Ok(disk::HookStep::Create) => Some(HookStep::Create),
        Ok(disk::HookStep::Update) => Some(HookStep::Update),
        Ok(disk::HookStep::Delete) => Some(HookStep::Delete),
        Err(_) => return Err(Unreadable("step of a hook")),
    })
}
