//! The stand-in does what GitHub documents, and looks like what GitHub really answered

#[path = "github_standin/apps.rs"]
mod apps;
#[path = "github_standin/corpus.rs"]
mod corpus;
#[path = "github_standin/deliveries.rs"]
mod deliveries;
#[path = "github_standin/device.rs"]
mod device;
#[path = "github_standin/faults.rs"]
mod faults;
#[path = "github_standin/forge.rs"]
mod forge;
#[path = "github_standin/hooks.rs"]
mod hooks;
#[path = "github_standin/oauth.rs"]
mod oauth;
#[path = "github_standin/scene.rs"]
mod scene;
