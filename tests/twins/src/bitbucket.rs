//! Bitbucket: two forges of one name
//!
//! - [`Cloud`]: bitbucket.org, with workspaces
//! - [`DataCenter`]: a server of one's own, with projects, under a context path or none

pub mod cloud;
pub mod data_center;

pub use cloud::Cloud;
pub use data_center::DataCenter;
