//! Provider plugin for GitHub
