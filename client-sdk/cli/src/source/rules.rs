//! Rules of a source: one from the command line, several from a file.

use std::path::{Path, PathBuf};

use bindery_proto::v1::{Build, Pattern, Rule, pattern::Kind, rule::Action};
use clap::Args;
use serde_json::{Value, json};

use crate::{json as message, link::pair, problem::Problem, secret};

/// What a file looks like, for errors.
const SHAPE: &str = "write [{\"id\": \"main\", \"branches\": [\"main\"]}] as JSON, or [[rules]] with id and branches as TOML";

#[derive(Args, Debug)]
pub(crate) struct Rules {
    /// Branches that are built, such as 'release/*'; all branches and tags unless named
    #[arg(long, value_name = "GLOB")]
    branch: Vec<String>,
    /// Branches that are built, by a regular expression for the whole name
    #[arg(long, value_name = "REGEX")]
    branch_regex: Vec<String>,
    /// Tags that are built, such as 'v*'
    #[arg(long, value_name = "GLOB")]
    tag: Vec<String>,
    /// Tags that are built, by a regular expression for the whole name
    #[arg(long, value_name = "REGEX")]
    tag_regex: Vec<String>,
    /// Only changes to these paths, such as 'src/**'; limits nothing where the provider does not tell all paths, as GitLab and
    /// Bitbucket
    #[arg(long, value_name = "GLOB")]
    path: Vec<String>,
    /// Branches that are not built
    #[arg(long, value_name = "GLOB")]
    exclude_branch: Vec<String>,
    /// Tags that are not built
    #[arg(long, value_name = "GLOB")]
    exclude_tag: Vec<String>,
    /// Repository of the registry to push to, such as acme/api
    #[arg(long, value_name = "REPOSITORY")]
    image: Option<String>,
    /// Template of the image tag: {branch}, {tag}, {commit}, {short_commit}, and {1} to {9} of a regex
    #[arg(long, value_name = "TEMPLATE")]
    tag_template: Option<String>,
    /// Path of the build context in the repository
    #[arg(long, value_name = "PATH")]
    context: Option<String>,
    /// Path of the build file within the context, such as Dockerfile
    #[arg(long, value_name = "PATH")]
    file: Option<String>,
    /// Build argument; never a secret, since events carry it
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    build_arg: Vec<(String, String)>,
    /// Several rules, the first that matches counts: JSON as "source show -o json" prints it, or TOML; - for
    /// JSON on standard input
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["branch", "branch_regex", "tag", "tag_regex", "path", "exclude_branch",
            "exclude_tag", "image", "tag_template", "context", "file", "build_arg"]
    )]
    rules_file: Option<PathBuf>,
}

impl Rules {
    /// The rules that were named; `None` where none were.
    pub(super) fn read(&self) -> Result<Option<Vec<Rule>>, Problem> {
        if let Some(path) = &self.rules_file {
            return from_file(path).map(Some);
        }
        let mut rules = Vec::new();
        rules.extend(self.excluded());
        let built = self.built();
        if built != Rule::default() || !rules.is_empty() {
            rules.push(Rule {
                id: "build".to_owned(),
                action: Action::Include.into(),
                ..built
            });
        }
        Ok(Some(rules).filter(|rules| !rules.is_empty()))
    }

    fn excluded(&self) -> Option<Rule> {
        let rule = Rule {
            id: "exclude".to_owned(),
            action: Action::Exclude.into(),
            branches: globs(&self.exclude_branch),
            tags: globs(&self.exclude_tag),
            ..Rule::default()
        };
        Some(rule).filter(|rule| !rule.branches.is_empty() || !rule.tags.is_empty())
    }

    fn built(&self) -> Rule {
        let build = Build {
            image_repository: self.image.clone().unwrap_or_default(),
            tag_template: self.tag_template.clone().unwrap_or_default(),
            context_path: self.context.clone().unwrap_or_default(),
            file_path: self.file.clone().unwrap_or_default(),
            arguments: self.build_arg.iter().cloned().collect(),
        };
        Rule {
            branches: [globs(&self.branch), regexes(&self.branch_regex)].concat(),
            tags: [globs(&self.tag), regexes(&self.tag_regex)].concat(),
            paths: globs(&self.path),
            build: Some(build).filter(|build| *build != Build::default()),
            ..Rule::default()
        }
    }
}

