//! A link that is authorized anew: same id, sources and hooks; the old grant works until the new one is bound.

use std::collections::BTreeSet;

use bindery_core::{
    link::{Link, Stage},
    name::{LinkId, NamespaceName},
    port::Expect,
    problem::{Problem, Reason},
    provider::AuthKind,
    secret::Secret,
};

use super::{
    Authorization, Created, Method, PermissionKey, Rules, Ticket,
    create::Ground,
    method::offered,
    open::{Purpose, note_flow, only_checked, put_flow},
    renew::{on_trial, renewal, same_identity, under_way},
    scopes::{to_ask, wanted},
    token::Vetted,
};
use crate::{Engine, RequestKey, Versioned, namespaces::check_etag};

/// What a caller asks for.
#[derive(Debug)]
pub struct Reauthorize {
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// Its id.
    pub id: LinkId,
    /// How it is authorized; `None` for as the last time.
    pub method: Option<Method>,
    /// What it will be used for; empty for as before.
    pub permissions: BTreeSet<PermissionKey>,
    /// Another identity may take the place of the one before.
    pub allow_identity_change: bool,
    /// A personal account is accepted where the namespace requires a service account.
    pub allow_personal_account: bool,
    /// Principal that asks.
    pub principal: String,
    /// The link must be at this version.
    pub expect: Option<u64>,
    /// Everything is checked, and nothing is stored.
    pub validate_only: bool,
}

impl Engine {
    /// Authorizes a link anew. With a token or an installation it is bound to the new grant when this returns; else a
    /// person goes on, and the old grant works until the new one is confirmed.
    ///
    /// # Errors
    ///
    /// As for [`Engine::create_link`], and `LINK_UNLINKED`, `LINK_NOT_BOUND`, `FLOW_PENDING` while another authorization of
    /// the link is under way, `ETAG_MISMATCH`.
    pub async fn reauthorize_link(
        &self,
        mut ask: Reauthorize,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        if let Some(resource) = self.recall(request).await? {
            return self.created_before(&resource).await;
        }
        let before = self.link(&ask.namespace, &ask.id).await?;
        check_etag(ask.expect, before.version)?;
        self.open_for_anew(&before.record).await?;
        let ground = self.ground(&ask.namespace, &before.record.host).await?;
        let method = match ask.method.take() {
            Some(method) => method,
            None => as_last_time(&before.record)?,
        };
        offered(&ground.host, &ground.description, method.kind())?;
        let trial = self.trial(&before.record, &ask, &ground, method.kind());
        match method {
            Method::AccessToken { token, username } => {
                self.renew_by_token(&ask, before, trial, &ground, (token, username), request)
                    .await
            }
            Method::Installation { id: Some(id) } => {
                self.renew_by_installation(&ask, before, trial, &ground, &id, request)
                    .await
            }
            method => {
                self.start_anew(&ask, before, &trial, &ground, &method, request)
                    .await
            }
        }
    }

    /// Only a link that was bound is authorized anew, and by one at a time.
    async fn open_for_anew(&self, link: &Link) -> Result<(), Problem> {
        match link.observed.stage {
            Stage::Bound | Stage::NeedsReauthorization(_) => {}
            Stage::Unlinking | Stage::Unlinked => {
                let message = format!("{} is unlinked; make a new link", link.resource());
                return Err(Problem::new(Reason::LinkUnlinked, message));
            }
            Stage::PendingAuthorization | Stage::PendingConfirmation => {
                let message = format!(
                    "{} is not bound yet; finish its authorization, or cancel it",
                    link.resource()
                );
                return Err(Problem::new(Reason::LinkNotBound, message));
            }
        }
        let Some(open) = &link.flow else {
            return Ok(());
        };
        match self.find_flow(&open.id).await? {
            Some(flow) if flow.record.is_open(self.now()) => Err(under_way(link)),
            // Over, and the sweep has not come by yet.
            Some(flow) => self
                .end_flow(&flow.record, "it was not finished in time")
                .await
                .map(drop),
            None => Ok(()),
        }
    }

    /// The link as it would be, for the way that is tried.
    fn trial(&self, link: &Link, ask: &Reauthorize, ground: &Ground, kind: AuthKind) -> Link {
        let permissions = if ask.permissions.is_empty() {
            link.permissions.clone()
        } else {
            wanted(&ask.permissions)
        };
        let description = &ground.description;
        let requested_scopes = match permissions.as_slice() {
            // Of a link that was made before permissions were kept.
            [] => link.requested_scopes.clone(),
            some => to_ask(description, kind, some),
        };
        Link {
            requested_scopes,
            permissions,
            ..on_trial(link, kind)
        }
    }

