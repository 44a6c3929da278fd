//! From the arguments to an exit code.

use std::process::ExitCode;

use clap::Parser;

use crate::{
    args::{Args, Command, Mode, Plugin},
    config::Config,
    failure::Failure,
    log, plugins, process, restore, run,
    systemd::sockets::Passed,
    vault,
};

/// Stack of each thread. What asks a provider goes deep, and an overflow ends the daemon; what is never touched takes no memory.
const STACK: usize = 4 << 20;

/// What `main` does.
pub(crate) fn main() -> ExitCode {
    match process::close().and_then(|()| start(Args::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("binderyd: {failure}\nreason: {}", failure.reason());
            failure.exit_code()
        }
    }
}

fn start(args: Args) -> Result<(), Failure> {
    let passed = Passed::from_environment()?;
    bindery_egress::tls::install();
    let config =
        Config::load(&args.config).map_err(|errors| Failure::Config(errors.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK)
        .enable_all()
        .build()?;
    match args.command.unwrap_or(Command::Run(Mode::default())) {
        Command::Run(mode) => {
            log::install(&config)?;
            runtime.block_on(run::run(&config, mode.development, passed))
        }
        Command::Init(slots) => runtime.block_on(vault::init(&config, &slots)),
        Command::CheckConfig => {
            println!("{} is in order", args.config.display());
            Ok(())
        }
        Command::Restore(asked) => runtime.block_on(restore::restore(&config, &asked)),
        Command::Slots => runtime.block_on(vault::list(&config)),
        Command::Recover { key_file } => runtime.block_on(vault::recover(&config, &key_file)),
        Command::Plugin(Plugin::Pin {
            plugin,
            yes,
            allow_downgrade,
        }) => plugins::pin(&config, &plugin, yes, allow_downgrade),
    }
}
