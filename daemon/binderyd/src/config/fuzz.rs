//! The configuration as a target of the fuzzer.

use std::path::Path;

use super::Config;

/// Any text is read or refused, and all that is wrong is told, each on a line of its own that no terminal obeys. What is read
/// has whole paths, keeps the mark apart from what it guards, and would be refused with one more key (THREATS B3).
pub(crate) fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Config::parse(text) {
        Ok(config) => {
            check(&config);
            let more = format!("{text}\nno_such_key = 1\n");
            assert!(Config::parse(&more).is_err(), "an unknown key is read");
        }
        Err(errors) => {
            assert!(!errors.0.is_empty(), "refused without a reason");
            for error in errors.0 {
                assert!(!error.contains(char::is_control), "{error:?}");
            }
        }
    }
}

fn check(config: &Config) {
    let folders = [
        &config.data_dir,
        &config.highwater_dir,
        &config.audit.folder,
    ];
    let files = config.policy_file.iter();
    assert!(
        folders
            .into_iter()
            .chain(files)
            .all(|path| Path::is_absolute(path))
    );
    assert!(!config.highwater_dir.starts_with(&config.data_dir));
}

#[cfg(test)]
mod tests {
    use bindery_replay::replay;

    /// B3: no text makes the reader of the configuration panic, hide what is wrong, or take what it does not know.
    #[test]
    fn b3_no_text_is_half_read() {
        replay("config", super::config);
    }
}