fn globs(texts: &[String]) -> Vec<Pattern> {
    patterns(texts, Kind::Glob)
}

fn regexes(texts: &[String]) -> Vec<Pattern> {
    patterns(texts, Kind::Regex)
}

fn patterns(texts: &[String], kind: impl Fn(String) -> Kind) -> Vec<Pattern> {
    let kinds = texts.iter().cloned().map(kind).map(Some);
    kinds.map(|kind| Pattern { kind }).collect()
}

fn from_file(path: &Path) -> Result<Vec<Rule>, Problem> {
    let text = secret::read_text(path)?;
    let parsed = if path.extension().is_some_and(|ending| ending == "toml") {
        toml::from_str::<Value>(&text).map_err(|error| error.to_string())
    } else {
        serde_json::from_str::<Value>(&text).map_err(|error| error.to_string())
    };
    let wrong = |why: &str| {
        let why = why.trim_end();
        Problem::usage(format!(
            "{} holds no rules ({why}); {SHAPE}",
            path.display()
        ))
    };
    let mut value = parsed.map_err(|why| wrong(&why))?;
    // A whole source has its rules in it.
    if value.is_object() {
        value = value["rules"].take();
    }
    let rules = value
        .as_array_mut()
        .ok_or_else(|| wrong("there is no list"))?;
    let read = |(index, rule): (usize, &mut Value)| {
        spell_out(rule);
        message::read("bindery.v1.Rule", rule)
            .map_err(|why| wrong(&format!("rule {}: {why}", index + 1)))
    };
    rules.iter_mut().enumerate().map(read).collect()
}

/// A pattern that is only a text is a glob, and an action needs no prefix.
fn spell_out(rule: &mut Value) {
    for key in ["branches", "tags", "paths"] {
        let patterns = rule.get_mut(key).and_then(Value::as_array_mut);
        for pattern in patterns.into_iter().flatten() {
            if pattern.is_string() {
                *pattern = json!({ "glob": pattern.take() });
            }
        }
    }
    if let Some(Value::String(action)) = rule.get_mut("action")
        && !action.starts_with("ACTION_")
    {
        *action = format!("ACTION_{}", action.to_uppercase());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bindery_proto::v1::{Rule, pattern::Kind, rule::Action};

    use super::from_file;

    fn read(name: &str, text: &str) -> Result<Vec<Rule>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        from_file(Path::new(&path)).map_err(|problem| problem.words().to_owned())
    }

    /// JSON and TOML say the same, in the API's words and in shorter ones.
    #[test]
    fn both_formats_say_the_same() {
        let json = r#"[
            {"id": "no", "action": "ACTION_EXCLUDE", "branches": [{"glob": "wip/*"}]},
            {"id": "yes", "tags": [{"regex": "v(\\d+)"}, "latest"], "build": {"tagTemplate": "{1}"}}
        ]"#;
        let toml = r#"
            [[rules]]
            id = "no"
            action = "exclude"
            branches = ["wip/*"]
            [[rules]]
            id = "yes"
            tags = [{ regex = 'v(\d+)' }, "latest"]
            build.tag_template = "{1}"
        "#;
        let rules = read("rules.json", json).unwrap();
        assert_eq!(rules, read("rules.toml", toml).unwrap());
        let whole = format!("{{\"name\": \"a source\", \"rules\": {json}}}");
        assert_eq!(rules, read("source.json", &whole).unwrap());
        assert_eq!(rules[0].action(), Action::Exclude);
        let kind = rules[1].tags[1].kind.clone().unwrap();
        assert_eq!(kind, Kind::Glob("latest".to_owned()));
    }

    /// What is misspelt is named, and nothing is left out in silence.
    #[test]
    fn misspelt_rules_are_refused() {
        for (text, hint) in [
            ("", "EOF"),
            ("{\"rule\": []}", "there is no list"),
            ("[{\"id\": \"a\", \"branch\": [\"main\"]}]", "rule 1: "),
            (
                "[{\"id\": \"a\"}, {\"id\": \"b\", \"action\": \"maybe\"}]",
                "rule 2: ",
            ),
        ] {
            let words = read("rules.json", text).unwrap_err();
            assert!(words.contains(hint), "{text}: {words}");
        }
    }
}
