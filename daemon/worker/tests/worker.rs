//! What a plugin can and cannot do to a worker, with real images in the real binary
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

#[path = "worker/harness.rs"]
mod harness;

use bindery_plugin_abi::{
    ERR_ARG, ERR_OOM, OK,
    frame::{ARG_ALLOW_UNSANDBOXED, EXIT_FATAL, EXIT_USAGE, Kind, Landlock},
};
use harness::{End, Worker, good, hidden, image, image_with};

const EPERM: i32 = libc::EPERM;
const EACCES: i32 = libc::EACCES;

fn killed() -> End {
    End::Signal(libc::SIGSYS)
}

/// Asks a fresh worker for one thing and gives the step.
fn step_of(command: &str) -> String {
    let mut worker = Worker::ready(good());
    let reply = worker.call(Kind::Start, 1, command.as_bytes());
    assert_eq!(reply.status, OK);
    reply.text()
}

/// Asks a fresh worker for one thing that it does not survive.
fn end_of(command: &str) -> End {
    let mut worker = Worker::ready(good());
    worker.send(Kind::Start, 1, command.as_bytes());
    worker.end()
}

/// The text of the FATAL frame with which a worker refuses an image.
fn refusal(name: &str, defines: &[&str]) -> String {
    let mut worker = Worker::spawn(&image(name, defines));
    let fatal = worker.receive().expect("a frame");
    assert_eq!(
        (fatal.kind, worker.end()),
        (Kind::Fatal, End::Status(EXIT_FATAL))
    );
    fatal.text()
}

/// Steps go both ways under the host's handles, until their operation is dropped; the worker ends when the host does.
#[test]
fn operations_run_under_the_handles_of_the_host() {
    let mut worker = Worker::ready(good());
    for handle in [7, u64::MAX] {
        let reply = worker.call(Kind::Start, handle, b"hello");
        assert_eq!(
            (reply.kind, reply.handle, reply.status),
            (Kind::Start, handle, OK)
        );
        assert_eq!(reply.text(), "hello: 0 errno 0");
    }
    let reply = worker.call(Kind::Resume, 7, b"again");
    assert_eq!(
        (reply.kind, reply.handle, reply.status),
        (Kind::Resume, 7, OK)
    );
    assert_eq!(reply.text(), "again: 0 errno 0");
    worker.send(Kind::Drop, 7, b"");
    assert_eq!(worker.call(Kind::Resume, 7, b"gone").status, ERR_ARG);
    assert_eq!(worker.call(Kind::Resume, u64::MAX, b"").status, OK);
    worker.hang_up();
    assert_eq!(worker.end(), End::Status(0));
    assert_eq!(worker.stderr(), "dropped\n");
}

/// A handle that is unknown, or in use, is an argument error and changes nothing; dropping one is nothing at all.
#[test]
fn wrong_handles_are_argument_errors() {
    let mut worker = Worker::ready(good());
    let unknown = worker.call(Kind::Resume, 3, b"hello");
    assert_eq!(
        (unknown.kind, unknown.handle, unknown.status),
        (Kind::Resume, 3, ERR_ARG)
    );
    assert_eq!(unknown.text(), "");
    worker.send(Kind::Drop, 3, b"");
    assert_eq!(worker.call(Kind::Start, 3, b"hello").status, OK);
    assert_eq!(worker.call(Kind::Start, 3, b"hello").status, ERR_ARG);
    assert_eq!(worker.call(Kind::Resume, 3, b"hello").status, OK);
}

/// A negative status comes without bytes, and a start that failed leaves its handle free.
#[test]
fn a_failed_start_leaves_no_operation() {
    let mut worker = Worker::ready(good());
    let failed = worker.call(Kind::Start, 1, b"fail");
    assert_eq!((failed.status, failed.text().as_str()), (ERR_OOM, ""));
    assert_eq!(worker.call(Kind::Resume, 1, b"hello").status, ERR_ARG);
    let empty = worker.call(Kind::Start, 1, b"nothing");
    assert_eq!((empty.status, empty.text().as_str()), (OK, ""));
}

