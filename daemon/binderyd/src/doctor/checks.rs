//! Whether what was found is what was promised, and what to do where it is not. Pure.

use std::path::PathBuf;

use bindery_api::{CheckFacts, Outcome};

use super::{Terms, facts::Facts};

/// File systems on which what was synced may be lost, or on which locks do not hold (`statfs(2)`).
const UNFIT: [(u64, &str); 7] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x794c_7630, "overlay"),
    (0x9123_683e, "btrfs, which copies on write"),
    (0x0102_1994, "tmpfs, which is gone after a restart"),
    (0x6573_5546, "FUSE"),
];

/// Ids in a user namespace with which callers can be told apart.
const ENOUGH_USERS: u64 = 1000;

const UNIT: &str = "run it by the shipped binderyd.service, or set dangerous.unconfined";

/// All checks in their order.
pub(crate) fn judge(facts: &Facts, terms: Terms) -> Vec<CheckFacts> {
    let judge = Judge { facts, terms };
    vec![
        judge.user(),
        judge.capabilities(),
        judge.privileges(),
        judge.system_calls(),
        judge.dumpable(),
        judge.core_limit(),
        judge.swap(),
        judge.folder(),
        judge.files(),
        judge.file_system(),
        judge.space(),
        judge.peer(),
        judge.metadata(),
        judge.clock(),
        judge.plugins(),
        judge.proxies(),
    ]
}

struct Judge<'a> {
    facts: &'a Facts,
    terms: Terms,
}

