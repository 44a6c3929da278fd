//! Links.

use std::pin::Pin;

use bindery_proto::v1::{
    self as proto, AuthMethodKind, Authorization, CleanupStep, CreateLinkRequest, DesiredState,
    Link, Receipt, cleanup_step, create_link_request::Method, desired_state::State as Wish,
    link_service_server::LinkService, observed_state::Stage,
    reauthorize_link_request::Method as Again,
};
use futures_util::{Stream, stream};
use tonic::{Code, Request, Response, Status};

use super::{
    Refusal,
    people::{identity, new_link, observe},
    refusal::not_found,
    world::{Keyed, World, filtered, keyed, now, wrong},
};

impl Keyed for proto::GetLinkRequest {}
impl Keyed for proto::ListLinksRequest {}
impl Keyed for proto::WatchLinkRequest {}
impl Keyed for proto::CheckLinkRequest {}
impl Keyed for proto::ListOrganizationsRequest {}
impl Keyed for proto::GetReceiptRequest {}
impl Keyed for proto::ListReceiptsRequest {}
impl Keyed for proto::ListExpiringRequest {}
keyed!(
    CreateLinkRequest,
    UpdateLinkRequest,
    CompleteLinkRequest,
    ConfirmLinkRequest,
    CancelLinkRequest,
    ReauthorizeLinkRequest,
    EnableLinkRequest,
    DisableLinkRequest,
    UnlinkRequest
);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl LinkService for World {
    async fn create_link(
        &self,
        request: Request<CreateLinkRequest>,
    ) -> Answer<proto::CreateLinkResponse> {
        self.enter("CreateLink", &request)?;
        self.start(request.into_inner()).map(Response::new)
    }

    async fn get_link(&self, request: Request<proto::GetLinkRequest>) -> Answer<Link> {
        self.enter("GetLink", &request)?;
        self.link(&request.into_inner().name).map(Response::new)
    }

    async fn list_links(
        &self,
        request: Request<proto::ListLinksRequest>,
    ) -> Answer<proto::ListLinksResponse> {
        self.enter("ListLinks", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let all: Vec<_> = state
            .links
            .values()
            .filter(|link| is_asked_for(link, &request))
            .cloned()
            .collect();
        let (links, next_page_token) = state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListLinksResponse {
            links,
            next_page_token,
        }))
    }

    async fn update_link(&self, request: Request<proto::UpdateLinkRequest>) -> Answer<Link> {
        self.enter("UpdateLink", &request)?;
        let change = request.into_inner().link.unwrap_or_default();
        let name = change.name.clone();
        let edit = |link: &mut Link| {
            link.display_name = change.display_name;
            link.labels = change.labels;
        };
        self.edit_link(&name, edit).map(Response::new)
    }

    type WatchLinkStream =
        Pin<Box<dyn Stream<Item = Result<proto::WatchLinkResponse, Status>> + Send>>;

    async fn watch_link(
        &self,
        request: Request<proto::WatchLinkRequest>,
    ) -> Answer<Self::WatchLinkStream> {
        self.enter("WatchLink", &request)?;
        let name = request.into_inner().name;
        self.link(&name)?;
        Ok(Response::new(Box::pin(self.follow(name))))
    }

    async fn complete_link(&self, request: Request<proto::CompleteLinkRequest>) -> Answer<Link> {
        self.enter("CompleteLink", &request)?;
        let edit = |link: &mut Link| observe(link, Stage::PendingConfirmation, "confirm who it is");
        self.edit_link(&request.into_inner().name, edit)
            .map(Response::new)
    }

    async fn confirm_link(&self, request: Request<proto::ConfirmLinkRequest>) -> Answer<Link> {
        self.enter("ConfirmLink", &request)?;
        let request = request.into_inner();
        let link = self.link(&request.name)?;
        if request.link_code.is_empty() && link.method() == AuthMethodKind::OauthCode {
            return Err(wrong("INVALID_ARGUMENT", "link_code"));
        }
        let flow = link.flow;
        let Some(pending) = flow.and_then(|flow| flow.pending_identity) else {
            let message = "nobody has consented yet; wait";
            let refusal = Refusal::new(Code::FailedPrecondition, "FLOW_PENDING", message);
            return Err(refusal.into());
        };
        let edit = |link: &mut Link| {
            link.flow = None;
            link.identity = Some(pending);
            observe(link, Stage::Bound, "the link works");
        };
        let bound = self.edit_link(&request.name, edit)?;
        if request.namespace.is_empty() {
            return Ok(Response::new(bound));
        }
        self.move_link(bound, &request.namespace).map(Response::new)
    }

    async fn cancel_link(&self, request: Request<proto::CancelLinkRequest>) -> Answer<Link> {
        self.enter("CancelLink", &request)?;
        let name = request.into_inner().name;
        if self.link(&name)?.flow.is_none() {
            let message = format!("no authorization of {name} is under way; look at the link");
            return Err(Refusal::new(Code::FailedPrecondition, "FLOW_USED", message).into());
        }
        let edit = |link: &mut Link| {
            link.flow = None;
            observe(link, Stage::Unlinked, "the authorization was cancelled");
        };
        self.edit_link(&name, edit).map(Response::new)
    }

    async fn reauthorize_link(
        &self,
        request: Request<proto::ReauthorizeLinkRequest>,
    ) -> Answer<proto::ReauthorizeLinkResponse> {
        self.enter("ReauthorizeLink", &request)?;
        let request = request.into_inner();
        let edit = |link: &mut Link| {
            if !request.permissions.is_empty() {
                link.permissions.clone_from(&request.permissions);
            }
        };
        let link = self.edit_link(&request.name, edit)?;
        let by_token = matches!(request.method, Some(Again::AccessToken(_)));
        let code = matches!(request.method, Some(Again::DeviceFlow(_)));
        let authorization = (!by_token).then(|| authorization(&link.name, code));
        let findings = Vec::new();
        let link = Some(link);
        Ok(Response::new(proto::ReauthorizeLinkResponse {
            link,
            authorization,
            findings,
        }))
    }

    async fn enable_link(&self, request: Request<proto::EnableLinkRequest>) -> Answer<Link> {
        self.enter("EnableLink", &request)?;
        let request = request.into_inner();
        self.wish(&request.name, Wish::Enabled, request.reason)
    }

    async fn disable_link(&self, request: Request<proto::DisableLinkRequest>) -> Answer<Link> {
        self.enter("DisableLink", &request)?;
        let request = request.into_inner();
        self.wish(&request.name, Wish::Disabled, request.reason)
    }

    async fn check_link(
        &self,
        request: Request<proto::CheckLinkRequest>,
    ) -> Answer<proto::CheckLinkResponse> {
        self.enter("CheckLink", &request)?;
        let link = self.link(&request.into_inner().name)?;
        self.lock().usable(&link.name)?;
        Ok(Response::new(proto::CheckLinkResponse {
            link: Some(link),
            findings: Vec::new(),
        }))
    }

    async fn list_organizations(
        &self,
        request: Request<proto::ListOrganizationsRequest>,
    ) -> Answer<proto::ListOrganizationsResponse> {
        self.enter("ListOrganizations", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        state.usable(&request.parent)?;
        let all = state
            .organizations
            .get(&request.parent)
            .cloned()
            .unwrap_or_default();
        let (organizations, next_page_token) =
            state.page(&all, request.page_size, &request.page_token)?;
        let answer = proto::ListOrganizationsResponse {
            organizations,
            next_page_token,
            ..proto::ListOrganizationsResponse::default()
        };
        Ok(Response::new(answer))
    }

    async fn unlink(&self, request: Request<proto::UnlinkRequest>) -> Answer<Receipt> {
        self.enter("Unlink", &request)?;
        let request = request.into_inner();
        let link = self.link(&request.name)?;
        let mut receipt = receipt(&link);
        receipt.preview = request.validate_only;
        if !request.keep_shared_grant {
            receipt.affected_links = self.sharing(&link);
        }
        if !receipt.affected_links.is_empty() && !receipt.preview && !request.accept_shared_grant {
            let message = "other links live on the same grant; accept that they end";
            return Err(Refusal::new(Code::FailedPrecondition, "GRANT_SHARED", message).into());
        }
        if !request.validate_only {
            self.lock()
                .receipts
                .insert(receipt.name.clone(), receipt.clone());
            let edit = |link: &mut Link| observe(link, Stage::Unlinked, "the link is unlinked");
            self.edit_link(&request.name, edit)?;
        }
        Ok(Response::new(receipt))
    }

    async fn get_receipt(&self, request: Request<proto::GetReceiptRequest>) -> Answer<Receipt> {
        self.enter("GetReceipt", &request)?;
        let name = request.into_inner().name;
        let found = self.lock().receipts.get(&name).cloned();
        found.map(Response::new).ok_or_else(|| not_found(&name))
    }

    async fn list_receipts(
        &self,
        request: Request<proto::ListReceiptsRequest>,
    ) -> Answer<proto::ListReceiptsResponse> {
        self.enter("ListReceipts", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let all: Vec<_> = state.receipts.values().cloned().collect();
        let (receipts, next_page_token) =
            state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListReceiptsResponse {
            receipts,
            next_page_token,
        }))
    }

    async fn list_expiring(
        &self,
        request: Request<proto::ListExpiringRequest>,
    ) -> Answer<proto::ListExpiringResponse> {
        self.enter("ListExpiring", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let (expiring, next_page_token) =
            state.page(&state.expiring, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListExpiringResponse {
            expiring,
            next_page_token,
        }))
    }
}