/// Large requests and small ones after them go through one worker.
#[test]
fn large_requests_go_through() {
    let mut worker = Worker::ready(good());
    for (handle, len) in [(1, 9 << 20), (2, 5), (3, 577_004), (4, 0)] {
        let reply = worker.call(Kind::Start, handle, &vec![b'x'; len]);
        assert_eq!(
            reply.text(),
            format!("{}: 0 errno 0", "x".repeat(len.min(63)))
        );
    }
    assert!(
        worker
            .call(Kind::Start, 5, b"allocate")
            .text()
            .starts_with("allocate: 1")
    );
}

/// READY says what confines the worker: both filters, and landlock as far as this kernel has it.
#[test]
fn p1_ready_reports_the_isolation() {
    let mut worker = Worker::spawn(good());
    let (isolation, description) = worker.receive_ready();
    assert!(isolation.seccomp);
    assert_eq!(isolation.landlock, harness::landlock_here());
    assert_eq!(description, b"c plugin");
}

/// P1: each of these ends the worker by the signal for a forbidden call, with no reply.
#[test]
fn p1_ways_out_kill_the_worker() {
    for attack in [
        "socket",
        "socketpair",
        "fork",
        "exec",
        "ptrace",
        "kill",
        "wx",
        "make exec",
        "memfd",
        "write elsewhere",
        "read elsewhere",
    ] {
        assert_eq!(end_of(attack), killed(), "{attack}");
    }
}

/// P1: what runtimes try is refused, and the plugin goes on.
#[test]
fn p1_files_threads_and_handlers_are_refused() {
    for attack in [
        "open",
        "open image",
        "dumpable",
        "thread",
        "handler",
        "print",
    ] {
        assert_eq!(step_of(attack), format!("{attack}: -1 errno {EPERM}"));
    }
}

/// P1: nothing of the daemon's environment is there.
#[test]
fn p1_the_environment_is_empty() {
    assert_eq!(step_of("environment"), "environment: 0 errno 0");
}

/// A crash shows as the signal that it is, not as a forbidden call.
#[test]
fn a_crash_keeps_its_signal() {
    assert_eq!(end_of("crash"), End::Signal(libc::SIGSEGV));
    assert_eq!(end_of("abort"), End::Signal(libc::SIGABRT));
}

/// A plugin that ends the process ends only the worker, without a reply that could be taken for one.
#[test]
fn leaving_ends_the_worker_alone() {
    assert_eq!(end_of("exit"), End::Status(0));
}

/// P7: a worker in an endless loop says nothing and can be killed; its limit in time is the host's.
#[test]
fn p7_an_endless_loop_is_killed_by_the_host() {
    let mut worker = Worker::ready(good());
    worker.send(Kind::Start, 1, b"loop");
    worker.kill();
    assert_eq!(worker.end(), End::Signal(libc::SIGKILL));
}

/// P6: a claimed length that can't be true, a null with bytes, a start without a handle and a status that does not
/// exist each end the worker with their own sentence.
#[test]
fn p6_lies_end_the_worker() {
    for (lie, sentence) in [
        (
            "lie about length",
            "start lied about a length: 1099511627776 bytes",
        ),
        (
            "lie with null",
            "start lied about a length: 24 bytes at a null pointer",
        ),
        ("no handle", "start gave no handle although it went well"),
        (
            "unknown status",
            "start returned the status 7, which does not exist",
        ),
    ] {
        let mut worker = Worker::ready(good());
        let fatal = worker.call(Kind::Start, 1, lie.as_bytes());
        assert_eq!(
            (fatal.kind, worker.end()),
            (Kind::Fatal, End::Status(EXIT_FATAL)),
            "{lie}"
        );
        assert!(
            fatal.text().starts_with(sentence),
            "{lie}: {}",
            fatal.text()
        );
    }
}

