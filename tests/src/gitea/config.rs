//! The `app.ini` of a Gitea that nobody but one test uses

use std::fmt::Write as _;
use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use ring::rand::SecureRandom;
use url::Url;

use super::{Options, in_dir, static_root};

pub(super) const ROOT_FILE: &str = "root.pem";

pub(super) fn base_url(options: &Options, port: u16) -> anyhow::Result<Url> {
    let scheme = if options.tls.is_some() {
        "https"
    } else {
        "http"
    };
    Ok(Url::parse(&format!("{scheme}://{}:{port}/", options.host))?)
}

pub(super) fn write(dir: &Path, base: &Url, options: &Options) -> anyhow::Result<()> {
    if let Some(tls) = &options.tls {
        std::fs::write(dir.join("cert.pem"), &tls.cert_pem)?;
        std::fs::write(dir.join("key.pem"), &tls.key_pem)?;
        std::fs::write(dir.join(ROOT_FILE), &tls.root_pem)?;
    }
    std::fs::write(dir.join("app.ini"), app_ini(dir, base, options)?)?;
    Ok(())
}

fn app_ini(dir: &Path, base: &Url, options: &Options) -> anyhow::Result<String> {
    let mut ini = general();
    ini += &server(dir, base, options)?;
    ini += &storage(dir);
    ini += &secrets()?;
    write!(
        ini,
        "ACCESS_TOKEN_EXPIRATION_TIME = {}\nINVALIDATE_REFRESH_TOKENS = {}\n",
        options.access_token_seconds, options.rotate_refresh_tokens
    )?;
    Ok(ini)
}

/// What a test doesn't want: mail, timers, other sites, and passwords that take long to check
fn general() -> String {
    "\
APP_NAME = Test forge
RUN_MODE = prod
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true

[service]
DISABLE_REGISTRATION = true
REQUIRE_SIGNIN_VIEW = false

[webhook]
ALLOWED_HOST_LIST = loopback
SKIP_TLS_VERIFY = true

[mailer]
ENABLED = false

[cron]
ENABLED = false

[cron.update_checker]
ENABLED = false

[actions]
ENABLED = false

[packages]
ENABLED = false

[indexer]
ISSUE_INDEXER_TYPE = db

[picture]
DISABLE_GRAVATAR = true
"
    .to_owned()
}

fn server(dir: &Path, base: &Url, options: &Options) -> anyhow::Result<String> {
    let port = base.port_or_known_default().unwrap_or_default();
    let mut ini = format!(
        "
[server]
PROTOCOL = {}
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
DOMAIN = {}
ROOT_URL = {base}
STATIC_ROOT_PATH = {}
OFFLINE_MODE = true
DISABLE_SSH = true
LFS_START_SERVER = false
",
        base.scheme(),
        options.host,
        static_root()?.display()
    );
    if options.tls.is_some() {
        let (cert, key) = (in_dir(dir, "cert.pem"), in_dir(dir, "key.pem"));
        write!(ini, "CERT_FILE = {cert}\nKEY_FILE = {key}\n")?;
    }
    Ok(ini)
}

fn storage(dir: &Path) -> String {
    format!(
        "
[database]
DB_TYPE = sqlite3
PATH = {}
SQLITE_TIMEOUT = 20000

[repository]
ROOT = {}

[log]
MODE = file
LEVEL = Info
ROOT_PATH = {}
logger.access.MODE = access-file
ACCESS_LOG_TEMPLATE = {{{{.Ctx.Req.Method}}}} {{{{.Ctx.Req.URL.Path}}}} {{{{.ResponseWriter.Status}}}}

[log.access-file]
MODE = file
FILE_NAME = access.log
",
        in_dir(dir, "data/gitea.db"),
        in_dir(dir, "data/repositories"),
        in_dir(dir, "log")
    )
}

/// Ends in the `oauth2` section, which the caller goes on with
fn secrets() -> anyhow::Result<String> {
    let (internal, key, jwt) = (random()?, random()?, random()?);
    Ok(format!(
        "
[security]
INSTALL_LOCK = true
INTERNAL_TOKEN = {internal}
SECRET_KEY = {key}
PASSWORD_HASH_ALGO = pbkdf2$1000$32
MIN_PASSWORD_LENGTH = 8

[oauth2]
ENABLED = true
JWT_SECRET = {jwt}
JWT_SIGNING_ALGORITHM = ES256
"
    ))
}

pub(super) fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    let filled = ring::rand::SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| anyhow::anyhow!("the system has no randomness"))?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}
