//! The hooks of many sources: new secrets, and hooks that belong to nobody.

use std::{
    collections::BTreeSet,
    fmt::Display,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bindery_proto::v1::{
    CleanupStep, GetHookRotationRequest, HookRotation, HookRotationReport,
    ListHookRotationReportsRequest, ListOrphanHooksRequest, OrphanHook, RemoveOrphanHooksRequest,
    RotateHookSecretsRequest, source_service_client::SourceServiceClient,
};

use crate::{
    Client, Error, Notice, Page, Pages,
    call::{Manner, call, keyed},
    page::pages,
};

/// Asks for new secrets for many hooks.
#[derive(Clone, Debug)]
#[must_use]
pub struct RotationRequest(RotateHookSecretsRequest);

impl RotationRequest {
    /// For all hooks of a namespace, or with `namespaces/-` all that the caller may change.
    pub fn new(parent: impl Display) -> Self {
        Self(RotateHookSecretsRequest {
            parent: parent.to_string(),
            ..RotateHookSecretsRequest::default()
        })
    }

    /// Only for some sources, by `host`, `link`, `repository` or `labels.KEY`.
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.0.filter = filter.into();
        self
    }

    /// How long old and new secret are both accepted; one hour unless set, at most seven days.
    pub fn overlap(mut self, overlap: Duration) -> Self {
        self.0.overlap = overlap.try_into().ok();
        self
    }

    /// Counts the hooks and changes nothing.
    pub fn preview(mut self, preview: bool) -> Self {
        self.0.validate_only = preview;
        self
    }

    /// A UUID of the caller's own, to repeat the same intent after a crash.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
}

impl Client {
    /// Gives many hooks new secrets. It returns at once; the daemon goes on by itself, and
    /// [`get_hook_rotation`](Self::get_hook_rotation) tells how far it is.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::InvalidArgument`], and those that every call has.
    pub async fn rotate_hook_secrets(
        &self,
        request: RotationRequest,
    ) -> Result<HookRotation, Error> {
        keyed!(
            self,
            Manner::KEYED,
            SourceServiceClient<_>,
            rotate_hook_secrets,
            request.0
        )
    }

    /// Gets how far a rotation is: `namespaces/{namespace}/hookRotations/{hook_rotation}`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn get_hook_rotation(&self, name: impl Display) -> Result<HookRotation, Error> {
        let name = name.to_string();
        let request = GetHookRotationRequest { name };
        call!(
            self,
            Manner::READ,
            SourceServiceClient<_>,
            get_hook_rotation,
            request
        )
    }

    /// Lists what a rotation did, hook by hook.
    pub fn list_hook_rotation_reports(&self, rotation: impl Display) -> Pages<HookRotationReport> {
        let request = ListHookRotationReportsRequest {
            parent: rotation.to_string(),
            ..ListHookRotationReportsRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            SourceServiceClient<_>,
            list_hook_rotation_reports,
            request,
            reports
        )
    }

    /// Looks through the repositories of a link for hooks that point at this Bindery and belong to no
    /// source; `-` in the place of namespace or link means all. [`Pages::notice`] names the links that could
    /// not be looked through.
    pub fn list_orphan_hooks(&self, parent: impl Display) -> Pages<OrphanHook> {
        let client = self.clone();
        let parent = parent.to_string();
        let unreachable: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        Pages::new(move |page_token| {
            let (client, unreachable) = (client.clone(), unreachable.clone());
            let request = ListOrphanHooksRequest {
                parent: parent.clone(),
                page_token,
                ..ListOrphanHooksRequest::default()
            };
            async move {
                let answer = call!(
                    client,
                    Manner::READ_AT_FORGE,
                    SourceServiceClient<_>,
                    list_orphan_hooks,
                    request
                )?;
                let mut seen = unreachable.lock().unwrap_or_else(PoisonError::into_inner);
                seen.extend(answer.unreachable);
                Ok(Page {
                    items: answer.hooks,
                    next_page_token: answer.next_page_token,
                    notice: notice(&seen),
                })
            }
        })
    }

    /// Deletes hooks that [`list_orphan_hooks`](Self::list_orphan_hooks) found, at most 1,000, and says for
    /// each what was done; one that belongs to a source by now is left alone. With `preview` nothing is
    /// changed.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::InvalidArgument`], and those that every call has.
    pub async fn remove_orphan_hooks(
        &self,
        namespace: impl Display,
        hooks: impl IntoIterator<Item = OrphanHook>,
        preview: bool,
    ) -> Result<Vec<CleanupStep>, Error> {
        let request = RemoveOrphanHooksRequest {
            parent: namespace.to_string(),
            hooks: hooks.into_iter().collect(),
            validate_only: preview,
            ..RemoveOrphanHooksRequest::default()
        };
        let answer = keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            SourceServiceClient<_>,
            remove_orphan_hooks,
            request
        )?;
        Ok(answer.steps)
    }
}

fn notice(unreachable: &BTreeSet<String>) -> Option<Notice> {
    if unreachable.is_empty() {
        return None;
    }
    let names: Vec<_> = unreachable.iter().map(String::as_str).collect();
    Some(Notice {
        message: format!(
            "these links could not be looked through now: {}",
            names.join(", ")
        ),
        url: None,
    })
}
