//! The binaries and plugins under test, built once for all tests of a process.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, ensure};

/// Where the built files are.
#[derive(Debug)]
pub struct Artifacts {
    folder: PathBuf,
}

/// A plugin as it is installed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plugin {
    /// `plugins/bitbucket`.
    Bitbucket,
    /// `plugins/gitea`.
    Gitea,
    /// `plugins/gitee`.
    Gitee,
    /// `plugins/github`.
    GitHub,
    /// `plugins/gitlab`.
    GitLab,
    /// `tests/hostile`.
    Hostile,
}

impl Plugin {
    /// Name of the provider.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bitbucket => "bitbucket",
            Self::Gitea => "gitea",
            Self::Gitee => "gitee",
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Hostile => "hostile",
        }
    }

    fn source(self) -> PathBuf {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        match self {
            Self::Bitbucket => root.join("plugins/bitbucket"),
            Self::Gitea => root.join("plugins/gitea"),
            Self::Gitee => root.join("plugins/gitee"),
            Self::GitHub => root.join("plugins/github"),
            Self::GitLab => root.join("plugins/gitlab"),
            Self::Hostile => root.join("tests/hostile"),
        }
    }
}

/// Builds the workspace in the profile of this process, once, and says where the files are.
///
/// `cargo test` builds neither the binaries of other packages nor any plugin, so this does it.
///
/// # Panics
///
/// When the build fails: no test can go on.
pub fn artifacts() -> &'static Artifacts {
    static BUILT: OnceLock<Artifacts> = OnceLock::new();
    BUILT.get_or_init(|| build().expect("the workspace builds"))
}

fn build() -> Result<Artifacts> {
    let own = std::env::current_exe()?;
    let folder = own
        .ancestors()
        .find(|path| path.join("deps").is_dir())
        .context("the test does not run from a cargo target folder")?
        .to_owned();
    let mut command = cargo();
    command.args(["build", "--workspace", "--locked", "--quiet"]);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    ensure!(command.status()?.success(), "cargo build failed");
    Ok(Artifacts { folder })
}

fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    // Cargo tells a test of its own package. Build scripts that ask for such variables, ring's for one, would run again for
    // the build that the test starts, and once more for the next test: all that stands on them would be built anew each time.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

impl Artifacts {
    /// The folder of all of them.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `binderyd`.
    #[must_use]
    pub fn daemon(&self) -> PathBuf {
        self.folder.join("binderyd")
    }

    /// Builds a control of the tests: `binderyd`, composed to misbehave on purpose, by its feature.
    ///
    /// # Errors
    ///
    /// When it does not build.
    pub fn control(&self, feature: &str, binary: &str) -> Result<PathBuf> {
        let mut build = cargo();
        build.args([
            "build",
            "--package",
            "bindery-daemon",
            "--locked",
            "--quiet",
        ]);
        build.args(["--features", feature, "--bin", binary]);
        if self.folder.ends_with("release") {
            build.arg("--release");
        }
        ensure!(build.status()?.success(), "{binary} does not build");
        Ok(self.folder.join(binary))
    }

    /// `bindery`.
    #[must_use]
    pub fn cli(&self) -> PathBuf {
        self.folder.join("bindery")
    }

    /// `bindery-plugin-worker`.
    #[must_use]
    pub fn worker(&self) -> PathBuf {
        self.folder.join("bindery-plugin-worker")
    }

    /// The library of a plugin.
    #[must_use]
    pub fn library(&self, plugin: Plugin) -> PathBuf {
        self.folder
            .join(format!("libbindery_plugin_{}.so", plugin.name()))
    }

    /// Installs a plugin below `root` as a package would: library, and manifest with its hash. Returns its version.
    ///
    /// # Errors
    ///
    /// When a file can't be read or written.
    pub fn install(&self, plugin: Plugin, root: &Path) -> Result<String> {
        let manifest = std::fs::read_to_string(plugin.source().join("manifest.toml"))?;
        let version = version(&manifest)?;
        let folder = root.join(plugin.name()).join(&version);
        std::fs::create_dir_all(&folder)?;
        let library = std::fs::read(self.library(plugin))?;
        std::fs::write(folder.join("plugin.so"), &library)?;
        let complete = format!(
            "{manifest}\n[[artifacts]]\ntarget = \"{}-unknown-linux-gnu\"\nfile = \"plugin.so\"\nsize = {}\nsha256 = \"{}\"\n",
            std::env::consts::ARCH,
            library.len(),
            sha256(&library),
        );
        std::fs::write(folder.join("manifest.toml"), complete)?;
        Ok(version)
    }
}

impl Artifacts {
    /// Installs a plugin as its publisher ships it: packaged and signed by the kit with a new key, whose public half is put
    /// into `keys`. Returns its version.
    ///
    /// # Errors
    ///
    /// When the kit fails.
    pub fn install_signed(
        &self,
        plugin: Plugin,
        root: &Path,
        key: &Path,
        keys: &Path,
    ) -> Result<String> {
        let kit = self.folder.join("bindery-plugin-test");
        let manifest = plugin.source().join("manifest.toml");
        let mut keygen = Command::new(&kit);
        keygen
            .arg("keygen")
            .args(["--name", "tests", "--may-sign", plugin.name()])
            .arg(key);
        ensure!(keygen.output()?.status.success(), "no key was made");
        std::fs::create_dir_all(keys)?;
        let public = format!("{}.pub", key.display());
        std::fs::copy(public, keys.join(format!("{}.pub", plugin.name())))?;
        let mut package = Command::new(&kit);
        package
            .arg("package")
            .arg("--manifest")
            .arg(&manifest)
            .arg("--out")
            .arg(root);
        package.arg("--sign-key").arg(key).arg(self.library(plugin));
        let output = package.output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        version(&std::fs::read_to_string(manifest)?)
    }
}

fn version(manifest: &str) -> Result<String> {
    let parsed: toml::Table = manifest.parse()?;
    let version = parsed.get("version").and_then(toml::Value::as_str);
    Ok(version.context("the manifest names no version")?.to_owned())
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}
