//! Resource names as people may write them: whole, or only their ids.

use bindery_client::names::{HostName, LinkName, NamespaceName, ProviderName, RepositoryName};

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
        _ => text.parse().map_err(wrong),
    }
}

/// A repository of a link, by full name or stable id.
pub(crate) fn repository(link_text: &str, repository: &str) -> Result<String, Problem> {
    Ok(RepositoryName::new(&link(link_text)?, repository).to_string())
}

fn wrong(error: bindery_client::Error) -> Problem {
    Problem::usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{host, link, namespace};

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
        assert!(link("acme").is_err());
        assert!(host("namespaces/acme").is_err());
    }
}