/// P6: each kind of foreign table has its own sentence, and none of its functions is called.
#[test]
fn p6_foreign_tables_are_refused() {
    let abort = "DESCRIBE=(void)out;abort()";
    for (name, define, sentence) in [
        (
            "magic",
            "MAGIC=0x4242",
            "the table does not begin with the magic number",
        ),
        (
            "major",
            "MAJOR=2",
            "the plugin was built for version 2 of the plugin boundary and this",
        ),
        (
            "short",
            "SIZE=80",
            "the table has 80 bytes where version 1 has 88",
        ),
        ("null", "RESUME=0", "the table has no function resume"),
        (
            "none",
            "NO_TABLE",
            "the image does not export bindery_plugin_v1",
        ),
    ] {
        let text = refusal(name, &[define, abort]);
        assert!(text.starts_with(sentence), "{name}: {text}");
    }
}

/// P6: a description that lies, or fails, is refused by name.
#[test]
fn p6_bad_descriptions_are_refused() {
    let text = refusal(
        "describe_lies",
        &["DESCRIBE=out->ptr=0;out->len=9;return 0"],
    );
    assert_eq!(
        text,
        "describe lied about a length: 9 bytes at a null pointer"
    );
    let text = refusal("describe_fails", &["DESCRIBE=(void)out;return -1"]);
    assert_eq!(text, "the plugin can't describe itself: status -1");
}

/// What is no library at all is refused with the loader's reason.
#[test]
fn p6_rubbish_is_refused() {
    for bytes in [&b""[..], b"#!/bin/sh\n", &[0x7f; 5000]] {
        let mut worker = Worker::spawn(bytes);
        let fatal = worker.receive().expect("a frame");
        assert_eq!(
            (fatal.kind, worker.end()),
            (Kind::Fatal, End::Status(EXIT_FATAL))
        );
        assert!(
            fatal.text().starts_with("the image can't be loaded: "),
            "{}",
            fatal.text()
        );
    }
}

/// P1: a constructor opens no socket and starts no process; the worker dies before it is ready.
#[test]
fn p1_constructors_cannot_leave() {
    for (name, attack) in [
        ("ctor_socket", "CONSTRUCTOR=socket(1,1,0)"),
        ("ctor_fork", "CONSTRUCTOR=syscall(SYS_clone,17,0,0,0,0)"),
        ("ctor_wx", "CONSTRUCTOR=(long)mmap(0,4096,7,34,-1,0)"),
    ] {
        let mut worker = Worker::spawn(&image(name, &[attack]));
        assert_eq!(worker.end(), killed(), "{name}");
    }
}

