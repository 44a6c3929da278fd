//! `bindery status`.

use std::collections::BTreeMap;

use bindery_proto::{
    admin::v1::{Plugin, SealState, Status, plugin},
    v1::Link,
};
use serde_json::{Value, json};

use crate::{
    json, link, moment, plugin as plugins,
    problem::{Exit, Problem},
    session::Session,
    style::Tone,
    table::{self, Cell},
};

/// What could be found out. The admin socket may be closed to the caller, and a sealed daemon lists no links.
struct Found {
    status: Result<(Status, Vec<Plugin>), Problem>,
    links: Result<BTreeMap<String, usize>, Problem>,
}

pub(crate) async fn run(session: &Session) -> Result<(), Problem> {
    let found = Found {
        status: admin(session).await,
        links: links(session).await,
    };
    if let (Err(_), Err(_)) = (&found.status, &found.links) {
        return found.links.map(drop);
    }
    if session.is_json() {
        session.json(&found.as_json()?)?;
    } else {
        session.text(&table::details(&found.facts(), session.answers))?;
    }
    found.verdict()
}

async fn admin(session: &Session) -> Result<(Status, Vec<Plugin>), Problem> {
    let client = session.admin().await?;
    Ok((client.daemon_status().await?, client.list_plugins().await?))
}

async fn links(session: &Session) -> Result<BTreeMap<String, usize>, Problem> {
    let client = session.client().await?;
    let mut counts = BTreeMap::new();
    let mut namespaces = client.list_namespaces("");
    while let Some(namespace) = namespaces.next().await? {
        let mut pages = client.list_links(&namespace.name, "");
        while let Some(found) = pages.next().await? {
            *counts.entry(state(&found)).or_default() += 1;
        }
    }
    Ok(counts)
}

fn state(found: &Link) -> String {
    link::show::state(found).text
}

impl Found {
    fn facts(&self) -> Vec<(&'static str, Cell)> {
        let mut facts = match &self.status {
            Ok((status, plugins)) => daemon(status, plugins),
            Err(problem) => vec![("daemon", format!("not known: {}", problem.words()).into())],
        };
        facts.push((
            "links",
            match &self.links {
                Ok(counts) if counts.is_empty() => "none".into(),
                Ok(counts) => {
                    let words = counts
                        .iter()
                        .map(|(state, count)| format!("{count} {state}"));
                    words.collect::<Vec<_>>().join("; ").into()
                }
                Err(problem) => format!("not known: {}", problem.words()).into(),
            },
        ));
        facts
    }

    fn as_json(&self) -> Result<Value, Problem> {
        let (status, plugins) = match &self.status {
            Ok((status, plugins)) => {
                let plugins: Result<Vec<_>, _> = plugins
                    .iter()
                    .map(|plugin| json::value("bindery.admin.v1.Plugin", plugin))
                    .collect();
                (
                    Some(json::value("bindery.admin.v1.Status", status)?),
                    Some(plugins?),
                )
            }
            Err(_) => (None, None),
        };
        Ok(json!({ "daemon": status, "plugins": plugins, "links": self.links.as_ref().ok() }))
    }

    fn verdict(&self) -> Result<(), Problem> {
        let Ok((status, plugins)) = &self.status else {
            return Ok(());
        };
        if status.seal_state() == SealState::Sealed {
            return Err(Problem::new(
                Exit::Unavailable,
                "the daemon is sealed; unseal it",
            ));
        }
        if status.store.as_ref().is_some_and(|store| !store.writable) {
            let message = "the store accepts no writes; repair the disk and restart the daemon";
            return Err(Problem::new(Exit::Unavailable, message));
        }
        let broken = |plugin: &&Plugin| {
            matches!(
                plugin.state(),
                plugin::State::Failed | plugin::State::NotTrusted
            )
        };
        match plugins.iter().find(broken) {
            Some(plugin) => {
                let message = format!("plugin {} does not run; see its message", plugin.name);
                Err(Problem::new(Exit::Failure, message))
            }
            None => Ok(()),
        }
    }
}

fn daemon(status: &Status, found: &[Plugin]) -> Vec<(&'static str, Cell)> {
    let seal = match status.seal_state() {
        SealState::Unsealed => Cell::toned("unsealed", Tone::Good),
        _ => Cell::toned(format!("sealed: {}", status.seal_message), Tone::Bad),
    };
    let store = status.store.clone().unwrap_or_default();
    let store = match (store.writable, store.low_space) {
        (true, false) => Cell::toned("writable", Tone::Good),
        (true, true) => Cell::toned("nearly full", Tone::Waiting),
        (false, _) => Cell::toned(format!("read-only: {}", store.message), Tone::Bad),
    };
    let backup = match &status.store {
        Some(store) if store.backup_time.is_some() => {
            moment::relative(store.backup_time.as_ref()).into()
        }
        _ => Cell::toned("none yet", Tone::Waiting),
    };
    let running = found.iter().map(|plugin| {
        format!(
            "{} {} {}",
            plugin.name,
            plugin.version,
            plugins::state(plugin).text
        )
    });
    let mode = if status.development {
        "development: fewer slots than are safe"
    } else {
        ""
    };
    vec![
        ("daemon", format!("binderyd {}", status.version).into()),
        (
            "started",
            moment::relative(status.start_time.as_ref()).into(),
        ),
        (
            "mode",
            if mode.is_empty() {
                mode.into()
            } else {
                Cell::toned(mode, Tone::Waiting)
            },
        ),
        ("seal", seal),
        ("store", store),
        ("last backup", backup),
        ("plugins", running.collect::<Vec<_>>().join("; ").into()),
    ]
}
