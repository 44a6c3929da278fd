//! The units: what they must say, and what systemd thinks of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use bindery_tests::not_run;

/// Highest exposure, in tenths.
const EXPOSURE: &str = "12";

/// The daemon's listeners, as it knows them.
const LISTENERS: [&str; 5] = ["admin", "api", "http", "mtls", "ops"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

/// Settings of a unit, with all values of each in their order; an empty value forgets what was before, as systemd does.
struct Unit(BTreeMap<String, Vec<String>>);

impl Unit {
    fn read(name: &str) -> Result<Self> {
        let text = fs::read_to_string(folder().join(name)).context(name.to_owned())?;
        let mut settings = BTreeMap::<String, Vec<String>>::new();
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with(['#', '['])) {
            let (key, value) = line.split_once('=').with_context(|| line.to_owned())?;
            let values = settings.entry(key.to_owned()).or_default();
            if value.is_empty() {
                values.clear();
            } else {
                values.push(value.to_owned());
            }
        }
        Ok(Self(settings))
    }

    /// All values of a setting, separated by blanks; `None` where it is not set at all.
    fn value(&self, key: &str) -> Option<String> {
        self.0.get(key).map(|values| values.join(" "))
    }

    fn words(&self, key: &str) -> BTreeSet<String> {
        let all = self.value(key).unwrap_or_default();
        all.split_whitespace().map(str::to_owned).collect()
    }
}

