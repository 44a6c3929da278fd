//! Reads a policy by hand, so that everything that is wrong in it is told at once, with its place.

use bindery_core::name::NamespaceName;
use toml::{Table, Value};

use super::{Action, Policy, PolicyError, Repositories, Rule};
use crate::peer::{is_dns, is_spiffe};

pub(super) fn policy(text: &str) -> Result<Policy, PolicyError> {
    let table: Table = toml::from_str(text)
        .map_err(|error| PolicyError::Invalid(vec![error.to_string().trim_end().to_owned()]))?;
    let mut errors = Errors::default();
    errors.known_keys("the policy", &table, &["admins", "allow"]);
    let admins = table.get("admins").map(|list| errors.texts("admins", list));
    let admins = admins.unwrap_or_default();
    for name in &admins {
        errors.principal("admins", name);
    }
    let rules = rules(table.get("allow"), &mut errors);
    if !errors.0.is_empty() {
        return Err(PolicyError::Invalid(errors.0));
    }
    let sha256 = bindery_engine::sha256(text.as_bytes());
    Ok(Policy {
        rules,
        admins,
        sha256,
    })
}

fn rules(list: Option<&Value>, errors: &mut Errors) -> Vec<Rule> {
    let Some(list) = list else {
        return Vec::new();
    };
    let Some(list) = list.as_array() else {
        errors.add("allow: write each rule below a line [[allow]]");
        return Vec::new();
    };
    let numbered = list.iter().enumerate();
    numbered
        .filter_map(|(index, value)| rule(&format!("allow[{index}]"), value, errors))
        .collect()
}

fn rule(place: &str, value: &Value, errors: &mut Errors) -> Option<Rule> {
    let Some(table) = value.as_table() else {
        errors.add(format!("{place}: write each rule below a line [[allow]]"));
        return None;
    };
    let keys = [
        "principals",
        "namespaces",
        "actions",
        "repositories",
        "wide_tokens",
    ];
    errors.known_keys(place, table, &keys);
    let mut list = |key: &str| {
        let value = table.get(key);
        value.map(|value| errors.texts(&format!("{place}.{key}"), value))
    };
    let (principals, namespaces) = (list("principals"), list("namespaces"));
    let (actions, repositories) = (list("actions"), list("repositories"));
    let principals = principals.unwrap_or_default();
    for name in &principals {
        errors.principal(&format!("{place}.principals"), name);
    }
    if principals.is_empty() {
        errors.add(format!(
            "{place}.principals: name at least one, such as \"uid:1000\""
        ));
    }
    let actions = errors.actions(place, &actions.unwrap_or_default());
    let namespaces = errors.namespaces(place, &actions, namespaces.unwrap_or_default());
    let repositories = repositories.map(|names| errors.repositories(place, &actions, &names));
    let wide_tokens = errors.wide_tokens(place, table.get("wide_tokens"), repositories.is_some());
    Some(Rule {
        principals,
        namespaces,
        actions,
        repositories,
        wide_tokens,
    })
}

#[derive(Default)]
struct Errors(Vec<String>);

impl Errors {
    fn add(&mut self, what: impl Into<String>) {
        self.0.push(what.into());
    }

    fn known_keys(&mut self, place: &str, table: &Table, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            self.add(format!(
                "{place}: unknown key {key:?}; known are {}",
                known.join(", ")
            ));
        }
    }

    fn texts(&mut self, place: &str, value: &Value) -> Vec<String> {
        let list = value.as_array().map(|list| {
            let texts = list.iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>()
        });
        list.flatten().unwrap_or_else(|| {
            self.add(format!(
                "{place}: write a list of texts, such as [\"a\", \"b\"]"
            ));
            Vec::new()
        })
    }

    fn wide_tokens(&mut self, place: &str, value: Option<&Value>, limited: bool) -> bool {
        let wide = value.map(Value::as_bool);
        if wide == Some(None) {
            self.add(format!("{place}.wide_tokens: write true or false"));
        }
        if wide.is_some() && !limited {
            self.add(format!(
                "{place}.wide_tokens: says something of a rule with repositories only; leave it out"
            ));
        }
        wide.flatten().unwrap_or(false)
    }

    fn principal(&mut self, place: &str, name: &str) {
        let number = |text: &str| text.parse::<u32>().is_ok_and(|id| id.to_string() == text);
        let known = match name.split_once(':') {
            Some(("uid" | "gid", id)) => number(id),
            Some(("dns", host)) => is_dns(host),
            Some(("spiffe", _)) => is_spiffe(name),
            _ => false,
        };
        if !known {
            self.add(format!(
                "{place}: {name:?} is no principal; write uid:1000, gid:100, dns:registry.example.org or \
                 spiffe://example.org/registry, without wildcards"
            ));
        }
    }

    fn actions(&mut self, place: &str, names: &[String]) -> Vec<Action> {
        let find = |name: &str| {
            Action::ALL
                .into_iter()
                .find(|action| action.as_str() == name)
        };
        let mut actions = Vec::new();
        for name in names {
            match find(name) {
                Some(action) => actions.push(action),
                None => self.add(format!(
                    "{place}.actions: unknown action {name:?}; known are {}",
                    known()
                )),
            }
        }
        if names.is_empty() {
            self.add(format!("{place}.actions: name at least one of {}", known()));
        }
        actions
    }

    fn namespaces(
        &mut self,
        place: &str,
        actions: &[Action],
        names: Vec<String>,
    ) -> Option<Vec<String>> {
        if names.iter().any(|name| name == "*") {
            return None;
        }
        for name in names
            .iter()
            .filter(|name| NamespaceName::parse(name).is_err())
        {
            self.add(format!(
                "{place}.namespaces: {name:?} is no namespace; write the whole name such as \"acme\", or \"*\" for all"
            ));
        }
        let local = actions.iter().any(|action| !action.is_global());
        if names.is_empty() && local {
            self.add(format!(
                "{place}.namespaces: name at least one, or \"*\" for all"
            ));
        }
        Some(names)
    }

    fn repositories(
        &mut self,
        place: &str,
        actions: &[Action],
        names: &[String],
    ) -> Vec<Repositories> {
        if !actions.iter().all(|action| action.is_credential()) {
            self.add(format!(
                "{place}.repositories: limits credentials only; write the other actions in a rule of their own"
            ));
        }
        names
            .iter()
            .filter_map(|name| {
                let parsed = repositories(name);
                if parsed.is_none() {
                    self.add(format!(
                        "{place}.repositories: {name:?} is no repository; write \"owner/name\", or \"owner/*\" for all of an \
                         owner"
                    ));
                }
                parsed
            })
            .collect()
    }
}

fn repositories(name: &str) -> Option<Repositories> {
    let (owner, last) = name.rsplit_once('/')?;
    let plain = |text: &str| {
        text.split('/').all(|part| {
            !part.is_empty() && part != "." && part != ".." && !part.contains(['*', '?', '%'])
        })
    };
    match last {
        "*" if plain(owner) => Some(Repositories::OfOwner(owner.to_owned())),
        _ if plain(name) => Some(Repositories::One(name.to_owned())),
        _ => None,
    }
}

fn known() -> String {
    Action::ALL.map(Action::as_str).join(", ")
}
