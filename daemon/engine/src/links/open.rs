//! Opening a flow: for a new link, or for one that is authorized anew.

use bindery_core::{
    exchange::{DeviceCall, Reach},
    flow::{Device, FLOW_LIFETIME, Flow, FlowStage, Room, Way, room},
    link::{Link, OpenFlow},
    name::{FlowId, NamespaceName},
    port::{Change, Expect, Key, Listing, Record},
    problem::{Problem, Reason, Who},
    provider::AuthKind,
    time::Timestamp,
};

use super::{
    Authorization, Created, Finding, Method, NewLink, Severity, create::Ground, method::offered,
};
use crate::{
    Engine, RequestKey, Versioned,
    records::{as_flow, change, origins},
};

/// What a flow is for.
pub(super) struct Purpose<'a> {
    pub(super) principal: &'a str,
    pub(super) expected_identity: &'a str,
    pub(super) allow_personal_account: bool,
    /// The link goes on working until the flow is confirmed.
    pub(super) reauthorization: bool,
    pub(super) allow_identity_change: bool,
    /// Other namespaces that the person may choose.
    pub(super) offered: &'a [NamespaceName],
}

impl Engine {
    pub(super) async fn start_flow(
        &self,
        new: &NewLink,
        mut link: Link,
        ground: &Ground,
        method: &Method,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        self.passable(ground, method)?;
        self.room_for_flow(&new.principal, &link.namespace).await?;
        if new.validate_only {
            return Ok(only_checked(link, 0));
        }
        let purpose = Purpose {
            principal: &new.principal,
            expected_identity: &new.expected_identity,
            allow_personal_account: new.allow_personal_account,
            reauthorization: false,
            allow_identity_change: false,
            offered: &new.offered,
        };
        let (flow, authorization) = self.open_flow(&link, ground, method, &purpose).await?;
        note_flow(&mut link, &flow);
        link.observed.until = Some(flow.expires);
        if flow.has_page() {
            link.observed.action_uri.clone_from(&authorization.uri);
        }
        let _one_at_a_time = self.gates().flows.lock().await;
        self.make_room_for_flow(&new.principal, &link.namespace)
            .await?;
        let put = vec![put_flow(&flow)];
        let link = self.insert_link(link, &ground.host, put, request).await?;
        self.follow_device(&flow);
        Ok(Created {
            link,
            authorization: Some(authorization),
            findings: Vec::new(),
        })
    }

    /// What can be known before a flow is opened.
    pub(super) fn passable(&self, ground: &Ground, method: &Method) -> Result<(), Problem> {
        match method {
            Method::OAuthCode {
                return_to: Some(id),
            }
            | Method::Headless { return_to: id } => self.registered(id).map(drop),
            Method::Installation { .. } if ground.description.app_install_uri.is_empty() => {
                let message = format!(
                    "provider {} has no page on which an app is installed",
                    ground.host.provider
                );
                Err(Problem::new(Reason::MethodNotSupported, message))
            }
            _ => Ok(()),
        }
    }

    /// A flow that is not stored yet, and where a person goes on. `link` says what is asked for.
    pub(super) async fn open_flow(
        &self,
        link: &Link,
        ground: &Ground,
        method: &Method,
        purpose: &Purpose<'_>,
    ) -> Result<(Flow, Authorization), Problem> {
        let mut flow = self.new_flow(link, purpose)?;
        let uri = match method {
            Method::Headless { return_to } => {
                flow.way = Way::Headless;
                flow.return_to = Some(return_to.clone());
                self.send_out(&mut flow, &ground.host, &ground.description)?
            }
            Method::Device => {
                let (device, expires) = self.device(&flow, ground).await?;
                flow.expires = flow.expires.min(expires);
                flow.stage = FlowStage::AtForge;
                let uri = device.verification_uri.clone();
                flow.way = Way::Device(device);
                uri
            }
            Method::Installation { .. } => {
                flow.way = Way::Installation;
                self.start_page(&flow)
            }
            Method::OAuthCode { return_to } => {
                flow.return_to.clone_from(return_to);
                self.start_page(&flow)
            }
            Method::AccessToken { .. } => {
                return Err(Problem::new(Reason::Internal, "a token needs no flow"));
            }
        };
        let authorization = authorization(&flow, uri);
        Ok((flow, authorization))
    }

    fn start_page(&self, flow: &Flow) -> String {
        format!("{}/link/{}", self.config().public_url, flow.id)
    }

    /// A pair of codes from the forge.
    async fn device(&self, flow: &Flow, ground: &Ground) -> Result<(Device, Timestamp), Problem> {
        let Ground {
            host, description, ..
        } = ground;
        let method = offered(host, description, AuthKind::Device)?;
        let endpoint = description.endpoints.device_uri(host.token_base());
        let (endpoint, allowed) = (endpoint.unwrap_or_default(), origins(host)?);
        let secrets = self.host_secrets(host).await?;
        let call = DeviceCall {
            endpoint: &endpoint,
            client_id: host.oauth_client_id.as_deref().unwrap_or_default(),
            method,
            scopes: &flow.requested_scopes,
            reach: Reach {
                host,
                secrets: &secrets,
            },
            origins: &allowed,
        };
        let given = self.ports().egress.authorize_device(call).await?;
        let now = self.now();
        let device = Device {
            device_code: given.device_code,
            user_code: given.user_code,
            verification_uri: given.verification_uri,
            interval: given.interval,
            next_poll: now.after(given.interval),
        };
        Ok((device, now.after(given.expires_in)))
    }

