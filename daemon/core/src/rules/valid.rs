//! What rules must be like before they are kept.

use std::collections::BTreeSet;

use super::check;
use crate::{
    problem::Problem,
    source::{Build, Rule},
};

/// Most rules of a source.
const RULES: usize = 100;

/// Most patterns of each kind in a rule; each is tried for each change.
const PATTERNS: usize = 100;

/// Longest text of a build, in bytes.
const BUILD_BYTES: usize = 1024;

/// Longest template of an image tag, in bytes.
const TEMPLATE_BYTES: usize = 128;

/// Most build arguments.
const ARGUMENTS: usize = 64;

/// Checks the rules of a source: ids are distinct, patterns compile, templates name only what there is.
///
/// # Errors
///
/// `INVALID_ARGUMENT` with the first rule that is wrong, and why.
pub fn check_rules(rules: &[Rule]) -> Result<(), Problem> {
    if rules.len() > RULES {
        let why = format!("a source has at most {RULES} rules; join some of them");
        return Err(Problem::invalid("source.rules", why));
    }
    let mut ids = BTreeSet::new();
    for rule in rules {
        let fresh = ids.insert(&rule.id);
        let checked = if fresh {
            check_rule(rule)
        } else {
            Err("its id is that of another rule of the source; choose another".to_owned())
        };
        checked.map_err(|why| {
            let message = format!("rule {:?}: {why}", rule.id);
            Problem::invalid("source.rules", message)
        })?;
    }
    Ok(())
}

fn check_rule(rule: &Rule) -> Result<(), String> {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if !(1..=63).contains(&rule.id.len()) || !rule.id.bytes().all(plain) {
        return Err("an id is 1 to 63 of a-z, 0-9 and '-'".to_owned());
    }
    for patterns in [&rule.branches, &rule.tags, &rule.paths] {
        if patterns.len() > PATTERNS {
            return Err(format!("it has more than {PATTERNS} patterns of one kind"));
        }
        patterns.iter().try_for_each(check)?;
    }
    rule.build.as_ref().map_or(Ok(()), check_build)
}

fn check_build(build: &Build) -> Result<(), String> {
    let texts = [
        &build.image_repository,
        &build.context_path,
        &build.file_path,
    ];
    let long = |text: &&&String| text.len() > BUILD_BYTES || text.chars().any(char::is_control);
    if texts.iter().any(|text| long(&text)) {
        return Err(format!(
            "a text of its build is longer than {BUILD_BYTES} bytes or holds control characters"
        ));
    }
    if [&build.context_path, &build.file_path]
        .iter()
        .any(|path| leaves(path))
    {
        return Err("a path of its build starts with a slash or leaves the repository".to_owned());
    }
    if build.arguments.len() > ARGUMENTS {
        return Err(format!("its build has more than {ARGUMENTS} arguments"));
    }
    check_template(&build.tag_template)
}

fn leaves(path: &str) -> bool {
    path.starts_with('/') || path.split('/').any(|part| part == "..")
}

/// Every name in braces is one that there is, and no brace stands alone.
fn check_template(template: &str) -> Result<(), String> {
    if template.len() > TEMPLATE_BYTES {
        return Err(format!(
            "its tag template is longer than {TEMPLATE_BYTES} bytes"
        ));
    }
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let named = after.split_once('}').filter(|_| !before.contains('}'));
        let Some((name, behind)) = named else {
            return Err("a brace of its tag template has no partner".to_owned());
        };
        let group = matches!(name.as_bytes(), [b'1'..=b'9']);
        if !group && !["branch", "tag", "commit", "short_commit"].contains(&name) {
            return Err(format!(
                "its tag template names {{{name}}}; there are {{branch}}, {{tag}}, {{commit}}, {{short_commit}} and {{1}} to {{9}}"
            ));
        }
        rest = behind;
    }
    if rest.contains('}') {
        return Err("a brace of its tag template has no partner".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Pattern;

    fn rule(id: &str) -> Rule {
        Rule {
            id: id.to_owned(),
            branches: vec![Pattern::Glob("release/*".to_owned())],
            ..Rule::default()
        }
    }

    fn building(build: Build) -> Rule {
        Rule {
            build: Some(build),
            ..rule("r")
        }
    }

    /// What could not be judged later is refused before it is kept, with the rule that is meant.
    #[test]
    fn what_can_not_be_judged_is_refused() {
        let template = |text: &str| {
            building(Build {
                tag_template: text.to_owned(),
                ..Build::default()
            })
        };
        let path = |text: &str| {
            building(Build {
                context_path: text.to_owned(),
                ..Build::default()
            })
        };
        let regex = Rule {
            tags: vec![Pattern::Regex("v(".to_owned())],
            ..rule("odd")
        };
        for good in [
            template("{branch}-{short_commit}"),
            template("v{1}"),
            path("a/b"),
            rule("r-1"),
        ] {
            assert_eq!(check_rules(&[good]), Ok(()));
        }
        for bad in [
            vec![rule("r"), rule("r")],
            vec![rule("")],
            vec![rule("R")],
            vec![regex],
            vec![template("{brunch}")],
            vec![template("{branch")],
            vec![template("branch}")],
            vec![template("{0}")],
            vec![path("/etc")],
            vec![path("a/../../b")],
            vec![rule("many"); 101],
        ] {
            let id = bad[0].id.clone();
            let problem = check_rules(&bad).expect_err("refused");
            assert!(bad.len() > 100 || problem.message.contains(&format!("{id:?}")));
        }
    }
}
