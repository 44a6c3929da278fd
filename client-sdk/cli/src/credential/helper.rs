//! git's credential helper: it answers for hosts of links, and for nothing else.

use std::{collections::BTreeMap, io};

use bindery_client::{Client, CredentialRequest};
use bindery_proto::v1::{Host, host::Urls};
use clap::{Args, ValueEnum};

use super::as_git;
use crate::{problem::Problem, resource, session::Session};

#[derive(Args, Debug)]
pub(crate) struct Helper {
    /// What git wants
    #[arg(value_enum)]
    action: Action,
    /// The link, as namespace/link; the one that is bound to the host unless given
    #[arg(long, env = "BINDERY_LINK", hide_env = true)]
    link: Option<String>,
    /// Hand out credentials that can push
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// Print a credential
    Get,
    /// Do nothing: tokens are not stored
    Store,
    /// Have the link checked, since its token was refused
    Erase,
}

/// What git wants a credential for.
#[derive(Debug)]
struct Wanted {
    /// `https://host:port`.
    origin: String,
    path: String,
}

/// A link that leads to what git wants, and the repository there.
struct Target {
    link: String,
    repository: String,
}

pub(super) async fn run(helper: &Helper, session: &Session) -> Result<(), Problem> {
    let wanted = Wanted::read(io::stdin().lock())?;
    if matches!(helper.action, Action::Store) {
        return Ok(());
    }
    let client = session.client().await?;
    let Some(target) = find(helper, &client, &wanted, session).await? else {
        // Another helper may know; git asks it when this one is silent.
        return Ok(());
    };
    if matches!(helper.action, Action::Erase) {
        // The daemon finds out by itself whether the token is dead; git does not wait for more.
        let _ = client.check_link(&target.link).await;
        return Ok(());
    }
    let mut request = CredentialRequest::new(&target.link);
    if !target.repository.is_empty() {
        request = request.repository(&target.repository);
    }
    let credential = if helper.write {
        client.read_write_credential(&request).await?
    } else {
        client.read_credential(&request).await?
    };
    session.text(&as_git(&credential))
}

impl Wanted {
    /// Reads the lines of git's protocol up to an empty one.
    fn read(lines: impl io::BufRead) -> Result<Self, Problem> {
        let mut found = BTreeMap::new();
        for line in lines.lines() {
            let line = line.map_err(Problem::writing)?;
            match line.split_once('=') {
                Some((key, value)) => found.insert(key.to_owned(), value.to_owned()),
                None => break,
            };
        }
        let part = |key: &str| found.get(key).cloned().unwrap_or_default();
        let origin = format!("{}://{}", part("protocol"), part("host"));
        Ok(Self {
            origin,
            path: part("path"),
        })
    }

    /// The repository, where one of the host's addresses is the start of what is wanted.
    fn below(&self, host: &Host) -> Option<String> {
        let urls = [&host.public_urls, &host.internal_urls];
        let bases = urls
            .into_iter()
            .flatten()
            .flat_map(|urls: &Urls| [&urls.git, &urls.web]);
        bases
            .filter(|base| !base.is_empty())
            .find_map(|base| self.below_base(base))
    }

    fn below_base(&self, base: &str) -> Option<String> {
        let base = url::Url::parse(base).ok()?;
        let own = url::Url::parse(&self.origin).ok()?;
        if base.origin() != own.origin() {
            return None;
        }
        let prefix = base.path().trim_matches('/');
        let path = self.path.trim_matches('/');
        let rest = match path.strip_prefix(prefix) {
            Some(rest) if prefix.is_empty() || rest.is_empty() || rest.starts_with('/') => rest,
            // Without a path only the host can be told, which a prefix does not allow.
            _ => return None,
        };
        Some(rest.trim_matches('/').trim_end_matches(".git").to_owned())
    }
}

/// A link is used for its own host only, also where it is named: git asks every helper about every host.
async fn find(
    helper: &Helper,
    client: &Client,
    wanted: &Wanted,
    session: &Session,
) -> Result<Option<Target>, Problem> {
    if let Some(name) = &helper.link {
        let link = client.get_link(resource::link(name)?).await?;
        let host = client.get_host(&link.host).await?;
        let below = wanted.below(&host);
        return Ok(below.map(|repository| Target {
            link: link.name,
            repository,
        }));
    }
    let mut found = Vec::new();
    for host in client.list_hosts("").all().await? {
        let Some(repository) = wanted.below(&host) else {
            continue;
        };
        let filter = format!("host = \"{}\" AND stage = \"BOUND\"", host.name);
        for link in client.list_links("namespaces/-", filter).all().await? {
            found.push(Target {
                link: link.name,
                repository: repository.clone(),
            });
        }
    }
    if found.len() > 1 {
        session.say("several links lead there; choose one with BINDERY_LINK or --link");
        return Ok(None);
    }
    Ok(found.pop())
}

#[cfg(test)]
mod tests {
    use bindery_proto::v1::{Host, host::Urls};

    use super::Wanted;

    fn below(base: &str, text: &str) -> Option<String> {
        let urls = Urls {
            web: base.to_owned(),
            ..Urls::default()
        };
        let host = Host {
            public_urls: Some(urls),
            ..Host::default()
        };
        Wanted::read(text.as_bytes()).unwrap().below(&host)
    }

    /// A credential goes to the host's own addresses only: scheme, name, port and path.
    #[test]
    fn only_the_own_host_is_served() {
        let asked = "protocol=https\nhost=forge.example\npath=acme/api.git\n\n";
        assert_eq!(
            below("https://forge.example", asked).as_deref(),
            Some("acme/api")
        );
        for other in [
            "http://forge.example",
            "https://forge.example:8443",
            "https://evil.example",
            "https://forge.example.evil",
            "https://forge.example/acm",
        ] {
            assert_eq!(below(other, asked), None, "{other}");
        }
        let nested = "protocol=https\nhost=forge.example\npath=git/acme/api.git\n";
        assert_eq!(
            below("https://forge.example/git", nested).as_deref(),
            Some("acme/api")
        );
    }

    /// Without a path the credential is for the whole link.
    #[test]
    fn a_missing_path_means_all() {
        let asked = "protocol=https\nhost=forge.example\n\n";
        assert_eq!(below("https://forge.example", asked).as_deref(), Some(""));
    }
}