impl Judge<'_> {
    /// What the unit gives: due where a service manager started the daemon, good to have elsewhere.
    const fn due(&self) -> Outcome {
        if self.terms.managed && !self.terms.unconfined {
            Outcome::Failed
        } else {
            Outcome::Warning
        }
    }

    fn user(&self) -> CheckFacts {
        let id = "process.user";
        match self.facts.uid {
            0 if self.terms.root => weak(
                id,
                "it runs as root, as dangerous.run_as_root allows",
                "use a user of its own",
            ),
            0 => broken(
                id,
                "it runs as root",
                "use a user of its own, or set dangerous.run_as_root",
            ),
            uid => good(id, format!("user {uid}")),
        }
    }

    fn capabilities(&self) -> CheckFacts {
        let id = "process.capabilities";
        match self.facts.capabilities {
            Some(0) => good(id, "none"),
            Some(set) if self.facts.uid == 0 && self.terms.root => {
                weak(id, format!("root's: {set:#x}"), "use a user of its own")
            }
            Some(set) => broken(
                id,
                format!("it may do what only root may: {set:#x}"),
                "set CapabilityBoundingSet= and AmbientCapabilities= to nothing",
            ),
            None => unknown(id),
        }
    }

    fn privileges(&self) -> CheckFacts {
        let id = "process.no_new_privileges";
        match self.facts.no_new_privileges {
            Some(true) => good(id, "set"),
            Some(false) => broken(
                id,
                "a program that it starts could get privileges",
                "set NoNewPrivileges=yes",
            ),
            None => unknown(id),
        }
    }

    fn system_calls(&self) -> CheckFacts {
        let id = "process.system_calls";
        match self.facts.filtered {
            Some(true) => good(id, "filtered"),
            Some(false) => check(id, self.due(), "not filtered", UNIT),
            None => unknown(id),
        }
    }

    fn dumpable(&self) -> CheckFacts {
        let id = "process.dumpable";
        if self.facts.dumpable {
            return broken(
                id,
                "others of the same user can read its memory",
                "report it: the daemon closes this first of all",
            );
        }
        good(id, "no dumps, no tracing")
    }

    fn core_limit(&self) -> CheckFacts {
        let id = "process.core_limit";
        match self.facts.core_limit {
            Some(0) => good(id, "0"),
            _ => broken(id, "a crash may write memory to disk", "set LimitCORE=0"),
        }
    }

    fn swap(&self) -> CheckFacts {
        let id = "memory.swap";
        match (self.facts.swap_limit, self.facts.swapped) {
            (_, Some(swapped)) if swapped > 0 => weak(
                id,
                format!("{swapped} KiB lie in swap"),
                "set MemorySwapMax=0, and restart",
            ),
            (Some(0), _) => good(id, "none allowed"),
            (_, Some(_)) => weak(id, "allowed, and not used", "set MemorySwapMax=0"),
            (_, None) => unknown(id),
        }
    }

    fn folder(&self) -> CheckFacts {
        let id = "state.folder";
        match self.facts.folder {
            Some((0o700, owner)) if owner == self.facts.uid => good(id, "0700, its own"),
            Some((mode, owner)) => broken(
                id,
                format!("mode {mode:04o}, owner {owner}"),
                "make it 0700 and the daemon's own",
            ),
            None => broken(id, "it can't be looked at", "check data_dir"),
        }
    }

    fn files(&self) -> CheckFacts {
        let id = "state.files";
        match listed(&self.facts.exposed) {
            None => good(id, "only its own, closed to others"),
            Some(files) => broken(
                id,
                format!("open to others, or not its own: {files}"),
                "chmod 600 and chown them, and set UMask=0077",
            ),
        }
    }

    fn file_system(&self) -> CheckFacts {
        let id = "state.file_system";
        let Some(kind) = self.facts.file_system else {
            return unknown(id);
        };
        match UNFIT.iter().find(|(unfit, _)| *unfit == kind) {
            Some((_, name)) => weak(
                id,
                format!("it lies on {name}"),
                "put data_dir on a local ext4 or XFS",
            ),
            None => good(id, format!("{kind:#x}")),
        }
    }

    /// Links that exist are served on a full disk, so this never ends a start.
    fn space(&self) -> CheckFacts {
        let id = "state.space";
        match self.facts.free {
            Some(free) if free < self.facts.floor => weak(
                id,
                format!("{} MiB free; no new link is taken", free >> 20),
                "make space",
            ),
            Some(free) => good(id, format!("{} MiB free", free >> 20)),
            None => unknown(id),
        }
    }

    fn peer(&self) -> CheckFacts {
        let id = "api.peers";
        if self.facts.peer != Some(self.facts.uid) {
            return broken(
                id,
                "the kernel does not name the caller at a Unix socket",
                "run it on Linux, without a namespace of its own for users",
            );
        }
        match self.facts.users {
            Some(count) if count < ENOUGH_USERS => broken(
                id,
                "callers of the Unix socket can't be told apart",
                "set PrivateUsers=no",
            ),
            _ => good(id, "told apart"),
        }
    }

    fn metadata(&self) -> CheckFacts {
        let id = "network.metadata";
        if self.facts.metadata.is_empty() {
            return good(id, "closed");
        }
        let open = self.facts.metadata.join(", ");
        broken(
            id,
            format!("open: {open}"),
            "report it: no setting opens them",
        )
    }

    fn clock(&self) -> CheckFacts {
        let id = "clock.synchronised";
        match self.facts.clock {
            Some(true) => good(id, "by systemd-timesyncd"),
            _ => weak(
                id,
                "not known; expiry times depend on it",
                "run a time service, such as systemd-timesyncd",
            ),
        }
    }

    /// Who listens on loopback is reached through a proxy, and takes all people and providers for that one.
    fn proxies(&self) -> CheckFacts {
        let id = "web.proxies";
        if self.facts.unnamed_proxy {
            return weak(
                id,
                "web.listen is a loopback address, and web.trusted_proxies is empty: everybody who comes through the proxy shares the limits of one address",
                "name the proxy in web.trusted_proxies, and let it set X-Forwarded-For",
            );
        }
        good(id, "people and providers are told apart")
    }

    fn plugins(&self) -> CheckFacts {
        let id = "plugins.owners";
        match listed(&self.facts.plugins) {
            None => good(id, "root's alone"),
            Some(files) => weak(
                id,
                format!("not root's alone: {files}"),
                "chown root and chmod go-w them",
            ),
        }
    }
}

fn check(
    id: &'static str,
    outcome: Outcome,
    message: impl Into<String>,
    action: &str,
) -> CheckFacts {
    CheckFacts {
        id,
        outcome,
        message: message.into(),
        action: action.to_owned(),
    }
}

fn good(id: &'static str, message: impl Into<String>) -> CheckFacts {
    check(id, Outcome::Ok, message, "")
}

fn weak(id: &'static str, message: impl Into<String>, action: &str) -> CheckFacts {
    check(id, Outcome::Warning, message, action)
}

fn broken(id: &'static str, message: impl Into<String>, action: &str) -> CheckFacts {
    check(id, Outcome::Failed, message, action)
}

fn unknown(id: &'static str) -> CheckFacts {
    weak(id, "the system does not tell", "check it by hand")
}

/// The first few, and how many more.
fn listed(paths: &[PathBuf]) -> Option<String> {
    const SHOWN: usize = 3;
    if paths.is_empty() {
        return None;
    }
    let shown: Vec<String> = paths
        .iter()
        .take(SHOWN)
        .map(|path| path.display().to_string())
        .collect();
    let more = paths.len().saturating_sub(SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Some(shown.join(", ") + &more)
}

#[cfg(test)]
mod tests;
