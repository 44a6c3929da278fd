//! What the twins do, and that they do it as the forges are known to.

#[path = "it/bitbucket.rs"]
mod bitbucket;
#[path = "it/bitbucket_hooks.rs"]
mod bitbucket_hooks;
#[path = "it/corpus.rs"]
mod corpus;
#[path = "it/device.rs"]
mod device;
#[path = "it/faults.rs"]
mod faults;
#[path = "it/gitea.rs"]
mod gitea;
#[path = "it/gitea_corpus.rs"]
mod gitea_corpus;
#[path = "it/gitea_hooks.rs"]
mod gitea_hooks;
#[path = "it/gitee.rs"]
mod gitee;
#[path = "it/gitlab.rs"]
mod gitlab;
#[path = "it/gitlab_hooks.rs"]
mod gitlab_hooks;
#[path = "it/hooks.rs"]
mod hooks;
#[path = "it/hooks_corpus.rs"]
mod hooks_corpus;
#[path = "it/rotation.rs"]
mod rotation;
#[path = "it/scene.rs"]
mod scene;
#[path = "it/shapes.rs"]
mod shapes;
