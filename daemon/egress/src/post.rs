//! Posts events to registries. The rules are those of hosts, with one set for all registries, and messages of their own.

use bindery_core::{
    exchange::Post,
    host::{HTTP_PORTS, HostNetwork},
    problem::{Problem, Reason, Who},
};
use reqwest::{Client, Request};
use tokio::time::timeout;
use url::Url;

use crate::{Limits, Registries, clients::Clients, failure, policy};

/// The rules as a host would have them: `http` is allowed, since the body is signed.
pub(crate) fn network(registries: &Registries) -> HostNetwork {
    HostNetwork {
        extra_ports: registries.allow_ports.clone(),
        allowed_networks: registries.allow_networks.clone(),
        allow_plaintext: true,
        ..HostNetwork::default()
    }
}

/// The URL in `text`, if events may be posted to it.
pub(crate) fn url(text: &str, network: &HostNetwork) -> Result<Url, Problem> {
    let url = policy::url(text, network).map_err(|problem| reworded(problem, network))?;
    if url.fragment().is_some() {
        let message = "the endpoint's URL must not have a part after #; take it away";
        return Err(Problem::new(Reason::InvalidArgument, message));
    }
    Ok(url)
}

/// Posts, and answers with the status. The body of the answer is not read.
pub(crate) async fn send(
    clients: &Clients,
    limits: Limits,
    network: &HostNetwork,
    post: Post<'_>,
) -> Result<u16, Problem> {
    let url = url(post.url, network)?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let client = clients.posting(network)?;
    let request = request(&client, url, post).map_err(|_| unsendable())?;
    match timeout(limits.first_byte, client.execute(request)).await {
        Ok(Ok(response)) => Ok(response.status().as_u16()),
        Ok(Err(error)) => Err(reworded(failure::classify(&error, &host), network)),
        Err(_) => Err(failure::unreachable(&host, "it did not answer in time")),
    }
}

fn request(client: &Client, url: Url, post: Post<'_>) -> Result<Request, reqwest::Error> {
    let request = client.post(url).body(post.body.to_vec());
    let headers = post.headers.iter();
    headers
        .fold(request, |request, (name, value)| {
            request.header(*name, value)
        })
        .build()
}

/// What goes wrong at a host is told with what its operator can do there; here the daemon's operator sets the rules.
fn reworded(problem: Problem, network: &HostNetwork) -> Problem {
    let host = problem
        .metadata
        .iter()
        .find_map(|(key, value)| (*key == "host").then_some(value.as_str()));
    let host = host.unwrap_or("the endpoint").to_owned();
    let message = match problem.reason {
        Reason::HostPortForbidden => ports(&host, network),
        Reason::HostAddressForbidden => format!(
            "{host} leads to an address that events may not be posted to; if it is the right machine, have the operator add \
             its range to subscriptions.allow_networks (metadata services stay closed)"
        ),
        Reason::HostCertificateUnknown => format!(
            "the certificate of {host} is not acceptable to this machine; use one of a CA that this machine trusts"
        ),
        Reason::HostNameUnresolved => format!(
            "the name {host} does not resolve to an address; check the endpoint's URL and the name servers of this machine"
        ),
        _ => return problem,
    };
    let who = match problem.reason {
        Reason::HostPortForbidden | Reason::HostAddressForbidden => Some(Who::HostOperator),
        _ => None,
    };
    Problem {
        message,
        who,
        ..problem
    }
}

fn ports(host: &str, network: &HostNetwork) -> String {
    let list = |ports: &[u16]| {
        let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
        ports.join(", ")
    };
    let more = match network.extra_ports.as_slice() {
        [] => String::new(),
        extra => format!(", and for both {}", list(extra)),
    };
    format!(
        "the port of {host} is not one that events may be posted to; allowed are for http {} and 1025 to 65535, for https \
         443{more}; the operator can add others to subscriptions.allow_ports",
        list(&HTTP_PORTS)
    )
}

fn unsendable() -> Problem {
    Problem::new(Reason::Internal, "the delivery can't be put into a request")
}
