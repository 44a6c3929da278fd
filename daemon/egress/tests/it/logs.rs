//! What the log shows: THREATS L1.

use std::{
    io::{self, Write},
    process::Command,
    sync::{Arc, Mutex},
};

use bindery_core::{
    exchange::{Encoding, HttpRequest},
    port::Egress,
};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    support::{Server, get, json, secret, send},
    tls::{ca, good, named, network},
};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// L1: at the highest level of every crate, over HTTP/1.1 and HTTP/2, the log holds the host, the method and the status, and
/// no secret, path, query, header or body. Runs in a child, because a log belongs to a whole process.
#[test]
fn l1_logs_hold_no_secret() {
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    child
        .args(["--exact", "logs::l1_child"])
        .env("BINDERY_TEST_LOGS", "1");
    let output = child.output().expect("a child");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// The child of [`l1_logs_hold_no_secret`]; by itself it has nothing to do.
#[tokio::test]
async fn l1_child() {
    if std::env::var_os("BINDERY_TEST_LOGS").is_none() {
        return;
    }
    let log = Log::default();
    let writer = log.clone();
    let logging = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE);
    logging.with_writer(writer).init();
    let ca = ca();
    let (plain, tls) = (
        Server::http(|_| json(201, "BODYCANARY")).await,
        Server::tls(good(&ca), |_| json(201, "BODYCANARY")).await,
    );
    let (egress, network) = (named(), network(&tls, Some(&ca)));
    let network = bindery_core::host::HostNetwork {
        allow_plaintext: true,
        ..network
    };
    for base in [
        format!("http://forge.example:{}", plain.port()),
        format!("https://forge.example:{}", tls.port()),
    ] {
        let value = vec![secret("access_token", Encoding::Raw, "")];
        let request = HttpRequest {
            method: "PUT".to_owned(),
            headers: vec![("authorization".to_owned(), value.clone())],
            body: value,
            ..get(&format!("{base}/?QUERYCANARY"))
        };
        send(&egress, &network, &request).await.expect("an answer");
        drop(
            egress
                .probe(&base, crate::support::Entry::new(&network).reach())
                .await,
        );
    }
    let text = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    assert!(
        text.contains("exchange{") && text.contains("status=201") && text.contains("forge.example")
    );
    for canary in ["BNDRYCANARY", "BODYCANARY", "QUERYCANARY"] {
        let line = text.lines().find(|line| line.contains(canary));
        assert_eq!(line, None, "{canary}");
    }
}