/// P1: a constructor reads no file where the kernel has landlock.
#[test]
fn p1_constructors_read_no_file() {
    let mut worker = Worker::spawn(&image(
        "ctor_open",
        &[r#"CONSTRUCTOR=open("/etc/passwd",O_RDONLY)"#],
    ));
    let (isolation, description) = worker.receive_ready();
    if isolation.landlock == Landlock::NotEnforced {
        eprintln!("not run: this kernel has no landlock");
        return;
    }
    assert_eq!(
        String::from_utf8_lossy(&description),
        format!("-1 errno {EACCES}")
    );
}

/// P1: where the kernel has no landlock, the filter alone keeps a constructor from creating a file, and READY says so.
#[test]
fn p1_constructors_write_no_file_without_landlock() {
    let target = harness::folder().join("made by a constructor");
    let attack = format!(
        "CONSTRUCTOR=open(\"{}\",O_CREAT|O_WRONLY,0600)",
        target.display()
    );
    let image = image("ctor_create", &[&attack]);
    let mut worker = Worker::spawn_with(&image, &[], hidden(&[libc::SYS_landlock_create_ruleset]));
    let (isolation, description) = worker.receive_ready();
    assert!(isolation.seccomp);
    assert_eq!(isolation.landlock, Landlock::NotEnforced);
    assert_eq!(
        String::from_utf8_lossy(&description),
        format!("-1 errno {EPERM}")
    );
    assert!(!target.exists());
}

/// A worker that can't install its filter refuses by default, before any code of the image runs, and says what to do.
#[test]
fn p1_no_filter_no_plugin() {
    let image = image("ctor_abort", &["CONSTRUCTOR=(abort(),0)"]);
    let mut worker = Worker::spawn_with(&image, &[], hidden(&[libc::SYS_seccomp]));
    let fatal = worker.receive().expect("a frame");
    assert_eq!(
        (fatal.kind, worker.end()),
        (Kind::Fatal, End::Status(EXIT_FATAL))
    );
    let text = fatal.text();
    assert!(
        text.starts_with("the system call filter can't be installed"),
        "{text}"
    );
}

/// Where the operator allows it the plugin runs without the filter, and READY does not claim one.
#[test]
fn p1_an_unsandboxed_worker_says_so() {
    let calls = hidden(&[libc::SYS_seccomp, libc::SYS_landlock_create_ruleset]);
    let mut worker = Worker::spawn_with(good(), &[ARG_ALLOW_UNSANDBOXED], calls);
    let (isolation, _) = worker.receive_ready();
    assert!(!isolation.seccomp);
    assert_eq!(isolation.landlock, Landlock::NotEnforced);
    let reply = worker.call(Kind::Start, 1, b"socket");
    assert!(reply.text().ends_with("errno 0"), "{}", reply.text());
}

/// Allowing it changes nothing where the filter can be installed.
#[test]
fn p1_permission_does_not_weaken_the_sandbox() {
    let mut worker = Worker::spawn_with(good(), &[ARG_ALLOW_UNSANDBOXED], hidden(&[]));
    assert!(worker.receive_ready().0.seccomp);
    worker.send(Kind::Start, 1, b"socket");
    assert_eq!(worker.end(), killed());
}

/// The libraries that a plugin may need are found although no file can be opened any more.
#[test]
fn allowed_libraries_are_there() {
    let image = image_with(
        "needs_libm",
        &[],
        &["-Wl,--no-as-needed", "-lm", "-lgcc_s", "-lpthread"],
    );
    Worker::ready(&image);
}

/// P6: a host that breaks the frames gets one sentence; a length is refused before its body is there.
#[test]
fn p6_broken_frames_end_the_worker() {
    let header = |len: u32, kind: u8, zero: u8| {
        let mut bytes = [0; 24];
        bytes[0..4].copy_from_slice(&len.to_le_bytes());
        (bytes[4], bytes[20]) = (kind, zero);
        bytes
    };
    for (bytes, sentence) in [
        (
            header(u32::MAX, 1, 0),
            "the host sent a frame with 4294967295 bytes",
        ),
        (
            header(0, 9, 0),
            "the host sent a frame of the unknown kind 0x9",
        ),
        (
            header(0, 1, 1),
            "the host sent a frame with 0x1 where zero must be",
        ),
        (
            header(0, 0x80, 0),
            "the host sent a frame that only a worker sends",
        ),
    ] {
        let mut worker = Worker::ready(good());
        worker.send_raw(&bytes);
        let fatal = worker.receive().expect("a frame");
        assert_eq!(
            (fatal.kind, worker.end()),
            (Kind::Fatal, End::Status(EXIT_FATAL))
        );
        assert!(fatal.text().starts_with(sentence), "{}", fatal.text());
    }
}

/// A host that goes away in the middle of a frame is a host that is gone.
#[test]
fn half_a_frame_is_the_end() {
    let mut worker = Worker::ready(good());
    worker.send_raw(&[5, 0, 0, 0, 1]);
    worker.hang_up();
    assert_eq!(worker.end(), End::Status(0));
}

/// A wrong argument is a usage error, not a weaker sandbox.
#[test]
fn p1_wrong_arguments_are_refused() {
    for args in [
        &["--allow-unsandboxed", "--require-sandbox"][..],
        &["--help"],
        &[""],
    ] {
        let mut worker = Worker::spawn_with(good(), args, hidden(&[]));
        assert_eq!(worker.end(), End::Status(EXIT_USAGE), "{args:?}");
    }
}
