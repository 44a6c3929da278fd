//! A log goes on over restarts, crashes, seals and years.

use std::time::Duration;

use bindery_audit::DiskFault;
use bindery_core::{
    audit::{Audit, AuditQuery, Deed, FIELDS, Survives},
    filter::Filter,
    problem::Reason,
};
use bindery_vault::{OpenOptions, Unlock};

use crate::support::{World, all, broken, deed, intact, numbers, refused, write};

/// Records are listed from the newest, over several files, page by page, and only those that are asked for.
#[tokio::test]
async fn records_are_listed() {
    let mut world = World::new().await;
    world.config.file_bytes = 700;
    let log = world.log();
    assert_eq!(numbers(&log).await, Vec::<u64>::new());
    write(&log, 1, 9).await;
    assert_eq!(numbers(&log).await, (1..=9).rev().collect::<Vec<_>>());
    let mut query = AuditQuery { limit: 4, ..all() };
    let mut seen = Vec::new();
    loop {
        let page = log.list(query.clone()).await.unwrap();
        seen.extend(page.records.iter().map(|record| record.sequence));
        query.below = page.records.last().map(|record| record.sequence);
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, numbers(&log).await);
    let filter = Filter::parse("actor=uid:1001 AND namespace=namespaces/acme", FIELDS);
    let query = AuditQuery {
        filter: filter.unwrap(),
        ..all()
    };
    let page = log.list(query).await.unwrap();
    let found: Vec<_> = page.records.iter().map(|record| record.sequence).collect();
    assert_eq!((found, page.more), (vec![9, 7, 5, 3, 1], false));
    assert_eq!(page.records[0].deed, deed(9));
}