impl World {
    fn link(&self, name: &str) -> Result<Link, Status> {
        self.lock()
            .links
            .get(name)
            .cloned()
            .ok_or_else(|| not_found(name))
    }

    /// Links that live on the grant of `link`: those of the same identity on the same host.
    fn sharing(&self, link: &Link) -> Vec<String> {
        let state = self.lock();
        let others = state.links.values().filter(|other| {
            let bound = other.observed.as_ref().map(proto::ObservedState::stage);
            let same = other.identity.is_some() && other.identity == link.identity;
            other.name != link.name
                && same
                && other.host == link.host
                && bound == Some(Stage::Bound)
                && state.shared_grants
        });
        others.map(|other| other.name.clone()).collect()
    }

    /// The link under another namespace, with the same id.
    fn move_link(&self, mut link: Link, namespace: &str) -> Result<Link, Status> {
        let mut state = self.lock();
        if !state.namespaces.contains_key(namespace) {
            return Err(not_found(namespace));
        }
        state.links.remove(&link.name);
        let id = link.name.rsplit('/').next().unwrap_or_default();
        link.name = format!("{namespace}/links/{id}");
        state.links.insert(link.name.clone(), link.clone());
        Ok(link)
    }

    fn start(&self, request: CreateLinkRequest) -> Result<proto::CreateLinkResponse, Status> {
        let template = request.link.unwrap_or_default();
        let mut state = self.lock();
        for (name, known) in [
            (
                &request.parent,
                state.namespaces.contains_key(&request.parent),
            ),
            (&template.host, state.hosts.contains_key(&template.host)),
        ] {
            known.then_some(()).ok_or_else(|| not_found(name))?;
        }
        let name = format!("{}/links/link-{}", request.parent, state.next());
        let kind = match &request.method {
            Some(Method::AccessToken(_)) => AuthMethodKind::AccessToken,
            Some(Method::DeviceFlow(_)) => AuthMethodKind::DeviceFlow,
            Some(Method::AppInstallation(_)) => AuthMethodKind::AppInstallation,
            Some(Method::OauthCode(_)) | None => AuthMethodKind::OauthCode,
        };
        let by_token = match &request.method {
            Some(Method::AccessToken(_)) => true,
            Some(Method::AppInstallation(app)) => !app.installation_id.is_empty(),
            _ => false,
        };
        let mut link = new_link(&name, template, kind);
        if by_token {
            link.flow = None;
            link.identity = Some(identity("octo"));
            observe(&mut link, Stage::Bound, "the link works");
        }
        state.links.insert(name.clone(), link.clone());
        Ok(proto::CreateLinkResponse {
            link: Some(link),
            authorization: (!by_token)
                .then(|| authorization(&name, kind == AuthMethodKind::DeviceFlow)),
            findings: Vec::new(),
        })
    }

