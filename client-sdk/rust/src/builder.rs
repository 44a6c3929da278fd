//! Making a client.

use std::{env, fmt, path::PathBuf, sync::Arc, time::Duration};

use tonic::metadata::MetadataMap;

use crate::{
    Client, Endpoint, Error, RetryPolicy,
    client::Settings,
    dial::{TlsFiles, dial, dial_lazy},
};

/// Called with the headers of every request, for trace propagation.
pub(crate) type Hook = Arc<dyn Fn(&mut MetadataMap) + Send + Sync>;

/// Makes a [`Client`].
///
/// ```no_run
/// # async fn example() -> Result<(), bindery_client::Error> {
/// let client = bindery_client::Client::builder()
///     .endpoint("https://bindery.example.org:7443")
///     .ca_file("/etc/registry/bindery-ca.pem")
///     .identity_files("/etc/registry/cert.pem", "/etc/registry/key.pem")
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ClientBuilder {
    endpoint: String,
    tls: TlsFiles,
    deadline: Duration,
    forge_deadline: Duration,
    retry: RetryPolicy,
    program: Option<String>,
    hook: Option<Hook>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            endpoint: Endpoint::DEFAULT.to_owned(),
            tls: TlsFiles::default(),
            deadline: Duration::from_secs(5),
            forge_deadline: Duration::from_secs(60),
            retry: RetryPolicy::default(),
            program: None,
            hook: None,
        }
    }
}

impl ClientBuilder {
    /// Takes endpoint and files from the environment; see the [crate](crate#environment).
    pub fn from_env() -> Self {
        let file = |name| {
            env::var_os(name)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        };
        let endpoint = env::var("BINDERY_ENDPOINT")
            .ok()
            .filter(|text| !text.is_empty());
        Self {
            endpoint: endpoint.unwrap_or_else(|| Endpoint::DEFAULT.to_owned()),
            tls: TlsFiles {
                ca: file("BINDERY_CA_FILE"),
                certificate: file("BINDERY_CERT_FILE"),
                key: file("BINDERY_KEY_FILE"),
            },
            ..Self::default()
        }
    }

    /// Where the daemon is; see [`Endpoint`].
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = endpoint.into();
        self
    }

    /// Certificate authorities of the daemon, PEM; required with `https`. Read when connecting.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls.ca = Some(path.into());
        self
    }

    /// Certificate chain and key of the caller, PEM; required with `https`. Read when connecting.
    pub fn identity_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.tls.certificate = Some(certificate.into());
        self.tls.key = Some(key.into());
        self
    }

    /// How long a call may take that the daemon answers by itself, retries included; 5 seconds unless set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long a call may take for which the daemon asks a forge, retries included; 60 seconds unless set.
    pub fn forge_deadline(mut self, deadline: Duration) -> Self {
        self.forge_deadline = deadline;
        self
    }

    /// How calls are sent again.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Name and version of the program, for the daemon's log, such as `registry/2.1`.
    pub fn program(mut self, program: impl Into<String>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Is called with the headers of every request, for example to add `traceparent`.
    pub fn on_request(mut self, hook: impl Fn(&mut MetadataMap) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where the endpoint or a file can't be used, [`Error::Unavailable`] where no
    /// daemon answers.
    pub async fn connect(self) -> Result<Client, Error> {
        let endpoint: Endpoint = self.endpoint.parse()?;
        let channel = dial(&endpoint, &self.tls).await?;
        Ok(Client::new(channel, self.settings(endpoint)))
    }

    /// Connects with the first call, for programs that start before the daemon. Must be called in a Tokio
    /// runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where the endpoint or a file can't be used.
    pub fn connect_lazy(self) -> Result<Client, Error> {
        let endpoint: Endpoint = self.endpoint.parse()?;
        let channel = dial_lazy(&endpoint, &self.tls)?;
        Ok(Client::new(channel, self.settings(endpoint)))
    }

    fn settings(self, endpoint: Endpoint) -> Settings {
        let own = concat!("rust/", env!("CARGO_PKG_VERSION"));
        Settings {
            endpoint,
            deadline: self.deadline,
            forge_deadline: self.forge_deadline,
            retry: self.retry,
            program: self
                .program
                .map_or_else(|| own.to_owned(), |name| format!("{own} {name}")),
            hook: self.hook,
        }
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientBuilder")
            .field("endpoint", &self.endpoint)
            .field("tls", &self.tls)
            .field("deadline", &self.deadline)
            .field("forge_deadline", &self.forge_deadline)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