    /// What a person needs to go on with the flow of a link, told once more to the one who started it. A `state` is kept
    /// only as a digest, so a headless flow gets a new one, and the one before is worth nothing.
    pub(super) async fn authorization_again(
        &self,
        link: &Link,
    ) -> Result<Option<Authorization>, Problem> {
        let Some(mut flow) = self.flow_of(&link.namespace, &link.id).await? else {
            return Ok(None);
        };
        if flow.record.stage >= FlowStage::Exchanging {
            return Ok(None);
        }
        let uri = match &flow.record.way {
            Way::Device(device) => device.verification_uri.clone(),
            Way::Browser | Way::Installation => self.start_page(&flow.record),
            Way::Headless => {
                let host = self.host(&link.host).await?.record;
                let description = self.description(&host)?;
                let uri = self.send_out(&mut flow.record, &host, &description)?;
                self.put_flow(&mut flow).await?;
                uri
            }
        };
        Ok(Some(authorization(&flow.record, uri)))
    }

    fn judge_room<'a>(
        &self,
        flows: &'a [Versioned<Flow>],
        principal: &str,
        namespace: &NamespaceName,
    ) -> Room<'a, Versioned<Flow>> {
        room(
            flows,
            |entry| &entry.record,
            principal,
            namespace,
            self.now(),
        )
    }

    /// O9: whether one more flow of a principal may be opened in a namespace.
    pub(super) async fn room_for_flow(
        &self,
        principal: &str,
        namespace: &NamespaceName,
    ) -> Result<(), Problem> {
        let flows = self.list_all(&Listing::Flows, as_flow).await?;
        match self.judge_room(&flows, principal, namespace) {
            Room::Full => Err(too_many()),
            Room::Free | Room::After(_) => Ok(()),
        }
    }

    /// The same, and whoever has to make room for it does.
    pub(super) async fn make_room_for_flow(
        &self,
        principal: &str,
        namespace: &NamespaceName,
    ) -> Result<(), Problem> {
        loop {
            let flows = self.list_all(&Listing::Flows, as_flow).await?;
            match self.judge_room(&flows, principal, namespace) {
                Room::Free => return Ok(()),
                Room::Full => return Err(too_many()),
                // Where somebody followed it meanwhile, it is asked again who makes room.
                Room::After(flow) => self.give_way(flow).await?,
            }
        }
    }

    pub(super) fn new_flow_id(&self) -> Result<FlowId, Problem> {
        FlowId::parse(&self.new_id())
            .map_err(|error| Problem::new(Reason::Internal, error.to_string()))
    }

    fn new_flow(&self, link: &Link, purpose: &Purpose<'_>) -> Result<Flow, Problem> {
        let id = self.new_flow_id()?;
        let (namespace, host) = (link.namespace.clone(), link.host.clone());
        Ok(Flow {
            principal: purpose.principal.to_owned(),
            reauthorization: purpose.reauthorization,
            allow_identity_change: purpose.allow_identity_change,
            allow_personal_account: purpose.allow_personal_account,
            expected_identity: purpose.expected_identity.to_owned(),
            permissions: link.permissions.clone(),
            requested_scopes: link.requested_scopes.clone(),
            offered: purpose.offered.to_vec(),
            ..Flow::new(id, namespace, link.id.clone(), host, self.now())
        })
    }
}

fn too_many() -> Problem {
    let message = "too many authorizations are open; finish one, or wait ten minutes";
    Problem::new(Reason::TooManyFlows, message).retry(Some(FLOW_LIFETIME))
}

/// Nothing is stored, and all that could be checked was.
pub(super) fn only_checked(link: Link, version: u64) -> Created {
    let message = "what the provider grants is known only after a person has agreed there";
    let problem = Problem::new(Reason::FlowPending, message).act(Who::User, "");
    Created {
        link: Versioned {
            record: link,
            version,
        },
        authorization: None,
        findings: vec![Finding::new(Severity::Info, problem)],
    }
}

pub(super) fn put_flow(flow: &Flow) -> Change {
    let record = Record::Flow(flow.duplicate());
    change(Key::Flow(flow.id.clone()), Expect::Absent, Some(record))
}

/// Notes in a link what may be shown of its flow.
pub(super) fn note_flow(link: &mut Link, flow: &Flow) {
    link.flow = Some(OpenFlow {
        id: flow.id.clone(),
        method: kind_of(&flow.way),
        started_by: flow.principal.clone(),
        started: flow.created,
        expires: flow.expires,
        requested_scopes: flow.requested_scopes.clone(),
        identity: None,
        reauthorization: flow.reauthorization,
        notes: Vec::new(),
    });
}

/// How a flow authorizes.
pub(crate) const fn kind_of(way: &Way) -> AuthKind {
    match way {
        Way::Browser | Way::Headless => AuthKind::OAuthCode,
        Way::Device(_) => AuthKind::Device,
        Way::Installation => AuthKind::AppInstallation,
    }
}

fn authorization(flow: &Flow, uri: String) -> Authorization {
    let user_code = match &flow.way {
        Way::Device(device) => Some(device.user_code.duplicate()),
        _ => None,
    };
    Authorization {
        uri,
        user_code,
        expires: flow.expires,
    }
}
