//! What a daemon finds when it starts: its plugins, and its configuration.

use anyhow::{Result, bail};

use super::{Daemon, Options};
use crate::artifacts::{Plugin, artifacts};

impl Daemon {
    pub(super) fn install(&self, plugin: Plugin) -> Result<String> {
        let root = self.path("plugins");
        if !self.production {
            return artifacts().install(plugin, &root);
        }
        let (key, keys) = (
            self.path(format!("{}.pk8", plugin.name())),
            self.path("keys"),
        );
        artifacts().install_signed(plugin, &root, &key, &keys)
    }

    pub(super) fn configure(&self, options: &Options, plugins: &[(Plugin, String)]) -> Result<()> {
        let enabled: Vec<String> = plugins
            .iter()
            .map(|(plugin, version)| format!("\"{}@{version}\"", plugin.name()))
            .collect();
        let mut text = format!(
            "data_dir = \"{data}\"\n[api]\nsocket = \"{socket}\"\nadmin_socket = \"{admin}\"\n",
            data = self.path("data").display(),
            socket = self.socket().display(),
            admin = self.admin_socket().display(),
        );
        text += &options.api;
        if let Some(tls) = &options.tls {
            text += &format!(
                "[api.tls]\nlisten = \"127.0.0.1:{}\"\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n",
                self.tls_port,
                tls.certificate.display(),
                tls.key.display(),
                tls.client_ca.display(),
            );
        }
        text += &format!(
            "[web]\nlisten = \"127.0.0.1:{web}\"\npublic_url = \"http://127.0.0.1:{web}\"\n\
             [ops]\nlisten = \"127.0.0.1:{ops}\"\n[store]\nballast_mib = 1\nfloor_mib = 1\n\
             [plugins]\nroots = [\"{roots}\"]\nenabled = [{enabled}]\nkeys_dir = \"{keys}\"\nworker = \"{worker}\"\n\
             [log]\nlevel = \"{log}\"\nformat = \"json\"\n",
            web = self.web_port,
            ops = self.ops_port,
            roots = self.path("plugins").display(),
            enabled = enabled.join(", "),
            keys = self.path("keys").display(),
            worker = options
                .worker
                .clone()
                .unwrap_or_else(|| artifacts().worker())
                .display(),
            log = options.log,
        );
        if let Some(policy) = &options.policy {
            std::fs::write(self.path("policy.toml"), policy)?;
            text += &format!(
                "[policy]\nfile = \"{}\"\n",
                self.path("policy.toml").display()
            );
        }
        if options.production {
            text += &format!(
                "[seal]\nkey_file = \"{}\"\n",
                self.path("root.key").display()
            );
        }
        text += &format!(
            "[dangerous]\nrun_as_root = true\nunsigned_plugins = {}\n",
            !options.production
        );
        text += &options.extra;
        Ok(std::fs::write(self.config(), text)?)
    }

    pub(super) fn pin(&self, plugin: Plugin, version: &str) -> Result<()> {
        let output = self.binderyd(&[
            "plugin",
            "pin",
            &format!("{}@{version}", plugin.name()),
            "--yes",
        ])?;
        if !output.status.success() {
            bail!(
                "pinning failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }
}
