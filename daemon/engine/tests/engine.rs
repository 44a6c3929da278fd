//! The use cases as contracts, over a real vault, under a virtual clock.
//!
//! The forge is scripted at the egress port and the plugin at the provider port, so that every answer, and its absence,
//! can be chosen; both are tested against real ones elsewhere.

#[path = "engine/anew.rs"]
mod anew;
#[path = "engine/app_hooks.rs"]
mod app_hooks;
#[path = "engine/apps.rs"]
mod apps;
#[path = "engine/checks.rs"]
mod checks;
#[path = "engine/choosing.rs"]
mod choosing;
#[path = "engine/crowds.rs"]
mod crowds;
#[path = "engine/deeds.rs"]
mod deeds;
#[path = "engine/deletion.rs"]
mod deletion;
#[path = "engine/deliveries.rs"]
mod deliveries;
#[path = "engine/device.rs"]
mod device;
#[path = "engine/events.rs"]
mod events;
#[path = "engine/growth.rs"]
mod growth;
#[path = "engine/headless.rs"]
mod headless;
#[path = "engine/hints.rs"]
mod hints;
#[path = "engine/histories.rs"]
mod histories;
#[path = "engine/hooks.rs"]
mod hooks;
#[path = "engine/hosts.rs"]
mod hosts;
#[path = "engine/installations.rs"]
mod installations;
#[path = "engine/intake.rs"]
mod intake;
#[path = "engine/leases.rs"]
mod leases;
#[path = "engine/linking.rs"]
mod linking;
#[path = "engine/model_flows.rs"]
mod model_flows;
#[path = "engine/model_refresh.rs"]
mod model_refresh;
#[path = "engine/names.rs"]
mod names;
#[path = "engine/proof.rs"]
mod proof;
#[path = "engine/races.rs"]
mod races;
#[path = "engine/reconcile.rs"]
mod reconcile;
#[path = "engine/refresh.rs"]
mod refresh;
#[path = "engine/replaced.rs"]
mod replaced;
#[path = "engine/restored.rs"]
mod restored;
#[path = "engine/rotation.rs"]
mod rotation;
#[path = "engine/sources.rs"]
mod sources;
#[path = "engine/subscriptions.rs"]
mod subscriptions;
#[path = "engine/support.rs"]
mod support;
#[path = "engine/triggers.rs"]
mod triggers;
#[path = "engine/unlink.rs"]
mod unlink;
#[path = "engine/upkeep.rs"]
mod upkeep;
