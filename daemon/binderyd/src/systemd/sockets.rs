//! Sockets that systemd made, told apart by name.
//!
//! Their order differs from one boot to the next (measured: `http:api:mtls`, `mtls:http:api`, `http:mtls:api`), so a number says
//! nothing. Names come from `FileDescriptorName=` of the socket units.

use std::{io, net, os::fd::AsFd, os::unix};

use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener};

use crate::failure::Failure;

/// A listener of the daemon, as the socket units name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Name {
    /// gRPC over a Unix socket, public services.
    Api,
    /// gRPC over a Unix socket, for the operator.
    Admin,
    /// gRPC over mutual TLS.
    Mtls,
    /// Pages for people and webhooks.
    Http,
    /// Health and metrics.
    Ops,
}

impl Name {
    const ALL: [Self; 5] = [Self::Api, Self::Admin, Self::Mtls, Self::Http, Self::Ops];

    /// As it is written in a unit.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Admin => "admin",
            Self::Mtls => "mtls",
            Self::Http => "http",
            Self::Ops => "ops",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

/// Sockets that were passed and not taken yet.
pub(crate) struct Passed {
    sockets: ListenFd,
    names: Vec<Option<Name>>,
}

impl Passed {
    /// Takes over what was passed to this process. Call it once, before there is a second thread: it changes the environment.
    ///
    /// # Errors
    ///
    /// When a name is not known or comes twice: nobody can tell then what the socket is for.
    pub(crate) fn from_environment() -> Result<Self, Failure> {
        // Descriptors begin at 3 and are in the order of the names.
        let names: Vec<String> = sd_notify::listen_fds_with_names()
            .map_err(|error| Failure::Config(format!("the passed sockets make no sense: {error}")))?
            .map(|(_, name)| name)
            .collect();
        if names.is_empty() {
            return Ok(Self::none());
        }
        Ok(Self {
            names: known(&names)?,
            sockets: ListenFd::from_env(),
        })
    }

    /// None at all.
    pub(crate) fn none() -> Self {
        Self {
            sockets: ListenFd::empty(),
            names: Vec::new(),
        }
    }

    /// The Unix socket of this name, if there is one.
    pub(crate) fn unix(&mut self, name: Name) -> Result<Option<UnixListener>, Failure> {
        let Some(index) = self.take(name) else {
            return Ok(None);
        };
        let socket = self.sockets.take_unix_listener(index);
        let socket: unix::net::UnixListener = usable(name, "a listening Unix socket", socket)?;
        socket.set_nonblocking(true)?;
        Ok(Some(UnixListener::from_std(socket)?))
    }

    /// The TCP socket of this name, if there is one.
    pub(crate) fn tcp(&mut self, name: Name) -> Result<Option<TcpListener>, Failure> {
        let Some(index) = self.take(name) else {
            return Ok(None);
        };
        let socket = self.sockets.take_tcp_listener(index);
        let socket: net::TcpListener = usable(name, "a listening TCP socket", socket)?;
        socket.set_nonblocking(true)?;
        Ok(Some(TcpListener::from_std(socket)?))
    }

    /// Refuses a socket that nobody took: its clients would wait for ever.
    pub(crate) fn nothing_left(&self) -> Result<(), Failure> {
        let Some(name) = self.names.iter().flatten().next() else {
            return Ok(());
        };
        Err(Failure::Config(format!(
            "systemd passed the socket {0:?}, which the configuration does not use; configure it, or disable binderyd-{0}.socket",
            name.as_str()
        )))
    }

    fn take(&mut self, name: Name) -> Option<usize> {
        let index = self.names.iter().position(|have| *have == Some(name))?;
        self.names.get_mut(index)?.take();
        Some(index)
    }
}

/// Names as listeners; each is known, and there once.
fn known(names: &[String]) -> Result<Vec<Option<Name>>, Failure> {
    let mut known: Vec<Option<Name>> = Vec::with_capacity(names.len());
    for text in names {
        let name = Name::parse(text).filter(|name| !known.contains(&Some(*name)));
        let name = name.ok_or_else(|| {
            Failure::Config(format!(
                "systemd passed a socket named {text:?}; set FileDescriptorName= to api, admin, mtls, http or ops, each once"
            ))
        })?;
        known.push(Some(name));
    }
    Ok(known)
}

/// A socket of the right kind that listens.
fn usable<S: AsFd>(name: Name, kind: &str, socket: io::Result<Option<S>>) -> Result<S, Failure> {
    let listens = |socket: &S| rustix::net::sockopt::socket_acceptconn(socket).unwrap_or(false);
    match socket {
        Ok(Some(socket)) if listens(&socket) => Ok(socket),
        _ => Err(Failure::Config(format!(
            "the passed socket {0:?} is not {kind}; compare binderyd-{0}.socket with the one that is shipped",
            name.as_str()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names decide, in whatever order they come; one that is unknown or comes twice is refused.
    #[test]
    fn names_decide_and_not_the_order() {
        let names = |all: &[&str]| {
            let all: Vec<String> = all.iter().map(|name| (*name).to_owned()).collect();
            known(&all)
        };
        let shuffled = names(&["ops", "mtls", "api"]).expect("known");
        assert_eq!(
            shuffled,
            [Some(Name::Ops), Some(Name::Mtls), Some(Name::Api)]
        );
        for wrong in [
            &["api", "unknown"][..],
            &["http", "http"],
            &["binderyd-api.socket"],
            &[""],
        ] {
            assert!(names(wrong).is_err(), "{wrong:?}");
        }
    }
}
