//! Resource names as people may write them: whole, or only their ids.

use std::{fmt::Display, str::FromStr};

use bindery_client::names::{
    ConsumerName, DeliveryName, EventName, HookRotationName, HostName, LinkName, NamespaceName,
    ProviderName, RepositoryName, SourceName, SubscriptionName, TriggerName,
};

use crate::problem::Problem;

/// `acme` or `namespaces/acme`; `-` means all.
pub(crate) fn namespace(text: &str) -> Result<String, Problem> {
    if text.contains('/') {
        return Ok(text.parse::<NamespaceName>().map_err(wrong)?.to_string());
    }
    Ok(NamespaceName::new(text).to_string())
}

/// `github.com` or `hosts/github.com`.
pub(crate) fn host(text: &str) -> Result<String, Problem> {
    if text.contains('/') {
        return Ok(text.parse::<HostName>().map_err(wrong)?.to_string());
    }
    Ok(HostName::new(text).to_string())
}

/// `github` or `providers/github`.
pub(crate) fn provider(text: &str) -> Result<String, Problem> {
    if text.contains('/') {
        return Ok(text.parse::<ProviderName>().map_err(wrong)?.to_string());
    }
    Ok(ProviderName {
        provider: text.to_owned(),
    }
    .to_string())
}

/// `acme/8c1f` or `namespaces/acme/links/8c1f`.
pub(crate) fn link(text: &str) -> Result<LinkName, Problem> {
    match text.split_once('/') {
        Some((namespace, link)) if !link.contains('/') => Ok(LinkName {
            namespace: namespace.to_owned(),
            link: link.to_owned(),
        }),
        _ => text.parse().map_err(|_| {
            no_name(
                text,
                "namespace/link",
                "namespaces/{namespace}/links/{link}",
            )
        }),
    }
}

/// A repository of a link, by full name or stable id.
pub(crate) fn repository(link_text: &str, repository: &str) -> Result<String, Problem> {
    Ok(RepositoryName::new(&link(link_text)?, repository).to_string())
}

/// `acme/8c1f/api` or `namespaces/acme/links/8c1f/sources/api`.
pub(crate) fn source(text: &str) -> Result<SourceName, Problem> {
    completed(text, &["namespaces", "links", "sources"])
}

/// `acme/8c1f/api/1` or a whole name.
pub(crate) fn delivery(text: &str) -> Result<DeliveryName, Problem> {
    completed(text, &["namespaces", "links", "sources", "deliveries"])
}

/// `acme/8c1f/api/nightly` or a whole name.
pub(crate) fn trigger(text: &str) -> Result<TriggerName, Problem> {
    completed(text, &["namespaces", "links", "sources", "triggers"])
}

/// `acme/7` or `namespaces/acme/hookRotations/7`.
pub(crate) fn rotation(text: &str) -> Result<HookRotationName, Problem> {
    completed(text, &["namespaces", "hookRotations"])
}

/// `acme/4711` or `namespaces/acme/events/4711`.
pub(crate) fn event(text: &str) -> Result<EventName, Problem> {
    completed(text, &["namespaces", "events"])
}

/// `acme/builder` or `namespaces/acme/consumers/builder`.
pub(crate) fn consumer(text: &str) -> Result<ConsumerName, Problem> {
    completed(text, &["namespaces", "consumers"])
}

/// `acme/registry` or `namespaces/acme/subscriptions/registry`.
pub(crate) fn subscription(text: &str) -> Result<SubscriptionName, Problem> {
    completed(text, &["namespaces", "subscriptions"])
}

/// Where sources are listed: a link, all links of a namespace, or with `None` all.
pub(crate) fn links(text: Option<&str>) -> Result<String, Problem> {
    let text = text.unwrap_or("-");
    if text.contains("/links/") || (text.contains('/') && !text.starts_with("namespaces/")) {
        return Ok(link(text)?.to_string());
    }
    Ok(format!("{}/links/-", namespace(text)?))
}

