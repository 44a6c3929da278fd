//! Which files may run

use std::{fs, os::unix::fs::symlink, path::Path};

use bindery_host::{Catalog, CatalogError, Digest, PinPlan, PluginTrust, pin};
use bindery_replay::figure;
use ring::signature::Ed25519KeyPair;

use crate::support::{Store, chmod, description, library, manifest, name, version, write};

fn refusal(store: &Store, text: &str) -> String {
    store
        .catalog
        .open(&name(), &version(text))
        .expect_err("it is refused")
        .to_string()
}

fn pinned() -> Store {
    let store = Store::new();
    store.add("1.0.0", &[]);
    store
}

type Change = fn(&Store, &Path);

/// P2, P3: each way in which somebody else could have changed a file is refused, and the answer names it.
#[test]
fn p2_files_that_others_can_change_are_refused() {
    let changes: [(&str, Change, &str); 14] = [
        (
            "root that links into a writable folder",
            |store, _| {
                let at = |name: &str| store.folder.path().join(name);
                fs::create_dir(at("open")).unwrap();
                fs::rename(at("plugins"), at("open/plugins")).unwrap();
                chmod(&at("open"), 0o777);
                symlink(at("open/plugins"), at("plugins")).unwrap();
            },
            "/open has mode 0777",
        ),
        (
            "link",
            |_, at| {
                fs::rename(at.join("plugin.so"), at.join("real.so")).unwrap();
                symlink(at.join("real.so"), at.join("plugin.so")).unwrap();
            },
            "symbolic link",
        ),
        (
            "version link",
            |_, at| {
                fs::rename(at, at.with_file_name("real")).unwrap();
                symlink(at.with_file_name("real"), at).unwrap();
            },
            "symbolic link",
        ),
        (
            "pipe",
            |_, at| {
                fs::remove_file(at.join("plugin.so")).unwrap();
                rustix::fs::mknodat(
                    rustix::fs::CWD,
                    at.join("plugin.so"),
                    rustix::fs::FileType::Fifo,
                    0o644.into(),
                    0,
                )
                .unwrap();
            },
            "not a regular file",
        ),
        (
            "folder",
            |_, at| {
                fs::remove_file(at.join("plugin.so")).unwrap();
                fs::create_dir(at.join("plugin.so")).unwrap();
            },
            "not a regular file",
        ),
        (
            "missing",
            |_, at| fs::remove_file(at.join("plugin.so")).unwrap(),
            "does not exist",
        ),
        (
            "set-user-id",
            |_, at| chmod(&at.join("plugin.so"), 0o4755),
            "set-user-id",
        ),
        (
            "set-group-id",
            |_, at| chmod(&at.join("plugin.so"), 0o2755),
            "set-user-id or set-group-id",
        ),
        (
            "group-writable file",
            |_, at| chmod(&at.join("plugin.so"), 0o664),
            "0664",
        ),
        (
            "group-writable manifest",
            |_, at| chmod(&at.join("manifest.toml"), 0o664),
            "manifest.toml has mode 0664",
        ),
        (
            "world-writable signature",
            |_, at| chmod(&at.join("manifest.toml.sig"), 0o646),
            "0646",
        ),
        ("group-writable folder", |_, at| chmod(at, 0o775), "0775"),
        (
            "world-writable ancestor",
            |store, _| chmod(&store.folder.path().join("plugins"), 0o757),
            "0757",
        ),
        (
            "writable lock file",
            |store, _| chmod(&store.catalog.lock_file, 0o666),
            "plugins.lock has mode 0666",
        ),
    ];
    for (what, change, expected) in changes {
        let store = pinned();
        store
            .catalog
            .open(&name(), &version("1.0.0"))
            .expect("it is in order at first");
        change(&store, &store.at("1.0.0"));
        let refused = refusal(&store, "1.0.0");
        assert!(refused.contains(expected), "{what}: {refused}");
    }
}

/// P2: while somebody exchanges the library again and again, by another file and in place, what is opened is what was signed.
/// A thousand times, or 30,000 with `BINDERY_FIGURES=full`.
#[test]
fn p2_a_library_that_is_exchanged_meanwhile_is_never_foreign() {
    let store = pinned();
    let (place, aside) = (
        store.at("1.0.0").join("plugin.so"),
        store.folder.path().join("aside"),
    );
    let ours = fs::read(&place).unwrap();
    let mut foreign = ours.clone();
    *foreign.last_mut().unwrap() ^= 1;
    let over = std::sync::atomic::AtomicBool::new(false);
    let times = figure(1000, 30_000);
    let (mut opened, mut refused, mut wrong) = (0, 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::SeqCst) {
                for bytes in [&foreign, &ours] {
                    write(&aside, bytes);
                    fs::rename(&aside, &place).unwrap();
                }
                write(&place, &foreign);
                write(&place, &ours);
            }
        });
        while wrong == 0 && (opened + refused < times || opened == 0 || refused == 0) {
            match store.catalog.open(&name(), &version("1.0.0")) {
                Ok(artifact) if artifact.image == ours => opened += 1,
                Ok(_) => wrong += 1,
                Err(_) => refused += 1,
            }
        }
        over.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    println!(
        "figure: P2: a library that is exchanged meanwhile: {opened} times ours, {refused} times refused"
    );
    assert_eq!(wrong, 0, "a foreign library was opened");
}

