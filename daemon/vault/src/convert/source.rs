//! [`Source`], its rules, and its name.

use bindery_core::{
    name::{HookId, HostName, LinkId, NamespaceName, SourceId},
    source::{Build, Pattern, Rule, Source, SourceName},
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, duration, duration_ms, each, ms, name, time};

impl Stored for Source {
    type Message = disk::Source;

    fn write(&self) -> disk::Source {
        disk::Source {
            namespace: self.namespace.to_string(),
            link: self.link.to_string(),
            id: self.id.to_string(),
            host: self.host.to_string(),
            repository: self.repository.clone(),
            full_name: self.full_name.clone(),
            display_name: self.display_name.clone(),
            rules: self.rules.iter().map(write_rule).collect(),
            max_triggers_per_minute: self.max_triggers_per_minute,
            ignore_skip_marks: self.ignore_skip_marks,
            paused: self.paused,
            reconcile_ms: self.reconcile.map(duration_ms),
            hook: self.hook.to_string(),
            labels: self.labels.clone(),
            annotations: self.annotations.clone(),
            created_by: self.created_by.clone(),
            created_ms: self.created.unix_ms(),
            updated_ms: self.updated.unix_ms(),
            behind: self
                .behind
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            disconnected_ms: ms(self.disconnected),
        }
    }

    fn read(message: disk::Source) -> Result<Self, Unreadable> {
        Ok(Self {
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            link: name(LinkId::parse, &message.link, "link id")?,
            id: name(SourceId::parse, &message.id, "source id")?,
            host: name(HostName::parse, &message.host, "host")?,
            hook: name(HookId::parse, &message.hook, "hook id")?,
            repository: message.repository,
            full_name: message.full_name,
            display_name: message.display_name,
            rules: each(message.rules, read_rule)?,
            max_triggers_per_minute: message.max_triggers_per_minute,
            ignore_skip_marks: message.ignore_skip_marks,
            paused: message.paused,
            reconcile: message.reconcile_ms.map(duration),
            labels: message.labels,
            annotations: message.annotations,
            created_by: message.created_by,
            created: Timestamp::from_unix_ms(message.created_ms),
            updated: Timestamp::from_unix_ms(message.updated_ms),
            behind: match message.behind.as_str() {
                "" => None,
                id => Some(name(HookId::parse, id, "id of known refs")?),
            },
            disconnected: time(message.disconnected_ms),
        })
    }
}

pub(super) fn write_source_name(source: &SourceName) -> disk::SourceName {
    disk::SourceName {
        namespace: source.namespace.to_string(),
        link: source.link.to_string(),
        source: source.source.to_string(),
    }
}

pub(super) fn read_source_name(message: disk::SourceName) -> Result<SourceName, Unreadable> {
    let disk::SourceName {
        namespace,
        link,
        source,
    } = message;
    Ok(SourceName {
        namespace: name(NamespaceName::parse, &namespace, "namespace")?,
        link: name(LinkId::parse, &link, "link id")?,
        source: name(SourceId::parse, &source, "source id")?,
    })
}

fn write_rule(rule: &Rule) -> disk::Rule {
    let patterns = |patterns: &[Pattern]| patterns.iter().map(write_pattern).collect();
    disk::Rule {
        id: rule.id.clone(),
        exclude: rule.exclude,
        branches: patterns(&rule.branches),
        tags: patterns(&rule.tags),
        paths: patterns(&rule.paths),
        build: rule.build.as_ref().map(write_build),
    }
}

fn read_rule(message: disk::Rule) -> Result<Rule, Unreadable> {
    Ok(Rule {
        id: message.id,
        exclude: message.exclude,
        branches: each(message.branches, read_pattern)?,
        tags: each(message.tags, read_pattern)?,
        paths: each(message.paths, read_pattern)?,
        build: message.build.map(read_build),
    })
}

fn write_pattern(pattern: &Pattern) -> disk::Pattern {
    let pattern = match pattern {
        Pattern::Glob(text) => disk::pattern::Pattern::Glob(text.clone()),
        Pattern::Regex(text) => disk::pattern::Pattern::Regex(text.clone()),
    };
    disk::Pattern {
        pattern: Some(pattern),
    }
}

fn read_pattern(message: disk::Pattern) -> Result<Pattern, Unreadable> {
    Ok(match message.pattern {
        Some(disk::pattern::Pattern::Glob(text)) => Pattern::Glob(text),
        Some(disk::pattern::Pattern::Regex(text)) => Pattern::Regex(text),
        None => return Err(Unreadable("pattern")),
    })
}

pub(super) fn write_build(build: &Build) -> disk::Build {
    disk::Build {
        image_repository: build.image_repository.clone(),
        tag_template: build.tag_template.clone(),
        context_path: build.context_path.clone(),
        file_path: build.file_path.clone(),
        arguments: build.arguments.clone(),
    }
}

pub(super) fn read_build(message: disk::Build) -> Build {
    Build {
        image_repository: message.image_repository,
        tag_template: message.tag_template,
        context_path: message.context_path,
        file_path: message.file_path,
        arguments: message.arguments,
    }
}
