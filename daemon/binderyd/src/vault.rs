//! Store and vault: open them, or make them.

use std::{
    io::{BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bindery_core::{port::Clock, secret::Secret};
use bindery_store::{SledConfig, SwapStore};
use bindery_vault::{
    Init, InitMode, NewSlot, OpenError, OpenOptions, PassphraseCost, SealedVault, Unlock,
};

use crate::{
    args::Slots,
    config::{Config, Seal},
    failure::Failure,
    ports::SystemClock,
};

/// The key file that development makes beside the data.
const DEVELOPMENT_KEY: &str = "development-root.key";

/// Opens the store of a configuration.
pub(crate) fn open_store(config: &Config) -> Result<Arc<SwapStore>, Failure> {
    let mut settings = SledConfig::default();
    settings.ballast_bytes = config.ballast_bytes;
    settings.free_floor = config.floor_bytes;
    // Nothing is served yet, so blocking this thread holds up nobody.
    Ok(Arc::new(SwapStore::open(
        config.data_dir.join("store"),
        settings,
    )?))
}

/// The vault of a configuration, and why it is still sealed where it is.
pub(crate) struct Found {
    pub(crate) vault: Arc<SealedVault>,
    pub(crate) sealed: Option<Failure>,
}

/// Opens the vault of a configuration. An empty folder becomes one where enough slots are configured, or in development.
/// Where nothing that is configured opens it, it stays sealed: somebody may bring something that does.
pub(crate) async fn open(
    config: &Config,
    store: Arc<SwapStore>,
    development: bool,
) -> Result<Found, Failure> {
    let folder = folder(config);
    if !exists(config) {
        initialise(config, &store, development).await?;
    }
    let marks = marks(config)?;
    let vault = Arc::new(SealedVault::sealed(&folder, marks, store));
    let sealed = try_unseal(&vault, config, development).await?;
    if vault.status().await.development {
        tracing::warn!(
            "DEVELOPMENT VAULT: its root key lies beside the data and nothing can recover it; never give it real credentials"
        );
    }
    Ok(Found { vault, sealed })
}

/// Unseals with what is configured; says why that did not open it.
async fn try_unseal(
    vault: &SealedVault,
    config: &Config,
    development: bool,
) -> Result<Option<Failure>, Failure> {
    let unlock = unlock(config, development)?;
    if unlock.is_empty() {
        return Ok(Some(nothing_configured()));
    }
    match vault.unseal(unlock, OpenOptions::default()).await {
        Ok(()) => Ok(None),
        // The keys are missing, the records are not: a restart would mend nothing.
        Err(error @ (OpenError::WrongKey { .. } | OpenError::Slot(_))) => Ok(Some(error.into())),
        // Only an operator can say whether that is right (THREATS K4).
        Err(error @ OpenError::RolledBack { .. }) => Ok(Some(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// What a daemon says that waits for a person.
fn nothing_configured() -> Failure {
    let message = "no source of the root key is configured; unseal with `bindery admin unseal`";
    Failure::Refused("NO_ROOT_KEY", message.to_owned())
}

/// Whether the folder holds a vault.
fn exists(config: &Config) -> bool {
    folder(config).join("seal.hdr.a").exists() || folder(config).join("seal.hdr.b").exists()
}

fn folder(config: &Config) -> PathBuf {
    config.data_dir.join("vault")
}

/// The folder of the high-water mark. Releases before this one kept it in the data folder: it is moved once.
fn marks(config: &Config) -> Result<&Path, Failure> {
    let folder = config.highwater_dir.as_path();
    let unusable = |error: &dyn std::fmt::Display| {
        let message = format!(
            "{} can't be used ({error}); make it for the daemon's user, or set store.highwater_dir",
            folder.display()
        );
        Failure::Config(message)
    };
    prepare_folder(folder).map_err(|error| unusable(&error))?;
    let (old, new) = (config.data_dir.join(MARK), folder.join(MARK));
    if old.exists() && !new.exists() {
        // The two folders may be on different disks.
        std::fs::copy(&old, &new).map_err(|error| unusable(&error))?;
        std::fs::File::open(&new)?.sync_all()?;
        std::fs::remove_file(&old)?;
    }
    Ok(folder)
}

/// The file of the high-water mark.
const MARK: &str = "highwater";

async fn initialise(
    config: &Config,
    store: &Arc<SwapStore>,
    development: bool,
) -> Result<(), Failure> {
    let slots = first_slots(config, development)?;
    let mode = if development {
        InitMode::Development
    } else {
        InitMode::Production
    };
    let init = Init::prepare(folder(config), slots, mode).map_err(|error| {
        Failure::Config(format!(
            "{} holds no vault, and none can be made: {error}; run binderyd init",
            config.data_dir.display()
        ))
    })?;
    init.finish(store.as_ref(), SystemClock.now()).await?;
    tracing::info!(data_dir = %config.data_dir.display(), "Made a new vault");
    Ok(())
}

/// The slots of the configured sources; a key file is made when it is not there.
fn first_slots(config: &Config, development: bool) -> Result<Vec<NewSlot>, Failure> {
    let mut slots = Vec::new();
    if let Some(path) = credential(&config.seal)? {
        slots.push(NewSlot::Credential(path));
    }
    if let Some(path) = &config.seal.key_file {
        slots.push(if path.exists() {
            NewSlot::KeyFile(path.clone())
        } else {
            NewSlot::CreateKeyFile(path.clone())
        });
    }
    if let Some(path) = &config.seal.passphrase_file {
        slots.push(NewSlot::Passphrase(
            passphrase(path)?,
            PassphraseCost::standard(),
        ));
    }
    if slots.is_empty() && development {
        slots.push(NewSlot::CreateKeyFile(
            config.data_dir.join(DEVELOPMENT_KEY),
        ));
    }
    Ok(slots)
}

/// Everything that is configured and may open the vault.
pub(crate) fn unlock(config: &Config, development: bool) -> Result<Vec<Unlock>, Failure> {
    let mut unlock = Vec::new();
    if let Some(path) = credential(&config.seal)? {
        unlock.push(Unlock::Credential(path));
    }
    if let Some(path) = &config.seal.key_file {
        unlock.push(Unlock::KeyFile(path.clone()));
    }
    if let Some(path) = &config.seal.passphrase_file {
        unlock.push(Unlock::Passphrase(passphrase(path)?));
    }
    let beside = config.data_dir.join(DEVELOPMENT_KEY);
    if development && beside.exists() {
        unlock.push(Unlock::KeyFile(beside));
    }
    Ok(unlock)
}

/// The file of the configured systemd credential.
fn credential(seal: &Seal) -> Result<Option<PathBuf>, Failure> {
    let name = seal.systemd_credential.as_deref();
    name.map(|name| credential_file(Path::new(name)))
        .transpose()
}

/// The file of a systemd credential, by its name; a path with folders is taken as it is.
fn credential_file(name: &Path) -> Result<PathBuf, Failure> {
    if name.components().count() > 1 {
        return Ok(name.to_owned());
    }
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
        let message = format!(
            "systemd gave no credentials, so there is no {}; run as a unit with LoadCredentialEncrypted=",
            name.display()
        );
        Failure::Config(message)
    })?;
    Ok(PathBuf::from(folder).join(name))
}

/// The first line of a file, or of standard input for `-`.
pub(crate) fn passphrase(path: &Path) -> Result<Secret, Failure> {
    let mut line = zeroize::Zeroizing::new(String::new());
    if path == Path::new("-") {
        std::io::stdin().lock().read_line(&mut line)?;
    } else {
        refuse_readable_by_others(path)?;
        let file = std::fs::File::open(path)?;
        std::io::BufReader::new(file).read_line(&mut line)?;
    }
    Ok(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn refuse_readable_by_others(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let read = |error| Failure::Config(format!("{} can't be read: {error}", path.display()));
    let mode = std::fs::metadata(path).map_err(read)?.permissions().mode();
    if mode & 0o077 != 0 {
        let message = format!(
            "{} can be read by others; run chmod 600 {}",
            path.display(),
            path.display()
        );
        return Err(Failure::Refused("ROOT_KEY_UNUSABLE", message));
    }
    Ok(())
}

/// `binderyd init`.
pub(crate) async fn init(config: &Config, slots: &Slots) -> Result<(), Failure> {
    prepare_folder(&config.data_dir)?;
    let mode = if slots.development {
        InitMode::Development
    } else {
        InitMode::Production
    };
    let mut init = Init::prepare(folder(config), asked_slots(config, slots)?, mode)
        .map_err(|error| Failure::Config(error.to_string()))?;
    if slots.recovery_shares {
        hand_out_shares(&mut init)?;
    }
    let store = open_store(config)?;
    init.finish(store.as_ref(), SystemClock.now()).await?;
    eprintln!("made a new vault in {}", config.data_dir.display());
    if slots.development {
        eprintln!("WARNING: this is a development vault; never give it real credentials");
    }
    Ok(())
}

fn asked_slots(config: &Config, slots: &Slots) -> Result<Vec<NewSlot>, Failure> {
    let mut new = Vec::new();
    new.extend(slots.key_file.clone().map(NewSlot::CreateKeyFile));
    if let Some(name) = &slots.credential {
        new.push(NewSlot::Credential(credential_file(name)?));
    }
    if let Some(path) = &slots.passphrase_file {
        new.push(NewSlot::Passphrase(
            passphrase(path)?,
            PassphraseCost::standard(),
        ));
    }
    if slots.recovery_shares {
        new.push(NewSlot::Recovery);
    }
    if new.is_empty() && slots.development {
        new.push(NewSlot::CreateKeyFile(
            config.data_dir.join(DEVELOPMENT_KEY),
        ));
    }
    Ok(new)
}

/// Prints the shares once and asks for two of them back.
fn hand_out_shares(init: &mut Init) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Recovery shares. Give each to another person; any two open the vault. They are shown once.\n"
    )?;
    for share in init.shares() {
        writeln!(out, "  {}", share.expose())?;
    }
    out.flush()?;
    if std::io::stdin().is_terminal() {
        eprintln!("\nType two of them back, one a line, as proof that they are written down:");
    }
    let (first, second) = (passphrase(Path::new("-"))?, passphrase(Path::new("-"))?);
    init.confirm_shares(&first, &second)
        .map_err(|error| Failure::Config(error.to_string()))
}

/// `binderyd recover`: opens the vault with two shares and gives it a new key file.
pub(crate) async fn recover(config: &Config, key_file: &Path) -> Result<(), Failure> {
    require_vault(config)?;
    let vault = SealedVault::sealed(folder(config), marks(config)?, open_store(config)?);
    if std::io::stdin().is_terminal() {
        eprintln!("Type two recovery shares, one a line:");
    }
    let shares = [passphrase(Path::new("-"))?, passphrase(Path::new("-"))?];
    let unlock = || {
        vec![Unlock::Shares(
            shares.iter().map(Secret::duplicate).collect(),
        )]
    };
    let new = NewSlot::CreateKeyFile(key_file.to_owned());
    match vault.unseal(unlock(), OpenOptions::default()).await {
        Ok(()) => vault.add_slot(vault.prepare_slot(new).await?).await?,
        // Whether the older store is accepted is another question, asked when the daemon runs.
        Err(error @ OpenError::RolledBack { .. }) => {
            vault.recover_slot(unlock(), new).await?;
            eprintln!("{error}; start the daemon and look at `bindery admin accept-rollback`");
        }
        Err(error) => return Err(error.into()),
    }
    eprintln!(
        "{0} opens the vault now; set seal.key_file to it",
        key_file.display()
    );
    Ok(())
}

/// Commands about a vault make none.
fn require_vault(config: &Config) -> Result<(), Failure> {
    if exists(config) {
        return Ok(());
    }
    let message = format!(
        "{} holds no vault; run binderyd init",
        config.data_dir.display()
    );
    Err(Failure::Refused("NO_VAULT", message))
}

/// `binderyd slots`.
pub(crate) async fn list(config: &Config) -> Result<(), Failure> {
    require_vault(config)?;
    let vault = SealedVault::sealed(folder(config), marks(config)?, open_store(config)?);
    for slot in vault.status().await.slots {
        println!("{}\t{:?}\t{}", slot.id, slot.kind, slot.label);
    }
    Ok(())
}

/// Makes the data folder, 0700.
pub(crate) fn prepare_folder(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    if !folder.exists() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mode = std::fs::metadata(folder)?.permissions().mode();
    if mode & 0o077 != 0 {
        let message = format!(
            "{} can be entered by others; run chmod 700 {}",
            folder.display(),
            folder.display()
        );
        return Err(Failure::Config(message));
    }
    Ok(())
}