/// P2: what belongs to somebody else is refused, be it the file or a folder above it.
#[test]
fn p2_foreign_owners_are_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for part in [
        "plugins/gitea/1.0.0/plugin.so",
        "plugins/gitea/1.0.0/manifest.toml",
        "plugins/gitea",
        "plugins.lock",
    ] {
        let store = pinned();
        std::os::unix::fs::chown(store.folder.path().join(part), Some(4321), None).unwrap();
        let refused = refusal(&store, "1.0.0");
        assert!(
            refused.contains("belongs to user 4321"),
            "{part}: {refused}"
        );
        let owner = Catalog {
            owner: Some(4321),
            ..store.catalog.clone()
        };
        owner
            .open(&name(), &version("1.0.0"))
            .expect("the configured owner is trusted");
    }
}

/// P2, P3: a changed library or manifest is refused with the file, both hashes and the command that mends it, whether or
/// not signatures are asked for.
#[test]
fn p2_changed_bytes_are_refused() {
    for trust in [PluginTrust::Signed, PluginTrust::Development] {
        let mut store = pinned();
        store.catalog.trust = trust;
        let mut image = fs::read(store.at("1.0.0").join("plugin.so")).unwrap();
        let before = Digest::of(&image);
        *image.last_mut().unwrap() ^= 1;
        store.install("1.0.0", &image);
        let refused = refusal(&store, "1.0.0");
        for part in [
            "plugin.so",
            &before.to_string(),
            &Digest::of(&image).to_string(),
            "binderyd plugin pin gitea",
        ] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }
}

/// P3: the signature covers every byte of the manifest, and the manifest every byte of the library.
#[test]
fn p3_signed_is_signed() {
    let store = pinned();
    let at = store.at("1.0.0");
    let text = fs::read_to_string(at.join("manifest.toml")).unwrap();
    write(
        &at.join("manifest.toml"),
        text.replace("GET /version", "GET /{x...}").as_bytes(),
    );
    assert!(refusal(&store, "1.0.0").contains("signature of the manifest is wrong"));
    write(&at.join("manifest.toml"), text.as_bytes());
    let mut image = fs::read(at.join("plugin.so")).unwrap();
    image.push(0);
    write(&at.join("plugin.so"), &image);
    assert!(refusal(&store, "1.0.0").contains("not what its manifest says"));
    store.resign(
        "1.0.0",
        &manifest("1.0.0", &image).replace(
            "[[artifacts]]\ntarget = \"",
            "[[artifacts]]\ntarget = \"other-",
        ),
    );
    assert!(refusal(&store, "1.0.0").contains("lists no library"));
}

/// P3: a key signs only the names that the operator gave it, and without a key or a signature nothing runs.
#[test]
fn p3_keys_are_for_names() {
    let store = pinned();
    let other = ring::rand::SystemRandom::new();
    let other = Ed25519KeyPair::generate_pkcs8(&other).unwrap();
    let other = Ed25519KeyPair::from_pkcs8(other.as_ref()).unwrap();
    let text = fs::read_to_string(store.at("1.0.0").join("manifest.toml")).unwrap();
    store.sign("1.0.0", &text, &other);
    assert!(refusal(&store, "1.0.0").contains("is wrong"));
    store.allow_key("stranger", &other, "gitlab");
    assert!(refusal(&store, "1.0.0").contains("key 'stranger', which may not sign 'gitea'"));
    fs::remove_dir_all(&store.catalog.keys).unwrap();
    assert!(refusal(&store, "1.0.0").contains("no key in"));
    fs::remove_file(store.at("1.0.0").join("manifest.toml.sig")).unwrap();
    assert!(refusal(&store, "1.0.0").contains("may not run unsigned"));
}

/// P3: unsigned runs only what is listed by hash; a denied hash never runs.
#[test]
fn p3_hashes_are_allowed_and_denied() {
    let mut store = pinned();
    fs::remove_file(store.at("1.0.0").join("manifest.toml.sig")).unwrap();
    let sha256 = Digest::of(&fs::read(store.at("1.0.0").join("plugin.so")).unwrap());
    store.catalog.allow_unsigned = vec![Digest::of(b"another")];
    assert!(refusal(&store, "1.0.0").contains("unsigned"));
    store.catalog.allow_unsigned = vec![sha256];
    let artifact = store
        .catalog
        .open(&name(), &version("1.0.0"))
        .expect("it is listed");
    assert_eq!(artifact.signed_by, None);
    store.catalog.deny = vec![sha256];
    assert!(refusal(&store, "1.0.0").contains("deny list"));
}

