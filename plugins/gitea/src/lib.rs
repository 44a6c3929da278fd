//! Provider plugin for Gitea and Forgejo
