//! Whatever is done to the files, the first record that does not fit is found and named.

use bindery_core::audit::Audit;

use crate::support::{World, broken, intact, write};

/// What is done to the lines of a file that holds the records 1 to 9 behind its first line.
type Attack = fn(&mut Vec<String>);

/// A changed, removed, moved, repeated or inserted record, and a cut end: each is found at its place, with the log still
/// open, and after a restart.
#[tokio::test]
async fn every_break_is_found_and_named() {
    let attacks: [(&str, Attack, u64, &str); 10] = [
        ("flipped", |lines| flip(lines), 5, "record 5 was changed"),
        (
            "forged number",
            |lines| lines[5] = lines[5].replace("\"seq\":5", "\"seq\":50"),
            5,
            "records 5 to 49 are missing",
        ),
        (
            "removed",
            |lines| drop(lines.remove(5)),
            5,
            "record 5 is missing",
        ),
        (
            "several removed",
            |lines| drop(lines.drain(4..7)),
            4,
            "records 4 to 6 are missing",
        ),
        (
            "reordered",
            |lines| lines.swap(5, 6),
            5,
            "record 5 is missing",
        ),
        (
            "repeated",
            |lines| lines.insert(6, lines[5].clone()),
            6,
            "record 6 is missing: record 5 stands in its place",
        ),
        (
            "inserted",
            |lines| lines.insert(5, lines[5].replace("l5", "lX")),
            5,
            "record 5 was changed",
        ),
        (
            "truncated",
            |lines| lines.truncate(7),
            7,
            "records 7 to 9 are missing",
        ),
        (
            "emptied",
            |lines| lines.truncate(1),
            1,
            "records 1 to 9 are missing",
        ),
        (
            "no line",
            |lines| "nonsense".clone_into(&mut lines[5]),
            5,
            "record 5 can't be read",
        ),
    ];
    for (name, attack, at, what) in attacks {
        let world = World::new().await;
        let log = world.log();
        write(&log, 1, 9).await;
        intact(&log, 9).await;
        log.close().await.unwrap();
        world.rewrite(attack);
        assert_eq!(broken(&log).await, (at, what.to_owned()), "{name}");
        // The next daemon finds the same, and so do all after it, also when they wrote on.
        for _ in 0..2 {
            let log = world.log();
            log.start().await.unwrap();
            write(&log, 10, 11).await;
            assert_eq!(
                broken(&log).await,
                (at, what.to_owned()),
                "{name}, restarted"
            );
            log.close().await.unwrap();
        }
    }
}

fn flip(lines: &mut [String]) {
    lines[5] = lines[5].replace("uid:1001", "uid:1000");
}

/// Files as a whole: the first, one between, the last, all of them; and the last one put back to an earlier state.
#[tokio::test]
async fn missing_files_are_found() {
    for (gone, what) in [
        (0, "records 1 to 3 are missing"),
        (1, "records 4 to 6 are missing"),
        (2, "records 7 to 9 are missing"),
    ] {
        let mut world = World::new().await;
        world.config.file_bytes = 700;
        let log = world.log();
        write(&log, 1, 9).await;
        log.close().await.unwrap();
        let files = world.files();
        assert_eq!(files.len(), 3);
        std::fs::remove_file(&files[gone]).unwrap();
        let log = world.log();
        assert_eq!(broken(&log).await.1, what);
    }
    let world = World::new().await;
    let log = world.log();
    write(&log, 1, 4).await;
    let earlier = world.text();
    write(&log, 5, 9).await;
    log.close().await.unwrap();
    std::fs::write(&world.files()[0], earlier).unwrap();
    let what = "records 5 to 9 are missing";
    assert_eq!(broken(&world.log()).await, (5, what.to_owned()));
    std::fs::remove_dir_all(&world.config.folder).unwrap();
    let what = "records 1 to 9 are missing";
    assert_eq!(broken(&world.log()).await, (1, what.to_owned()));
}

/// A log of another vault does not pass for this one's, whole as it is.
#[tokio::test]
async fn foreign_logs_do_not_fit() {
    let (world, other) = (World::new().await, World::new().await);
    for world in [&world, &other] {
        let log = world.log();
        write(&log, 1, 3).await;
        log.close().await.unwrap();
    }
    std::fs::copy(&other.files()[0], &world.files()[0]).unwrap();
    let what = "record 1 was changed";
    assert_eq!(broken(&world.log()).await, (1, what.to_owned()));
}

/// The key of the chain is nowhere on the disk in the clear, and the log can't be forged with what is there.
#[tokio::test]
async fn the_key_is_not_in_the_log() {
    use bindery_core::port::{Key, Record, Vault};
    let world = World::new().await;
    let log = world.log();
    write(&log, 1, 3).await;
    log.close().await.unwrap();
    let head = world.vault.get(&Key::AuditHead).await.unwrap().unwrap();
    let Record::AuditHead(head) = head.record else {
        panic!("another record");
    };
    assert_eq!(head.last.sequence, 3);
    assert!(!world.text().contains(head.key.expose()));
    assert!(log.ready().await.is_ok());
}
