//! A new link by OAuth: pending, with the flow that a person goes through.

use bindery_core::{
    flow::{FLOW_LIFETIME, FLOWS_IN_ALL, FLOWS_PER_PRINCIPAL, Flow},
    host::Host,
    name::FlowId,
    port::{Expect, Key, Listing, Record},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description},
};

use super::{Authorization, Created, NewLink, token::unsupported};
use crate::{
    Engine, RequestKey,
    records::{as_flow, change},
};

impl Engine {
    pub(super) async fn start_flow(
        &self,
        new: NewLink,
        host: &Host,
        description: &Description,
        return_to: Option<String>,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        require_oauth(host, description)?;
        let _one_at_a_time = self.gates().flows.lock().await;
        self.room_for_flows(&new.principal).await?;
        let flow = self.new_flow(&new, host, return_to)?;
        let mut link = self.new_link(&new, host, description, AuthKind::OAuthCode)?;
        link.id = flow.link.clone();
        let uri = format!("{}/link/{}", self.config().public_url, flow.id);
        link.observed.action_uri.clone_from(&uri);
        link.observed.until = Some(flow.expires);
        let authorization = Authorization {
            uri,
            expires: flow.expires,
        };
        let put = change(
            Key::Flow(flow.id.clone()),
            Expect::Absent,
            Some(Record::Flow(flow)),
        );
        let link = self.insert_link(link, host, vec![put], request).await?;
        Ok(Created {
            link,
            authorization: Some(authorization),
        })
    }

    /// O9: a limit for each principal and one for all.
    async fn room_for_flows(&self, principal: &str) -> Result<(), Problem> {
        let now = self.now();
        let flows = self.list_all(&Listing::Flows, as_flow).await?;
        let open: Vec<_> = flows
            .iter()
            .filter(|entry| entry.record.is_open(now))
            .collect();
        let own = open
            .iter()
            .filter(|entry| entry.record.principal == principal)
            .count();
        if own >= FLOWS_PER_PRINCIPAL || open.len() >= FLOWS_IN_ALL {
            let message = "too many authorizations are open; finish one, or wait ten minutes";
            return Err(Problem::new(Reason::TooManyFlows, message).retry(Some(FLOW_LIFETIME)));
        }
        Ok(())
    }

    fn new_flow(
        &self,
        new: &NewLink,
        host: &Host,
        return_to: Option<String>,
    ) -> Result<Flow, Problem> {
        let now = self.now();
        let id = FlowId::parse(&self.new_id())
            .map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        let link = self.link_id(new.id.as_ref())?;
        let (namespace, host) = (new.namespace.clone(), host.name.clone());
        Ok(Flow {
            principal: new.principal.clone(),
            return_to,
            ..Flow::new(id, namespace, link, host, now)
        })
    }
}

fn require_oauth(host: &Host, description: &Description) -> Result<(), Problem> {
    if description.method(AuthKind::OAuthCode).is_none() {
        return Err(unsupported(host, "OAuth"));
    }
    if host.oauth_client_id.is_none() {
        let message = format!(
            "hosts/{} has no OAuth client; give it a client id and secret",
            host.name
        );
        return Err(Problem::new(Reason::MethodNotSupported, message).act(Who::HostOperator, ""));
    }
    Ok(())
}