/// A name as every command understands it: its ids, without the collections.
pub(crate) fn short(name: &str) -> String {
    let ids = name.split('/').skip(1).step_by(2);
    ids.collect::<Vec<_>>().join("/")
}

/// A whole name, or its ids in order.
fn completed<N: Display + FromStr<Err = bindery_client::Error>>(
    text: &str,
    collections: &[&str],
) -> Result<N, Problem> {
    let ids: Vec<_> = text.split('/').collect();
    let whole = if ids.len() != collections.len() || ids[0] == "namespaces" {
        text.to_owned()
    } else {
        let parts = collections.iter().zip(ids);
        let parts = parts.map(|(collection, id)| format!("{collection}/{id}"));
        parts.collect::<Vec<_>>().join("/")
    };
    whole.parse().map_err(|_| {
        let id = |collection: &&str| singular(collection).to_owned();
        let part = |collection: &&str| format!("{collection}/{{{}}}", singular(collection));
        let (short, whole): (Vec<_>, Vec<_>) = (
            collections.iter().map(id).collect(),
            collections.iter().map(part).collect(),
        );
        no_name(text, &short.join("/"), &whole.join("/"))
    })
}

/// What one of a collection is called.
fn singular(collection: &str) -> &str {
    match collection {
        "deliveries" => "delivery",
        "hookRotations" => "rotation",
        other => other.trim_end_matches('s'),
    }
}

/// Says how people write such a name, and how it is written whole.
fn no_name(text: &str, short: &str, whole: &str) -> Problem {
    Problem::usage(format!(
        "{text:?} is no name here; write {short}, or {whole}"
    ))
}

fn wrong(error: bindery_client::Error) -> Problem {
    Problem::usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{event, host, link, links, namespace, short, source, trigger};

    /// Short and whole names mean the same.
    #[test]
    fn short_names_are_completed() {
        assert_eq!(
            namespace("acme").unwrap(),
            namespace("namespaces/acme").unwrap()
        );
        assert_eq!(host("github.com").unwrap(), "hosts/github.com");
        assert_eq!(
            link("acme/1").unwrap(),
            link("namespaces/acme/links/1").unwrap()
        );
        let whole = "namespaces/acme/links/1/sources/api";
        assert_eq!(source("acme/1/api").unwrap().to_string(), whole);
        assert_eq!(source(whole).unwrap().to_string(), whole);
        assert_eq!(short(whole), "acme/1/api");
        assert_eq!(
            event("acme/7").unwrap().to_string(),
            "namespaces/acme/events/7"
        );
        for wrong in ["acme/1", "acme/1/api/nightly/2", "acme//api", whole] {
            assert!(trigger(wrong).is_err(), "{wrong}");
        }
        assert!(link("acme").is_err());
        assert!(host("namespaces/acme").is_err());
    }

    /// A name that is none is answered with both ways to write it.
    #[test]
    fn wrong_names_say_how_they_are_written() {
        let told = |error: crate::problem::Problem| error.words().to_owned();
        let wrong = told(super::delivery("acme").unwrap_err());
        let short = "namespace/link/source/delivery";
        let whole = "namespaces/{namespace}/links/{link}/sources/{source}/deliveries/{delivery}";
        assert_eq!(
            wrong,
            format!("\"acme\" is no name here; write {short}, or {whole}")
        );
        assert!(told(link("acme").unwrap_err()).contains("write namespace/link, or"));
        let rotation = told(super::rotation("acme/1/2").unwrap_err());
        assert!(rotation.contains("namespace/rotation, or"), "{rotation}");
    }

    /// Sources are listed for a link, for a namespace, and for all.
    #[test]
    fn a_place_for_sources_can_be_wide() {
        for (text, parent) in [
            (None, "namespaces/-/links/-"),
            (Some("acme"), "namespaces/acme/links/-"),
            (Some("namespaces/acme"), "namespaces/acme/links/-"),
            (Some("acme/1"), "namespaces/acme/links/1"),
            (Some("namespaces/acme/links/1"), "namespaces/acme/links/1"),
        ] {
            assert_eq!(links(text).unwrap(), parent);
        }
    }
}
