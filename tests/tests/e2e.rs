//! The whole daemon, from outside: real processes, real sockets, real forges.
//!
//! Everything goes through the client SDK, the command line, or a browser, as its users would.

#[path = "e2e/app_command_line.rs"]
mod app_command_line;
#[path = "e2e/app_credentials.rs"]
mod app_credentials;
#[path = "e2e/app_ends.rs"]
mod app_ends;
#[path = "e2e/app_hooks.rs"]
mod app_hooks;
#[path = "e2e/app_links.rs"]
mod app_links;
#[path = "e2e/apps.rs"]
mod apps;
#[path = "e2e/audit_log.rs"]
mod audit_log;
#[path = "e2e/backups.rs"]
mod backups;
#[path = "e2e/bad_input.rs"]
mod bad_input;
#[path = "e2e/concurrency.rs"]
mod concurrency;
#[path = "e2e/confirmation.rs"]
mod confirmation;
#[path = "e2e/deaths.rs"]
mod deaths;
#[path = "e2e/detection.rs"]
mod detection;
#[path = "e2e/device.rs"]
mod device;
#[path = "e2e/doorkeeper.rs"]
mod doorkeeper;
#[path = "e2e/exhaustion.rs"]
mod exhaustion;
#[path = "e2e/expiring.rs"]
mod expiring;
#[path = "e2e/headless.rs"]
mod headless;
#[path = "e2e/hooks.rs"]
mod hooks;
#[path = "e2e/hostile.rs"]
mod hostile;
#[path = "e2e/intake.rs"]
mod intake;
#[path = "e2e/keys.rs"]
mod keys;
#[path = "e2e/kills.rs"]
mod kills;
#[path = "e2e/many_hosts.rs"]
mod many_hosts;
#[path = "e2e/memory.rs"]
mod memory;
#[path = "e2e/mtls.rs"]
mod mtls;
#[path = "e2e/oidc.rs"]
mod oidc;
#[path = "e2e/organizations.rs"]
mod organizations;
#[path = "e2e/personal_tokens.rs"]
mod personal_tokens;
#[path = "e2e/pkce.rs"]
mod pkce;
#[path = "e2e/policies.rs"]
mod policies;
#[path = "e2e/process.rs"]
mod process;
#[path = "e2e/production.rs"]
mod production;
#[path = "e2e/providers.rs"]
mod providers;
#[path = "e2e/reauthorize.rs"]
mod reauthorize;
#[path = "e2e/residue.rs"]
mod residue;
#[path = "e2e/rows.rs"]
mod rows;
#[path = "e2e/secrets.rs"]
mod secrets;
#[path = "e2e/story.rs"]
mod story;
#[path = "e2e/systemd.rs"]
mod systemd;
#[path = "e2e/table.rs"]
mod table;
#[path = "e2e/tampering.rs"]
mod tampering;
#[path = "e2e/traps.rs"]
mod traps;
#[path = "e2e/unconfirmed.rs"]
mod unconfirmed;
#[path = "e2e/walls.rs"]
mod walls;
#[path = "e2e/world.rs"]
mod world;
