//! The kit on real plugins, on mistaken ones, and the plugin host against the hostile one

mod artifacts;
mod hostile;
mod packages;
mod plugins;
mod trial;
