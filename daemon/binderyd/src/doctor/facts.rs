//! What is so, as the kernel and the file system say. Nothing is judged here.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use bindery_core::port::Egress;
use rustix::process::{DumpableBehavior, Resource};

use crate::config::Config;

/// What was found. `None` where the system does not tell.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Facts {
    /// Effective user id.
    pub(crate) uid: u32,
    /// Effective capabilities, a bit each.
    pub(crate) capabilities: Option<u64>,
    /// `NoNewPrivs` is set.
    pub(crate) no_new_privileges: Option<bool>,
    /// A filter for system calls is in place (`Seccomp: 2`).
    pub(crate) filtered: Option<bool>,
    /// Other processes of this user may read this one.
    pub(crate) dumpable: bool,
    /// Largest core dump in bytes; `None` for no limit.
    pub(crate) core_limit: Option<u64>,
    /// Memory that lies in swap, in KiB.
    pub(crate) swapped: Option<u64>,
    /// Limit of swap in bytes of this service; `None` where there is none.
    pub(crate) swap_limit: Option<u64>,
    /// The data folder: mode and owner.
    pub(crate) folder: Option<(u32, u32)>,
    /// Files of store and vault that others can read or that somebody else owns.
    pub(crate) exposed: Vec<PathBuf>,
    /// Kind of its file system (`statfs`).
    pub(crate) file_system: Option<u64>,
    /// Free bytes there.
    pub(crate) free: Option<u64>,
    /// Free bytes that the configuration wants.
    pub(crate) floor: u64,
    /// The user whom the kernel names at the other end of a socket of our own.
    pub(crate) peer: Option<u32>,
    /// How many user ids this process can tell apart.
    pub(crate) users: Option<u64>,
    /// Addresses of metadata services that may be connected to.
    pub(crate) metadata: Vec<&'static str>,
    /// The clock is synchronised.
    pub(crate) clock: Option<bool>,
    /// Files of enabled plugins that somebody but root can write.
    pub(crate) plugins: Vec<PathBuf>,
    /// The pages are behind a proxy on this machine that nobody said to be one.
    pub(crate) unnamed_proxy: bool,
}

impl Facts {
    /// Looks.
    pub(crate) fn gather(config: &Config) -> Self {
        let status = Status::read();
        let limit = |resource| rustix::process::getrlimit(resource).current;
        let disk = rustix::fs::statfs(&config.data_dir).ok();
        let space = rustix::fs::statvfs(&config.data_dir).ok();
        Self {
            uid: rustix::process::geteuid().as_raw(),
            capabilities: status.hexadecimal("CapEff"),
            no_new_privileges: status.number("NoNewPrivs").map(|value| value == 1),
            filtered: status.number("Seccomp").map(|value| value == 2),
            dumpable: !matches!(
                rustix::process::dumpable_behavior(),
                Ok(DumpableBehavior::NotDumpable)
            ),
            core_limit: limit(Resource::Core),
            swapped: status.number("VmSwap"),
            swap_limit: swap_limit(),
            folder: fs::metadata(&config.data_dir)
                .ok()
                .map(|found| (found.permissions().mode() & 0o7777, found.uid())),
            exposed: ["store", "vault"]
                .iter()
                .flat_map(|name| exposed(&config.data_dir.join(name)))
                .collect(),
            file_system: disk.map(|disk| u64::try_from(disk.f_type).unwrap_or_default()),
            free: space.map(|space| space.f_bavail.saturating_mul(space.f_frsize)),
            floor: config.floor_bytes,
            peer: peer(),
            users: users(),
            metadata: metadata(config),
            clock: clock(),
            plugins: plugins(config),
            unnamed_proxy: config.web.listen.ip().is_loopback()
                && config.web.trusted_proxies.is_empty(),
        }
    }
}

/// `/proc/self/status`.
struct Status(String);