/// P3: what is not pinned does not run, and what was never agreed to is not an older version either.
#[test]
fn p3_pins_go_upwards() {
    let store = Store::new();
    let image = library(&description("1.2.0"), &[]);
    store.install("1.2.0", &image);
    assert!(refusal(&store, "1.2.0").contains("is not pinned"));
    store.pin("1.2.0");
    store.install("1.1.0", &image);
    assert!(refusal(&store, "1.1.0").contains("expected 1.2.0, actual 1.1.0"));
    let older = |allow| pin(&store.catalog, &name(), &version("1.1.0"), allow);
    assert!(matches!(older(false), Err(CatalogError::Downgrade { .. })));
    store
        .catalog
        .open(&name(), &version("1.2.0"))
        .expect("the refused pin changed nothing");
    older(true).expect("it is allowed");
    store
        .catalog
        .open(&name(), &version("1.1.0"))
        .expect("it is pinned");
    let lock = fs::read_to_string(&store.catalog.lock_file).unwrap();
    write(
        &store.catalog.lock_file,
        lock.replace("highest = \"1.1.0\"", "highest = \"1.3.0\"")
            .as_bytes(),
    );
    assert!(refusal(&store, "1.1.0").contains("older than 1.3.0"));
}

/// P3: a pin shows hashes, publisher and every request that is new, before anything is written.
#[test]
fn p3_a_pin_shows_what_changes() {
    let store = pinned();
    let image = library(&description("1.1.0"), &[]);
    store.install("1.1.0", &image);
    let wider = manifest("1.1.0", &image).replace("\"GET /user/repos\"", "\"POST /user/repos\"");
    store.resign("1.1.0", &wider);
    let before = fs::read(&store.catalog.lock_file).unwrap();
    let plan = PinPlan::prepare(&store.catalog, &name(), &version("1.1.0"), false)
        .expect("it can be pinned");
    assert_eq!(fs::read(&store.catalog.lock_file).unwrap(), before);
    let shown = plan.diff().to_string();
    for line in [
        "1.0.0 -> 1.1.0",
        "Example Ltd",
        "signed by  maker",
        "+ list_repositories: POST /user/repos",
        "- list_repositories: GET /user/repos",
        &Digest::of(&image).to_string(),
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    plan.write(&store.catalog).expect("it is written");
    store
        .catalog
        .open(&name(), &version("1.1.0"))
        .expect("it is pinned");
    let again = PinPlan::prepare(&store.catalog, &name(), &version("1.1.0"), false)
        .expect("it can be pinned");
    assert!(again.diff().is_empty());
}

/// The development switch forgives folders and a missing signature, never the pin.
#[test]
fn development_still_asks_for_the_pin() {
    let mut store = Store::new();
    store.install("1.0.0", &library(&description("1.0.0"), &[]));
    fs::remove_file(store.at("1.0.0").join("manifest.toml.sig")).unwrap();
    chmod(&store.folder.path().join("plugins"), 0o777);
    store.catalog.trust = PluginTrust::Development;
    assert!(refusal(&store, "1.0.0").contains("is not pinned"));
    store.pin("1.0.0");
    store
        .catalog
        .open(&name(), &version("1.0.0"))
        .expect("it is pinned");
}

/// The first root that has the version decides, and a version that none has is named with all of them.
#[test]
fn roots_are_looked_at_in_order() {
    let store = pinned();
    let first = store.folder.path().join("etc/gitea/1.0.0");
    fs::create_dir_all(&first).unwrap();
    assert!(refusal(&store, "1.0.0").contains("etc/gitea/1.0.0/plugin.so does not exist"));
    let refused = refusal(&store, "2.0.0");
    assert!(
        refused.contains("/etc, ") && refused.contains("/plugins"),
        "{refused}"
    );
}

/// A manifest of another plugin or version in a folder is refused although it is signed.
#[test]
fn a_manifest_belongs_to_its_folder() {
    let store = pinned();
    let image = fs::read(store.at("1.0.0").join("plugin.so")).unwrap();
    store.resign("1.0.0", &manifest("1.0.1", &image));
    assert!(
        refusal(&store, "1.0.0").contains("is the manifest of gitea 1.0.1 instead of gitea 1.0.0")
    );
    store.resign(
        "1.0.0",
        &manifest("1.0.0", &image).replace("manifest = 1", "manifest = 1\nsandbox = false"),
    );
    assert!(refusal(&store, "1.0.0").contains("unknown field `sandbox`"));
}
