//! Callers: channels over both kinds of sockets, and calls by name with raw bytes.

use std::{path::PathBuf, sync::Arc};

use bytes::{Buf, BufMut};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{
        Certificate, Channel, ClientTlsConfig, Endpoint, Error, Identity as TonicIdentity,
    },
};
use tonic_types::StatusExt;

use crate::certs::{self, Identity};

/// A caller on this machine.
pub(crate) fn unix(path: PathBuf) -> Channel {
    let path = Arc::new(path);
    let connector = tower::service_fn(move |_| {
        let path = Arc::clone(&path);
        async move { UnixStream::connect(&*path).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
}

/// A caller with a certificate, or with none.
pub(crate) async fn tls(port: u16, identity: Option<&Identity>) -> Result<Channel, Error> {
    let mut config = ClientTlsConfig::new()
        .domain_name("bindery.test")
        .ca_certificate(Certificate::from_pem(certs::authority().pem()));
    if let Some(identity) = identity {
        config = config.identity(TonicIdentity::from_pem(
            &identity.certificate,
            &identity.key,
        ));
    }
    let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}"))?;
    endpoint.tls_config(config)?.connect().await
}

/// Calls any method with an encoded message; the first message of the answer.
pub(crate) async fn raw(
    channel: &Channel,
    method: &str,
    message: Vec<u8>,
) -> Result<Vec<u8>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = method.parse().expect("path");
    let mut answer = grpc
        .server_streaming(Request::new(message), path, Bytes)
        .await?
        .into_inner();
    Ok(answer.message().await?.unwrap_or_default())
}

/// As [`raw`], for a call that answers with one message: reads the answer to its end, as a client in use does. Whoever leaves a
/// stream before its end makes its own HTTP/2 library count what still comes as errors, and end the connection after many.
pub(crate) async fn unary(
    channel: &Channel,
    method: &str,
    message: Vec<u8>,
) -> Result<Vec<u8>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = method.parse().expect("path");
    let answer = grpc.unary(Request::new(message), path, Bytes).await?;
    Ok(answer.into_inner())
}

/// The stable reason of an error; its code where it has none.
pub(crate) fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().map(|info| info.reason.clone());
    info.unwrap_or_else(|| format!("{:?}", status.code()))
}

/// Bytes as they are.
#[derive(Clone, Copy)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}
