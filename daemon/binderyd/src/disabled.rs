//! Plugins that an operator stopped. The list lies beside the data, so that a restart does not start them again.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

/// Who stopped a plugin, and why.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stopped {
    /// Who: a principal.
    pub(crate) actor: String,
    /// Why, for people; may be empty.
    pub(crate) reason: String,
    /// When: milliseconds since the Unix epoch.
    pub(crate) since_ms: u64,
}

type Entries = BTreeMap<String, Stopped>;

/// All of them, by name.
#[derive(Debug)]
pub(crate) struct Disabled {
    path: PathBuf,
    entries: Mutex<Entries>,
}

impl Disabled {
    /// Reads the list; without a file nothing is stopped.
    ///
    /// # Errors
    ///
    /// The file can't be read, or says something else.
    pub(crate) fn load(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join("plugins.disabled");
        let entries = match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Entries::new(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            path,
            entries: Mutex::new(entries),
        })
    }

    /// Why a plugin is stopped; `None` where it is not.
    pub(crate) fn why(&self, name: &str) -> Option<Stopped> {
        self.entries().get(name).cloned()
    }

    /// All that are stopped.
    pub(crate) fn all(&self) -> Vec<(String, Stopped)> {
        let entries = self.entries();
        let copy = |(name, stopped): (&String, &Stopped)| (name.clone(), stopped.clone());
        entries.iter().map(copy).collect()
    }

    /// Stops a plugin, or lets it run. Durable when it returns.
    ///
    /// # Errors
    ///
    /// The list can't be written; it stays as it was.
    pub(crate) fn set(&self, name: &str, stopped: Option<Stopped>) -> io::Result<()> {
        let mut entries = self.entries();
        let mut next = entries.clone();
        match stopped {
            Some(stopped) => next.insert(name.to_owned(), stopped),
            None => next.remove(name),
        };
        write(&self.path, &next)?;
        *entries = next;
        Ok(())
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a new file in the place of the old one.
fn write(path: &Path, entries: &Entries) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let text = toml::to_string(entries).map_err(io::Error::other)?;
    let beside = path.with_extension("disabled.new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path.parent().unwrap_or(path);
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was stopped stays stopped, with who and why, until it is let run.
    #[test]
    fn stopped_plugins_stay_stopped() {
        let folder = std::env::temp_dir().join(format!("bindery-disabled-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("folder");
        let stopped = Stopped {
            actor: "uid:0".to_owned(),
            reason: "it \"leaks\"\nmemory".to_owned(),
            since_ms: 7,
        };
        let list = Disabled::load(&folder).expect("none");
        assert!(list.all().is_empty());
        list.set("gitea", Some(stopped.clone())).expect("written");
        let again = Disabled::load(&folder).expect("read");
        assert_eq!(again.why("gitea"), Some(stopped));
        assert_eq!(again.why("github"), None);
        again.set("gitea", None).expect("written");
        assert!(Disabled::load(&folder).expect("read").all().is_empty());
        fs::write(folder.join("plugins.disabled"), "[gitea]\nwho = 1\n").expect("written");
        assert!(Disabled::load(&folder).is_err(), "never taken for nothing");
        fs::remove_dir_all(&folder).expect("removed");
    }
}