/// What would open a hole without a test noticing: each with the reason.
#[test]
fn the_unit_keeps_what_must_not_be_lost() -> Result<()> {
    let unit = Unit::read("binderyd.service")?;
    let kept = [
        // Otherwise every caller but root arrives as uid 65534, measured.
        ("PrivateUsers", "no"),
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("WatchdogSec", "30s"),
        ("WatchdogSignal", "SIGABRT"),
        ("DynamicUser", "yes"),
        ("StateDirectory", "bindery bindery-highwater"),
        ("StateDirectoryMode", "0700"),
        // Files of the store are 0644 without.
        ("UMask", "0077"),
        (
            "LoadCredentialEncrypted",
            "bindery.root-key:/etc/credstore.encrypted/bindery.root-key",
        ),
        ("LimitCORE", "0"),
        ("MemorySwapMax", "0"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("MemoryDenyWriteExecute", "yes"),
        ("ProtectProc", "invisible"),
        ("ProtectSystem", "strict"),
        ("IPAddressDeny", "any"),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        // Nothing to mend by a restart.
        ("RestartPreventExitStatus", "73 78"),
    ];
    for (key, value) in kept {
        assert_eq!(unit.value(key).as_deref(), Some(value), "{key}");
    }
    // It is removed when the service stops, and the sockets in it with it.
    assert_eq!(unit.value("RuntimeDirectory"), None);
    Ok(())
}

/// Nothing that the daemon can write is executable: with "/" alone a library in the state directory was loaded, measured.
#[test]
fn nothing_that_the_daemon_writes_is_executable() -> Result<()> {
    let unit = Unit::read("binderyd.service")?;
    let closed = unit.words("NoExecPaths");
    for path in [
        "/",
        "/var/lib/bindery",
        "/var/lib/private",
        "/run",
        "/tmp",
        "/var/tmp",
        "/dev/shm",
    ] {
        assert!(closed.contains(path), "{path} is not in NoExecPaths=");
    }
    for path in unit.words("ExecPaths") {
        let path = path.trim_start_matches('-');
        let system = ["/usr/lib/", "/usr/lib64", "/lib64"]
            .iter()
            .any(|root| path.starts_with(root));
        assert!(system, "{path} in ExecPaths= is not the system's");
    }
    // The reload runs outside of the sandbox, in which the shell is not executable.
    assert!(
        unit.value("ExecReload")
            .is_some_and(|command| command.starts_with('+'))
    );
    Ok(())
}

/// The daemon opens no socket of its own, locks its keys, and its workers confine themselves: in this order, since later lines
/// win.
#[test]
fn the_system_calls_that_are_needed_are_allowed_and_listen_is_not() -> Result<()> {
    let unit = Unit::read("binderyd.service")?;
    let lines = unit.0.get("SystemCallFilter").context("no filter")?;
    let at = |wanted: &str| {
        let holds = |line: &String| line.split_whitespace().any(|word| word == wanted);
        lines
            .iter()
            .position(holds)
            .with_context(|| format!("{wanted} is not in the filter"))
    };
    ensure!(
        at("@system-service")? == 0,
        "the filter is no list of what is allowed"
    );
    let denied = at("@clock")?;
    for denied in [
        "~@privileged",
        "@memlock",
        "@debug",
        "@mount",
        "@keyring",
        "~listen",
    ] {
        at(denied)?;
    }
    for allowed in [
        "seccomp",
        "landlock_create_ruleset",
        "landlock_add_rule",
        "landlock_restrict_self",
    ] {
        ensure!(
            at(allowed)? > denied,
            "{allowed} is allowed before it is denied"
        );
    }
    Ok(())
}

/// Every listener has a socket unit of its name, started with the daemon unless it is optional, and open to whom it is for.
#[test]
fn each_listener_has_its_socket() -> Result<()> {
    let required = Unit::read("binderyd.service")?.words("Requires");
    for name in LISTENERS {
        let file = format!("binderyd-{name}.socket");
        let unit = Unit::read(&file)?;
        assert_eq!(
            unit.value("FileDescriptorName").as_deref(),
            Some(name),
            "{file}"
        );
        assert_eq!(
            unit.value("Service").as_deref(),
            Some("binderyd.service"),
            "{file}"
        );
        // Mutual TLS is off by default.
        assert_eq!(required.contains(&file), name != "mtls", "{file}");
    }
    let sockets =
        fs::read_dir(folder())?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    assert_eq!(
        sockets.filter(|file| file.ends_with(".socket")).count(),
        LISTENERS.len()
    );

    let (api, admin) = (
        Unit::read("binderyd-api.socket")?,
        Unit::read("binderyd-admin.socket")?,
    );
    assert_eq!(api.value("SocketMode").as_deref(), Some("0660"));
    let group = api.value("SocketGroup").context("no group")?;
    let users = fs::read_to_string(folder().join("bindery.sysusers.conf"))?;
    assert!(
        users
            .lines()
            .any(|line| line.starts_with(&format!("g {group} "))),
        "nobody makes {group}"
    );
    assert_eq!(admin.value("SocketMode").as_deref(), Some("0600"));
    assert_eq!(admin.value("SocketGroup"), None);
    for name in ["http", "ops"] {
        let unit = Unit::read(&format!("binderyd-{name}.socket"))?;
        let address = unit.value("ListenStream").unwrap_or_default();
        assert!(
            address.starts_with("127.0.0.1:"),
            "{name} is open to the network: {address}"
        );
    }
    Ok(())
}

/// The sockets are where the configuration's defaults are, so that clients find the daemon either way.
#[test]
fn the_sockets_are_where_the_configuration_says() -> Result<()> {
    let manual = fs::read_to_string(folder().join("bindery.toml"))?;
    for (unit, key) in [
        ("api", "socket"),
        ("admin", "admin_socket"),
        ("http", "listen"),
        ("ops", "listen"),
    ] {
        let address = Unit::read(&format!("binderyd-{unit}.socket"))?
            .value("ListenStream")
            .context("no address")?;
        let line = format!("#: {key} = \"{address}\"");
        assert!(
            manual.lines().any(|have| have == line),
            "the manual does not say {line}"
        );
    }
    Ok(())
}

/// Exposure at most 1.2, by systemd's own measure.
#[test]
fn exposure_is_at_most_1_2() -> Result<()> {
    if !systemd() {
        return Ok(());
    }
    let output = Command::new("systemd-analyze")
        .args([
            "security",
            "--offline=yes",
            "--no-pager",
            "--threshold",
            EXPOSURE,
        ])
        .arg(folder().join("binderyd.service"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    println!("figure: {}", text.lines().last().unwrap_or_default());
    ensure!(output.status.success(), "{text}");
    Ok(())
}

/// systemd has nothing to say against any unit, installed as a package would.
#[test]
fn the_units_are_without_a_warning() -> Result<()> {
    if !systemd() {
        return Ok(());
    }
    let root = Installed::new()?;
    let output = root.verify()?;
    ensure!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    // The control: a misspelt setting is found.
    let broken = root.units().join("binderyd.service");
    let text = fs::read_to_string(&broken)?.replace("WatchdogSec", "WatchDogSec");
    fs::write(&broken, text)?;
    ensure!(
        !root.verify()?.stderr.is_empty(),
        "a misspelt setting was not found"
    );
    Ok(())
}

/// Units and the programs that they name in a folder that stands for `/`.
struct Installed(tempfile::TempDir);

impl Installed {
    fn new() -> Result<Self> {
        let root = Self(tempfile::tempdir()?);
        fs::create_dir_all(root.units())?;
        let targets = Path::new("/usr/lib/systemd/system");
        let system = root.0.path().join("usr/lib/systemd/system");
        fs::create_dir_all(&system)?;
        let files = |folder: &Path| -> Result<Vec<PathBuf>> {
            fs::read_dir(folder)?
                .map(|entry| Ok(entry?.path()))
                .collect()
        };
        let ends = |path: &Path, end: &str| path.extension().is_some_and(|have| have == end);
        for path in files(targets)?.iter().filter(|path| ends(path, "target")) {
            fs::copy(path, system.join(path.file_name().unwrap_or_default()))?;
        }
        let units = files(&folder())?;
        for path in units
            .iter()
            .filter(|path| ends(path, "service") || ends(path, "socket"))
        {
            fs::copy(
                path,
                root.units().join(path.file_name().unwrap_or_default()),
            )?;
        }
        for program in ["usr/lib/bindery/binderyd", "bin/sh"] {
            let program = root.0.path().join(program);
            fs::create_dir_all(program.parent().unwrap_or(&program))?;
            fs::copy("/bin/true", program)?;
        }
        Ok(root)
    }

    fn units(&self) -> PathBuf {
        self.0.path().join("etc/systemd/system")
    }

    fn verify(&self) -> Result<std::process::Output> {
        let units = fs::read_dir(self.units())?;
        let names = units.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut command = Command::new("systemd-analyze");
        command
            .args(["verify", "--man=no"])
            .arg(format!("--root={}", self.0.path().display()));
        Ok(command.args(names).output()?)
    }
}

/// Whether the tool is there that judges units.
fn systemd() -> bool {
    let there = Command::new("systemd-analyze").arg("--version").output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        not_run("not run: what systemd says about the units (no systemd-analyze)");
    }
    there
}