    fn wish(&self, name: &str, wish: Wish, reason: String) -> Answer<Link> {
        let edit = |link: &mut Link| {
            let state = wish.into();
            link.desired = Some(DesiredState {
                state,
                reason,
                set_time: now(),
                ..DesiredState::default()
            });
        };
        self.edit_link(name, edit).map(Response::new)
    }

    fn follow(
        &self,
        name: String,
    ) -> impl Stream<Item = Result<proto::WatchLinkResponse, Status>> + Send + use<> {
        let mut changes = self.changes.subscribe();
        changes.mark_changed();
        let links = self.links_reader();
        stream::unfold((changes, false), move |(mut changes, over)| {
            let (links, name) = (links.clone(), name.clone());
            async move {
                if over {
                    return None;
                }
                changes.changed().await.ok()?;
                let link = links(&name)?;
                let observed = link.observed.as_ref().map(proto::ObservedState::stage);
                let confirmable = observed == Some(Stage::PendingConfirmation);
                let over = observed == Some(Stage::Unlinked);
                let answer = proto::WatchLinkResponse {
                    link: Some(link),
                    confirmable,
                };
                Some((Ok(answer), (changes, over)))
            }
        })
    }
}

fn is_asked_for(link: &Link, request: &proto::ListLinksRequest) -> bool {
    let parent = request.parent.trim_end_matches('-');
    let observed = link.observed.clone().unwrap_or_default();
    let stage = observed.stage().as_str_name().trim_start_matches("STAGE_");
    let hidden = stage == "UNLINKED" && !request.filter.contains("stage");
    link.name.starts_with(parent)
        && filtered(&request.filter, "host", &link.host)
        && filtered(&request.filter, "stage", stage)
        && !hidden
}

