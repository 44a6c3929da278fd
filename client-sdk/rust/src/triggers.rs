//! Triggers: URLs by which people and scripts start a build.

use std::{fmt::Display, time::Duration};

use bindery_proto::v1::{
    CreateTriggerRequest, DeleteTriggerRequest, Event, FireTriggerRequest, GetTriggerRequest,
    ListTriggersRequest, RotateTriggerTokenRequest, Trigger, UpdateTriggerRequest,
    event_service_client::EventServiceClient,
};

use crate::{
    Change, Client, Error, Pages, Token,
    call::{Manner, call, keyed},
    page::pages,
};

/// A trigger with its new token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewTrigger {
    /// The trigger.
    pub trigger: Trigger,
    /// Its token for `Authorization: Bearer`. It can't be had again. Empty where nothing was created.
    pub token: Token,
}

/// Asks for a new trigger.
#[derive(Clone, Debug)]
#[must_use]
pub struct TriggerRequest(CreateTriggerRequest);

impl TriggerRequest {
    /// A trigger of `namespaces/{namespace}/links/{link}/sources/{source}`.
    pub fn new(source: impl Display) -> Self {
        Self(CreateTriggerRequest {
            parent: source.to_string(),
            trigger: Some(Trigger::default()),
            ..CreateTriggerRequest::default()
        })
    }

    fn trigger(&mut self) -> &mut Trigger {
        self.0.trigger.get_or_insert_default()
    }

    /// Its id: 1 to 63 of `a-z`, `0-9` and `-`; the daemon makes one unless set.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.trigger_id = id.into();
        self
    }

    /// Name for people.
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.trigger().display_name = name.into();
        self
    }

    /// Full name of the branch or tag to build where a firing names none, such as `refs/heads/main`.
    pub fn default_ref(mut self, name: impl Into<String>) -> Self {
        self.trigger().default_ref = name.into();
        self
    }

    /// Checks everything and changes nothing; there is no token then.
    pub fn preview(mut self, preview: bool) -> Self {
        self.0.validate_only = preview;
        self
    }

    /// A UUID of the caller's own, to repeat the same intent after a crash and get the same token.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
}

impl Client {
    /// Creates a trigger and its token.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::AlreadyExists`], [`Error::InvalidArgument`], and those that every call
    /// has.
    pub async fn create_trigger(&self, request: TriggerRequest) -> Result<NewTrigger, Error> {
        let answer = keyed!(
            self,
            Manner::KEYED,
            EventServiceClient<_>,
            create_trigger,
            request.0
        )?;
        Ok(NewTrigger {
            trigger: answer.trigger.unwrap_or_default(),
            token: Token::from(answer.token),
        })
    }

    /// Gets a trigger, without its token:
    /// `namespaces/{namespace}/links/{link}/sources/{source}/triggers/{trigger}`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn get_trigger(&self, name: impl Display) -> Result<Trigger, Error> {
        let name = name.to_string();
        let request = GetTriggerRequest { name };
        call!(
            self,
            Manner::READ,
            EventServiceClient<_>,
            get_trigger,
            request
        )
    }

    /// Lists the triggers of a source, without their tokens.
    pub fn list_triggers(&self, source: impl Display) -> Pages<Trigger> {
        let request = ListTriggersRequest {
            parent: source.to_string(),
            ..ListTriggersRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            EventServiceClient<_>,
            list_triggers,
            request,
            triggers
        )
    }

    /// Changes name, default ref or the switch of a trigger.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Conflict`] where `etag` is set and old, [`Error::InvalidArgument`],
    /// and those that every call has.
    pub async fn update_trigger(&self, change: Change<Trigger>) -> Result<Trigger, Error> {
        let request = UpdateTriggerRequest {
            trigger: Some(change.resource),
            update_mask: Some(change.mask),
            validate_only: change.preview,
            ..UpdateTriggerRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            EventServiceClient<_>,
            update_trigger,
            request
        )
    }

    /// Gives a trigger a new token. Old and new are both accepted during the overlap: one hour unless set,
    /// and with zero the old one ends at once.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::InvalidArgument`], and those that every call has.
    pub async fn rotate_trigger_token(
        &self,
        name: impl Display,
        overlap: Option<Duration>,
    ) -> Result<NewTrigger, Error> {
        let request = RotateTriggerTokenRequest {
            name: name.to_string(),
            overlap: overlap.and_then(|time| time.try_into().ok()),
            ..RotateTriggerTokenRequest::default()
        };
        let answer = keyed!(
            self,
            Manner::KEYED,
            EventServiceClient<_>,
            rotate_trigger_token,
            request
        )?;
        Ok(NewTrigger {
            trigger: answer.trigger.unwrap_or_default(),
            token: Token::from(answer.token),
        })
    }

    /// Deletes a trigger; its token stops working at once.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn delete_trigger(&self, name: impl Display) -> Result<(), Error> {
        let request = DeleteTriggerRequest {
            name: name.to_string(),
            ..DeleteTriggerRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            EventServiceClient<_>,
            delete_trigger,
            request
        )
    }

    /// Fires a trigger without its token. An empty ref means the trigger's default one, then the default
    /// branch; another one is a full name such as `refs/heads/main`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::RateLimited`], [`Error::InvalidArgument`], [`Error::LinkDisabled`], and
    /// those that every call has.
    pub async fn fire_trigger(
        &self,
        name: impl Display,
        full_ref: impl Into<String>,
    ) -> Result<Event, Error> {
        let request = FireTriggerRequest {
            name: name.to_string(),
            r#ref: full_ref.into(),
            ..FireTriggerRequest::default()
        };
        let answer = keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            EventServiceClient<_>,
            fire_trigger,
            request
        )?;
        Ok(answer.event.unwrap_or_default())
    }
}
