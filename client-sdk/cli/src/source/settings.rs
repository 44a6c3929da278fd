//! Settings of a source on the command line.

use std::time::Duration;

use bindery_proto::v1::Source;
use clap::Args;

use super::rules::Rules;
use crate::{
    link::{ahead, pair},
    problem::Problem,
};

#[derive(Args, Debug)]
pub(crate) struct Settings {
    #[command(flatten)]
    rules: Rules,
    /// How many events of it may trigger in a minute; 0 for no limit
    #[arg(long, value_name = "NUMBER")]
    max_triggers_per_minute: Option<u32>,
    /// How often refs are compared with what deliveries told, such as 15m; or never
    #[arg(long, value_name = "TIME", value_parser = interval)]
    reconcile: Option<Duration>,
    /// Whether commits that say [skip ci] trigger all the same
    #[arg(long, value_name = "YES")]
    ignore_skip_marks: Option<bool>,
    /// Name for people
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Label, for selection; an empty value takes it away
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Annotation, for other programs; an empty value takes it away
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    annotation: Vec<(String, String)>,
}

impl Settings {
    /// Puts what was named into a source, and says which fields that were.
    pub(super) fn apply(&self, source: &mut Source) -> Result<Vec<&'static str>, Problem> {
        let mut mask = Vec::new();
        if let Some(rules) = self.rules.read()? {
            source.rules = rules;
            mask.push("rules");
        }
        self.apply_limits(source, &mut mask);
        if let Some(name) = &self.display_name {
            source.display_name.clone_from(name);
            mask.push("display_name");
        }
        if !self.label.is_empty() {
            source.labels.extend(self.label.iter().cloned());
            source.labels.retain(|_, value| !value.is_empty());
            mask.push("labels");
        }
        if !self.annotation.is_empty() {
            source.annotations.extend(self.annotation.iter().cloned());
            source.annotations.retain(|_, value| !value.is_empty());
            mask.push("annotations");
        }
        Ok(mask)
    }

    fn apply_limits(&self, source: &mut Source, mask: &mut Vec<&'static str>) {
        if let Some(limit) = self.max_triggers_per_minute {
            source.max_triggers_per_minute = limit;
            mask.push("max_triggers_per_minute");
        }
        if let Some(interval) = self.reconcile {
            source.reconcile_interval = interval.try_into().ok();
            mask.push("reconcile_interval");
        }
        if let Some(ignore) = self.ignore_skip_marks {
            source.ignore_skip_marks = ignore;
            mask.push("ignore_skip_marks");
        }
    }
}

/// A length of time, or `never`.
fn interval(text: &str) -> Result<Duration, String> {
    if text == "never" {
        return Ok(Duration::ZERO);
    }
    let how = "write it like 15m or 6h, at least 1m, or never";
    let interval = ahead(text).map_err(|_| how.to_owned())?;
    let long_enough = Some(interval).filter(|time| time.as_secs() >= 60);
    long_enough.ok_or_else(|| how.to_owned())
}

#[cfg(test)]
mod tests {
    use super::interval;

    /// Refs are compared every so often, or never; faster than a minute is a slip.
    #[test]
    fn an_interval_has_a_floor() {
        assert_eq!(interval("15m").unwrap().as_secs(), 900);
        assert_eq!(interval("1d").unwrap().as_secs(), 86_400);
        assert!(interval("never").unwrap().is_zero());
        for wrong in ["", "0m", "30s", "15"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }
}