    async fn renew_by_token(
        &self,
        ask: &Reauthorize,
        before: Versioned<Link>,
        mut trial: Link,
        ground: &Ground,
        (token, username): (Secret, String),
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        trial.username = username;
        let rules = ask.rules(ground);
        let vetted = self.vet_token(&mut trial, ground, token, &rules).await?;
        self.renew_vetted(ask, before, trial, vetted, request).await
    }

    async fn renew_by_installation(
        &self,
        ask: &Reauthorize,
        before: Versioned<Link>,
        mut trial: Link,
        ground: &Ground,
        id: &str,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        let rules = ask.rules(ground);
        let vetted = self
            .vet_installation(&mut trial, ground, id, &rules)
            .await?;
        self.renew_vetted(ask, before, trial, vetted, request).await
    }

    async fn renew_vetted(
        &self,
        ask: &Reauthorize,
        before: Versioned<Link>,
        trial: Link,
        vetted: Vetted,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        let Vetted {
            grant,
            found,
            findings,
        } = vetted;
        same_identity(&before.record, &found.identity, ask.allow_identity_change)?;
        let link = if ask.validate_only {
            before
        } else {
            let ticket = Ticket {
                flow: None,
                allow_identity_change: ask.allow_identity_change,
                allow_personal_account: ask.allow_personal_account,
                expect: ask.expect,
                request: request.cloned(),
            };
            self.renew(
                &ask.namespace,
                &ask.id,
                renewal(trial, grant, found),
                ticket,
            )
            .await?
        };
        Ok(Created {
            link,
            authorization: None,
            findings,
        })
    }

    async fn start_anew(
        &self,
        ask: &Reauthorize,
        before: Versioned<Link>,
        trial: &Link,
        ground: &Ground,
        method: &Method,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        self.passable(ground, method)?;
        self.room_for_flow(&ask.principal, &ask.namespace).await?;
        if ask.validate_only {
            return Ok(only_checked(before.record, before.version));
        }
        let purpose = Purpose {
            principal: &ask.principal,
            expected_identity: "",
            allow_personal_account: ask.allow_personal_account,
            reauthorization: true,
            allow_identity_change: ask.allow_identity_change,
            offered: &[],
        };
        let (flow, authorization) = self.open_flow(trial, ground, method, &purpose).await?;
        let _one_at_a_time = self.gates().flows.lock().await;
        self.make_room_for_flow(&ask.principal, &ask.namespace)
            .await?;
        let link = self.note_anew(ask, &flow, request).await?;
        self.follow_device(&flow);
        Ok(started(link, authorization))
    }

    /// The flow, and that the link has one, in one transaction.
    async fn note_anew(
        &self,
        ask: &Reauthorize,
        flow: &bindery_core::flow::Flow,
        request: Option<&RequestKey>,
    ) -> Result<Versioned<Link>, Problem> {
        loop {
            let Versioned {
                record: mut link,
                version,
            } = self.link(&ask.namespace, &ask.id).await?;
            check_etag(ask.expect, version)?;
            self.open_for_anew(&link).await?;
            note_flow(&mut link, flow);
            link.updated = self.now();
            let mut changes = vec![put_flow(flow)];
            changes.extend(self.remember(request, &link.resource()).await?);
            match self
                .put_link(link.clone(), Expect::Version(version), changes)
                .await
            {
                Err(problem) if problem.reason == Reason::StoreConflict => {
                    if let Some(resource) = self.recall(request).await? {
                        return self.link_named(&resource).await;
                    }
                }
                Err(problem) => return Err(problem),
                Ok(()) => {
                    return Ok(Versioned {
                        record: link,
                        version: version + 1,
                    });
                }
            }
        }
    }
}

impl Reauthorize {
    fn rules<'a>(&self, ground: &'a Ground) -> Rules<'a> {
        Rules {
            namespace: &ground.namespace,
            expected_identity: "",
            allow_personal_account: self.allow_personal_account,
        }
    }
}

fn started(link: Versioned<Link>, authorization: Authorization) -> Created {
    Created {
        link,
        authorization: Some(authorization),
        findings: Vec::new(),
    }
}

/// The way that a link was authorized the last time. Nobody keeps a token to give it again.
fn as_last_time(link: &Link) -> Result<Method, Problem> {
    match link.auth_kind {
        AuthKind::OAuthCode => Ok(Method::OAuthCode { return_to: None }),
        AuthKind::Device => Ok(Method::Device),
        // Whoever bound it was allowed to use this installation.
        AuthKind::AppInstallation => Ok(Method::Installation {
            id: Some(link.installation_id.clone()),
        }),
        AuthKind::AccessToken => {
            let message = "it was authorized by a token the last time; give a new one";
            Err(Problem::invalid("access_token", message))
        }
    }
}
