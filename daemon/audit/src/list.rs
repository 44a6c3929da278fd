//! The newest records first; and the oldest files, which go.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bindery_core::{
    audit::{AuditMark, AuditPage, AuditQuery},
    port::{Clock, Vault},
    problem::Problem,
    time::Timestamp,
};

use crate::{AuditConfig, Inner, files, keeper, line, scan::Lines, unavailable, writer::describe};

/// Time between two looks for files that are too old.
const RETIRE_EVERY: Duration = Duration::from_secs(3600);

impl Inner {
    pub(crate) async fn list(&self, query: AuditQuery) -> Result<AuditPage, Problem> {
        let folder = self.config.folder.clone();
        let listed = tokio::task::spawn_blocking(move || page(&folder, &query)).await;
        listed
            .map_err(|_| unavailable("it could not be read"))?
            .map_err(|error| unavailable(&describe(&error)))
    }
}

/// Reads files from the newest on until the page is full. Blocks.
fn page(folder: &Path, query: &AuditQuery) -> io::Result<AuditPage> {
    let mut page = AuditPage::default();
    if !folder.exists() {
        return Ok(page);
    }
    for path in files::list(folder)?.iter().rev() {
        let Some(lines) = read(path)? else { continue };
        let begins_above = |before: AuditMark| {
            query
                .below
                .is_some_and(|below| before.sequence + 1 >= below)
        };
        if lines.before.is_some_and(begins_above) {
            continue;
        }
        for record in lines.records().rev().filter_map(line::read) {
            if query.since.is_some_and(|since| record.time < since) {
                return Ok(page);
            }
            if !query.admits(&record) {
                continue;
            }
            if page.records.len() == query.limit {
                page.more = true;
                return Ok(page);
            }
            page.records.push(record);
        }
    }
    Ok(page)
}

/// A file's lines; `None` where it has gone meanwhile.
fn read(path: &Path) -> io::Result<Option<Lines>> {
    match Lines::read(path) {
        Ok(lines) => Ok(Some(lines)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes what is older than the log is kept, now and then.
pub(crate) async fn retire_on(
    config: AuditConfig,
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
    files: Arc<tokio::sync::RwLock<()>>,
) {
    if config.keep.is_zero() {
        return;
    }
    loop {
        {
            let _alone = files.write().await;
            if let Err(error) = retire(&config, &*vault, clock.now()).await {
                tracing::warn!(error, "Old audit records stay for now");
            }
        }
        tokio::time::sleep(RETIRE_EVERY).await;
    }
}

/// Removes the oldest files. First the vault learns where the log begins then: a file that stays is left out.
async fn retire(config: &AuditConfig, vault: &dyn Vault, now: Timestamp) -> Result<(), String> {
    let oldest = Timestamp::from_unix_ms(
        now.unix_ms()
            .saturating_sub(u64::try_from(config.keep.as_millis()).unwrap_or(u64::MAX)),
    );
    let folder = config.folder.clone();
    let found = tokio::task::spawn_blocking(move || too_old(&folder, oldest)).await;
    let found = found.map_err(|error| error.to_string())?;
    let Some((gone, before)) = found.map_err(|error| error.to_string())? else {
        return Ok(());
    };
    let sealed = keeper::seal(vault, |head| &mut head.before, before).await;
    sealed.map_err(|error| error.to_string())?;
    for path in gone {
        fs::remove_file(&path).map_err(|error| error.to_string())?;
        tracing::info!(file = %path.display(), "Audit records are over their time");
    }
    Ok(())
}

/// The files whose records are all older, and where the first one that stays begins. The last file always stays.
fn too_old(folder: &Path, oldest: Timestamp) -> io::Result<Option<(Vec<PathBuf>, AuditMark)>> {
    let mut gone = Vec::new();
    let mut begin = None;
    for pair in files::list(folder)?.windows(2) {
        let [path, next] = pair else { break };
        // Damaged files stay: they are evidence.
        let (Some(newest), Some(before)) = (newest(&Lines::read(path)?), Lines::read(next)?.before)
        else {
            break;
        };
        if newest >= oldest {
            break;
        }
        gone.push(path.clone());
        begin = Some(before);
    }
    Ok(begin.map(|before| (gone, before)))
}

fn newest(lines: &Lines) -> Option<Timestamp> {
    lines
        .records()
        .next_back()
        .and_then(line::read)
        .map(|record| record.time)
}
