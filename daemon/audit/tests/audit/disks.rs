//! Full, dead and failing disks: nobody is told that a record is written when it is not, and nobody hangs.

use std::time::Duration;

use bindery_audit::{AuditConfig, AuditLog, DiskFault as Fault};
use bindery_core::audit::{Audit, Survives};

use crate::support::{World, deed, intact, numbers, refused, write};

/// A full disk: records are refused with the reason, and once there is space the log goes on where it was.
#[tokio::test]
async fn full_disks_refuse() {
    for fault in [Fault::Full, Fault::FullAndStuck] {
        let world = World::new().await;
        let log = world.log();
        write(&log, 1, 3).await;
        world.disk.set(fault);
        let why = refused(log.record(deed(4), Survives::Daemon).await);
        assert!(why.contains("the disk is full"), "{why}");
        refused(log.record(deed(5), Survives::Daemon).await);
        if fault == Fault::FullAndStuck {
            assert!(!world.text().ends_with('\n'), "half a record is left over");
        }
        world.disk.set(Fault::None);
        write(&log, 4, 4).await;
        assert_eq!(numbers(&log).await, [4, 3, 2, 1]);
        intact(&log, 4).await;
        drop(log);
        intact(&world.log(), 4).await;
    }
}

/// Whoever asks first on a full disk is told, whether or not somebody has met it before, nothing is left in the log by it,
/// and once there is space the log is ready again without a record of anybody's.
#[tokio::test]
async fn full_disks_are_not_ready() {
    for (fault, trust) in [
        (Fault::Full, Duration::ZERO),
        (Fault::FullAndStuck, Duration::ZERO),
        // As long as the disk is believed, a record that is refused tells.
        (Fault::Full, Duration::from_secs(3600)),
    ] {
        let mut world = World::new().await;
        world.config.trust = trust;
        let log = world.log();
        write(&log, 1, 2).await;
        assert!(log.ready().await.is_ok());
        world.disk.set(fault);
        if trust > Duration::ZERO {
            refused(log.record(deed(9), Survives::Daemon).await);
        }
        for _ in 0..2 {
            let why = refused(log.ready().await);
            assert!(why.contains("the disk is full"), "{why}");
        }
        world.disk.set(Fault::None);
        assert!(log.ready().await.is_ok());
        write(&log, 3, 3).await;
        assert_eq!(numbers(&log).await, [3, 2, 1]);
        intact(&log, 3).await;
        drop(log);
        intact(&world.log(), 3).await;
    }
}

/// A disk that does not answer: the caller is refused after the deadline, later ones are known to be in vain before they
/// begin, and what was refused is not in the log afterwards.
#[tokio::test]
async fn stalled_disks_refuse() {
    let mut world = World::new().await;
    world.config.deadline = Duration::from_millis(50);
    let log = world.log();
    write(&log, 1, 1).await;
    world.disk.set(Fault::Stalled);
    // The first one is with the disk already, so nobody can say whether it will be there.
    let first = refused(log.record(deed(2), Survives::Daemon).await);
    assert!(first.contains("does not answer"), "{first}");
    assert!(refused(log.ready().await).contains("does not answer"));
    for number in 10..13 {
        refused(log.record(deed(number), Survives::Daemon).await);
    }
    world.disk.set(Fault::None);
    let again = async { while log.record(deed(3), Survives::Daemon).await.is_err() {} };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, again).await.unwrap();
    assert!(log.ready().await.is_ok());
    assert_eq!(numbers(&log).await, [3, 2, 1]);
    intact(&log, 3).await;
}

/// After a failed fsync nobody knows what the disk holds: nothing is promised any more, until a restart.
#[tokio::test]
async fn failed_syncs_refuse_everything() {
    let world = World::new().await;
    let log = world.log();
    log.record(deed(1), Survives::Machine).await.unwrap();
    world.disk.set(Fault::NoSync);
    let why = refused(log.record(deed(2), Survives::Machine).await);
    assert!(why.contains("the disk failed"), "{why}");
    world.disk.set(Fault::None);
    refused(log.record(deed(3), Survives::Daemon).await);
    refused(log.ready().await);
    let log = world.log();
    write(&log, 3, 3).await;
    intact(&log, 3).await;
}

/// Records that nobody waits for come to the disk together; as soon as somebody waits, all of them do.
#[tokio::test]
async fn records_share_a_sync() {
    let mut world = World::new().await;
    (world.config.sync_within, world.config.deadline) =
        (Duration::from_secs(3600), Duration::from_secs(60));
    let log = world.log();
    write(&log, 1, 20).await;
    log.record(deed(21), Survives::Machine).await.unwrap();
    assert_eq!(world.disk.syncs(), 1);
    write(&log, 22, 22).await;
    log.record(deed(23), Survives::Machine).await.unwrap();
    assert_eq!(world.disk.syncs(), 2);
}

/// They come there although nobody waits.
#[tokio::test]
async fn records_come_to_the_disk_by_themselves() {
    let mut world = World::new().await;
    world.config.sync_within = Duration::from_millis(1);
    let log = world.log();
    write(&log, 1, 1).await;
    let synced = async {
        while world.disk.syncs() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), synced)
        .await
        .unwrap();
}

/// A folder that can't be written to is a reason, not a panic.
#[tokio::test]
async fn folders_that_can_not_be() {
    let world = World::new().await;
    let mut config = AuditConfig::new(world.key().join("under-a-file"));
    config.deadline = Duration::from_secs(30);
    let log = AuditLog::new(config, world.vault.clone(), world.clock.clone());
    refused(log.start().await);
    refused(log.record(deed(1), Survives::Daemon).await);
}

/// The same on a real file system without space, where one can be mounted.
#[tokio::test]
async fn real_full_disks_refuse() {
    let world = World::new().await;
    let place = world.folder.path().join("small");
    std::fs::create_dir(&place).unwrap();
    let mount = |program: &str, arguments: &[&str]| {
        let path = place.to_str().unwrap();
        let mut command = std::process::Command::new(program);
        let command = command.args(arguments).arg(path);
        command.output().is_ok_and(|output| output.status.success())
    };
    if !mount("mount", &["-t", "tmpfs", "-o", "size=64k", "none"]) {
        eprintln!("not run: no file system can be mounted here");
        return;
    }
    let config = AuditConfig::new(place.join("audit"));
    let log = AuditLog::new(config, world.vault.clone(), world.clock.clone());
    let mut count = 0;
    let why = loop {
        match log.record(deed(count + 1), Survives::Daemon).await {
            Ok(()) => count += 1,
            refusal => break refused(refusal),
        }
    };
    assert!(why.contains("the disk is full"), "{why}");
    assert!(count > 100, "{count}");
    intact(&log, count).await;
    drop(log);
    assert!(mount("umount", &["-l"]));
}