impl Status {
    fn read() -> Self {
        Self(fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    fn word(&self, key: &str) -> Option<&str> {
        let line = |line: &'_ str| line.strip_prefix(key)?.strip_prefix(':').map(str::len);
        let found = self.0.lines().find(|text| line(text).is_some())?;
        found.split_whitespace().nth(1)
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.word(key)?.parse().ok()
    }

    fn hexadecimal(&self, key: &str) -> Option<u64> {
        u64::from_str_radix(self.word(key)?, 16).ok()
    }
}

/// The smallest limit of swap of this process's control group and those above it, by either version of the interface.
fn swap_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let unified = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let root = Path::new("/sys/fs/cgroup");
    let own = root.join(unified.trim_start_matches('/'));
    own.ancestors()
        .take_while(|group| group.starts_with(root))
        .filter_map(|group| fs::read_to_string(group.join("memory.swap.max")).ok())
        .filter_map(|text| text.trim().parse().ok())
        .min()
}

/// Secrets are sealed in there, but it is nobody's business which there are.
fn exposed(folder: &Path) -> Vec<PathBuf> {
    let own = rustix::process::geteuid().as_raw();
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            // One that goes away meanwhile shows nothing.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            let open = metadata.permissions().mode() & 0o077 != 0;
            if metadata.uid() != own || (open && metadata.is_file()) {
                found.push(entry.path());
            }
        }
    }
    found
}

/// Whom the kernel names at the other end of our own socket.
fn peer() -> Option<u32> {
    let (ours, _theirs) = UnixStream::pair().ok()?;
    let peer = rustix::net::sockopt::socket_peercred(&ours).ok()?;
    Some(peer.uid.as_raw())
}

/// Sum over the map of user ids: of `PrivateUsers=yes` it is 1 or 2.
fn users() -> Option<u64> {
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    let counts = map
        .lines()
        .map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    counts.sum()
}

/// Services that give a machine's own credentials to whoever asks from within it.
const METADATA: [&str; 5] = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "[fd00:ec2::254]",
];

fn metadata(config: &Config) -> Vec<&'static str> {
    let egress = super::egress(config);
    let open = |address: &&str| egress.admit_post(&format!("http://{address}/")).is_ok();
    METADATA.into_iter().filter(open).collect()
}

/// systemd-timesyncd leaves a file. Other services can't be asked from within the sandbox, so nothing is known of them.
fn clock() -> Option<bool> {
    Path::new("/run/systemd/timesync/synchronized")
        .exists()
        .then_some(true)
}

fn plugins(config: &Config) -> Vec<PathBuf> {
    let folders = config.plugins.enabled.iter().flat_map(|(name, version)| {
        let roots = config.plugins.roots.iter();
        roots.map(move |root| root.join(name).join(version))
    });
    let files = folders.flat_map(|folder| {
        ["plugin.so", "manifest.toml", "manifest.toml.sig"].map(|file| folder.join(file))
    });
    let loose = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|found| found.uid() != 0 || found.permissions().mode() & 0o022 != 0)
    };
    files.filter(loose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `/proc` says is read as it is written there.
    #[test]
    fn the_status_of_a_process_is_read() {
        let status = Status(
            "Name:\tx\nCapEff:\t000001ffffffffff\nSeccomp:\t2\nSeccomp_filters:\t7\nVmPin:\t      64 kB\n".to_owned(),
        );
        assert_eq!(status.hexadecimal("CapEff"), Some(0x1ff_ffff_ffff));
        assert_eq!(status.number("Seccomp"), Some(2));
        assert_eq!(status.number("VmPin"), Some(64));
        assert_eq!(status.number("VmSwap"), None);
    }

    /// A file that others can read is found, wherever it lies; one that only its owner can read is not.
    #[test]
    fn files_that_others_can_read_are_found() {
        let folder = std::env::temp_dir().join(format!("bindery-doctor-{}", std::process::id()));
        let below = folder.join("store");
        fs::create_dir_all(&below).expect("folder");
        for (name, mode) in [("closed", 0o600), ("open", 0o640)] {
            fs::write(below.join(name), "").expect("file");
            fs::set_permissions(below.join(name), fs::Permissions::from_mode(mode)).expect("mode");
        }
        let found = exposed(&folder);
        fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(found, [below.join("open")]);
    }

    /// The kernel names this process's own user, and the daemon's rules close every metadata service, whatever is allowed.
    #[test]
    fn own_sockets_and_metadata_services() {
        assert_eq!(peer(), Some(rustix::process::geteuid().as_raw()));
        let text = "[web]\npublic_url = \"https://b.example\"\n[subscriptions]\nallow_networks = [\"0.0.0.0/0\", \"::/0\"]\n";
        let config = Config::parse(text).expect("parses");
        assert!(metadata(&config).is_empty());
        // The control: what is allowed is not refused for another reason.
        assert!(
            super::super::egress(&config)
                .admit_post("http://10.0.0.1/")
                .is_ok()
        );
    }
}