/// Records that are written at the same time all get a number, and the chain fits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_write_at_once() {
    let mut world = World::new().await;
    world.config.file_bytes = 4000;
    let log = world.log();
    let tasks = (0..200).map(|number| {
        let log = log.clone();
        let survives = if number % 3 == 0 {
            Survives::Machine
        } else {
            Survives::Daemon
        };
        tokio::spawn(async move { log.record(deed(number), survives).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(numbers(&log).await, (1..=200).rev().collect::<Vec<_>>());
    intact(&log, 200).await;
}

/// The daemon dies at any moment: the next one goes on after the last whole record, and misses nothing that was promised.
#[tokio::test]
async fn crashes_leave_a_whole_log() {
    let world = World::new().await;
    let log = world.log();
    write(&log, 1, 5).await;
    drop(log);
    let whole = world.text();
    // A record that was under way: with each part of it in the file.
    let last = whole.lines().next_back().unwrap().len() + 1;
    for part in [1, 20, last - 2] {
        let torn = format!("{whole}{}", &whole[whole.len() - last..][..part]);
        std::fs::write(&world.files()[0], torn).unwrap();
        let log = world.log();
        intact(&log, 5).await;
    }
    // A file that was under way.
    let next = world.config.folder.join("00000000000000000006.jsonl");
    std::fs::write(&next, "{\"bindery_au").unwrap();
    let log = world.log();
    write(&log, 6, 6).await;
    intact(&log, 6).await;
    assert!(!next.exists());
}

/// What a caller is refused while the vault is sealed.
fn refusal(number: u64) -> Deed {
    Deed {
        code: "FAILED_PRECONDITION".to_owned(),
        reason: "SEALED".to_owned(),
        ..deed(number)
    }
}

/// What the operator does then.
fn operators(action: &str) -> Deed {
    Deed {
        actor: "uid:0".to_owned(),
        action: format!("bindery.admin.v1.AdminService/{action}"),
        code: String::new(),
        ..deed(1)
    }
}

async fn unseal(world: &World) {
    let unlock = vec![Unlock::KeyFile(world.key())];
    let options = OpenOptions::default();
    world.vault.unseal(unlock, options).await.unwrap();
}

/// While the vault is sealed the log can't be checked. What was done then stands in it afterwards: refusals as far as they
/// have room, with how many had none, and what the operator did in any case, however many refusals there are.
#[tokio::test]
async fn sealed_deeds_come_later() {
    let world = World::new().await;
    let log = world.log();
    write(&log, 1, 2).await;
    world.vault.seal().await;
    assert_eq!(numbers(&log).await, [2, 1]);
    assert_eq!(log.verify().await.unwrap_err().reason, Reason::Sealed);
    for number in 0..2000 {
        log.record(refusal(number), Survives::Daemon).await.unwrap();
    }
    world.clock.set(7);
    let disabled = operators("DisablePlugin");
    log.record(disabled.clone(), Survives::Machine)
        .await
        .unwrap();
    world.clock.set(9);
    unseal(&world).await;
    write(&log, 5, 5).await;
    // Two, the operator's, a thousand refusals, one that says how many there were more, and the newest.
    intact(&log, 1005).await;
    let page = log
        .list(AuditQuery {
            limit: 2000,
            ..all()
        })
        .await
        .unwrap();
    let dropped = &page.records[1].deed;
    assert_eq!(dropped.action, "daemon/audit-while-sealed");
    assert_eq!(dropped.facts["refusals_dropped"], "1000");
    assert_eq!(page.records[2].deed.facts["sealed"], "true");
    assert!(page.records[0].deed.facts.is_empty());
    let found = &page.records[1002].deed;
    assert_eq!(found.action, disabled.action);
    assert_eq!(found.facts["time_ms"], (7 * 86_400_000_u64).to_string());
    assert!(!aside(&world).exists());
}

fn aside(world: &World) -> std::path::PathBuf {
    world.config.folder.join("while-sealed")
}

/// The daemon dies while it is sealed: what the operator did before is in the log of the next one once it is open, and once
/// only. A line that was not written to its end, or that somebody put there, is told.
#[tokio::test]
async fn sealed_deeds_outlive_the_daemon() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().await;
    let log = world.log();
    write(&log, 1, 1).await;
    world.vault.seal().await;
    for action in ["DisablePlugin", "RemoveSlot"] {
        log.record(operators(action), Survives::Machine)
            .await
            .unwrap();
    }
    drop(log);
    let mode = std::fs::metadata(aside(&world))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut torn = std::fs::read(aside(&world)).unwrap();
    torn.extend_from_slice(b"\n{\"seq\":0,\"time_ms\":1,\"act");
    std::fs::write(aside(&world), torn).unwrap();
    let log = world.log();
    log.record(operators("ReloadPolicy"), Survives::Machine)
        .await
        .unwrap();
    unseal(&world).await;
    log.start().await.unwrap();
    for log in [log.clone(), world.log()] {
        log.start().await.unwrap();
        let page = log.list(all()).await.unwrap();
        let actions: Vec<_> = page
            .records
            .iter()
            .rev()
            .map(|record| {
                let action = record.deed.action.rsplit('/').next().unwrap();
                action.to_owned()
            })
            .collect();
        let wanted = [
            "Unlink",
            "DisablePlugin",
            "RemoveSlot",
            "ReloadPolicy",
            "audit-while-sealed",
        ];
        assert_eq!(actions, wanted);
        assert_eq!(page.records[0].deed.facts["unreadable"], "1");
        intact(&log, 5).await;
    }
}

/// What the operator does while the vault is sealed is written at once or not done; only who opens the seal is not held up
/// by a full disk, and is in the log once there is space.
#[tokio::test]
async fn sealed_deeds_need_the_disk() {
    let world = World::new().await;
    let log = world.log();
    write(&log, 1, 1).await;
    world.vault.seal().await;
    world.disk.set(DiskFault::Full);
    let why = refused(
        log.record(operators("DisablePlugin"), Survives::Machine)
            .await,
    );
    assert!(why.contains("the disk is full"), "{why}");
    log.record(operators("Unseal"), Survives::Machine)
        .await
        .unwrap();
    world.disk.set(DiskFault::None);
    unseal(&world).await;
    write(&log, 2, 2).await;
    let page = log.list(all()).await.unwrap();
    assert!(page.records[1].deed.action.ends_with("/Unseal"));
    intact(&log, 3).await;
}

/// Old files go, the chain still fits, and from then on a file that is missing at its beginning is found.
#[tokio::test]
async fn old_files_go_and_the_chain_stays() {
    let mut world = World::new().await;
    (world.config.file_bytes, world.config.keep) = (700, Duration::from_secs(10 * 86_400));
    let log = world.log();
    for day in 1..=12 {
        world.clock.set(day);
        write(&log, day, day).await;
    }
    intact(&log, 12).await;
    log.close().await.unwrap();
    let before = world.files();
    assert_eq!(before.len(), 4);
    let first = std::fs::read(&before[0]).unwrap();
    world.clock.set(15);
    let log = world.log();
    log.start().await.unwrap();
    let gone = async {
        while world.files().len() > 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone)
        .await
        .unwrap();
    assert_eq!(world.files(), before[1..]);
    intact(&log, 9).await;
    // A file that should have gone and is still there is left out.
    std::fs::write(&before[0], first).unwrap();
    intact(&log, 9).await;
    std::fs::remove_file(&before[0]).unwrap();
    let oldest = std::fs::read(&before[1]).unwrap();
    std::fs::remove_file(&before[1]).unwrap();
    assert_eq!(broken(&log).await.1, "records 4 to 6 are missing");
    std::fs::write(&before[1], oldest).unwrap();
    intact(&log, 9).await;
}