/// With a device flow there is a code that the person enters.
fn authorization(link: &str, code: bool) -> Authorization {
    let id = link.rsplit('/').next().unwrap_or_default();
    Authorization {
        authorization_uri: format!("https://bindery.example/start/{id}"),
        user_code: if code { "WDJB-MJHT" } else { "" }.to_owned(),
        expire_time: super::world::after(std::time::Duration::from_secs(600)),
    }
}

fn receipt(link: &Link) -> Receipt {
    let step =
        |kind: cleanup_step::Kind, outcome: cleanup_step::Outcome, message: &str| CleanupStep {
            kind: kind.into(),
            outcome: outcome.into(),
            message: message.to_owned(),
            finish_time: now(),
            ..CleanupStep::default()
        };
    let done = cleanup_step::Outcome::Done;
    let mut grant = step(
        cleanup_step::Kind::RevokeGrant,
        cleanup_step::Outcome::Impossible,
        "the provider has no API for it; revoke the application on its page",
    );
    grant.action_uri = "https://forge.example/settings/applications".to_owned();
    Receipt {
        name: link.name.replace("/links/", "/receipts/"),
        link: link.name.clone(),
        host: link.host.clone(),
        login: link.identity.clone().unwrap_or_default().login,
        start_time: now(),
        finish_time: now(),
        steps: vec![
            step(
                cleanup_step::Kind::StopHandOut,
                done,
                "no credential is handed out any more",
            ),
            grant,
            step(cleanup_step::Kind::Erase, done, "the secrets are erased"),
        ],
        complete: false,
        ..Receipt::default()
    }
}
