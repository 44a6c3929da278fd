//! A furnished daemon, and the command.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use bindery_client::{proto::v1::OrphanHook, testing::FakeBindery};

pub(crate) struct Scene {
    pub(crate) bindery: FakeBindery,
    pub(crate) link: String,
}

/// What a run printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) out: String,
    pub(crate) words: String,
    pub(crate) exit: i32,
}

impl Scene {
    pub(crate) async fn furnished() -> Self {
        let bindery = FakeBindery::start().await.unwrap();
        bindery.add_provider("gitea", "Gitea");
        bindery.add_host("forge.example", "gitea", "https://forge.example");
        bindery.add_namespace("acme");
        let link = bindery.add_bound_link("acme", "forge.example", "octo");
        bindery.add_repository(&link, "acme/api");
        bindery.add_repository(&link, "acme/web");
        Self { bindery, link }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command.env("BINDERY_ENDPOINT", self.bindery.endpoint());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        finish(self.command(arguments), "")
    }

    /// What a command prints with `-o json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let run = self.run(&[arguments, &["-o", "json"]].concat());
        assert_eq!(run.exit, 0, "{arguments:?}: {}", run.words);
        serde_json::from_str(&run.out).unwrap()
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Run {
        finish(self.command(arguments), input)
    }
}

/// A hook of a link that belongs to no source.
pub(crate) fn orphan(link: &str) -> OrphanHook {
    OrphanHook {
        link: link.to_owned(),
        repository: "9".to_owned(),
        repository_full_name: "acme/old".to_owned(),
        hook_id: "99".to_owned(),
        delivery_uri: "https://bindery.example/hooks/0123".to_owned(),
        ..OrphanHook::default()
    }
}

/// The command without anything of this machine's environment that it reads.
pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bindery"));
    command.args(arguments);
    for name in [
        "BINDERY_ENDPOINT",
        "BINDERY_ADMIN_ENDPOINT",
        "BINDERY_LINK",
        "CLICOLOR_FORCE",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command
}

pub(crate) fn finish(mut command: Command, input: &str) -> Run {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    read(child.wait_with_output().unwrap())
}

pub(crate) fn read(output: Output) -> Run {
    Run {
        out: String::from_utf8(output.stdout).unwrap(),
        words: String::from_utf8(output.stderr).unwrap(),
        exit: output.status.code().unwrap(),
    }
}
