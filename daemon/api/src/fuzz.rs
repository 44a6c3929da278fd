//! A target of the fuzzer: it takes any bytes, and panics when a property does not hold.

use tokio::{io::AsyncWriteExt, runtime::Builder};

use crate::server::serve_echo;

/// Longest input, so that one run stays short.
const LONGEST: usize = 32 << 10;

/// Whatever comes over a connection after the preface of HTTP/2, the connection ends and nothing panics (THREATS D2, D3).
pub fn grpc_frames(data: &[u8]) {
    let data = &data[..data.len().min(LONGEST)];
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let (mut caller, served) = tokio::io::duplex(LONGEST + 64);
        caller
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .expect("room");
        caller.write_all(data).await.expect("room");
        caller.shutdown().await.expect("open");
        let reads =
            tokio::spawn(async move { tokio::io::copy(&mut caller, &mut tokio::io::sink()).await });
        serve_echo(served).await;
        // How the connection ended is of no interest; that it did is.
        let _ = reads.await.expect("no panic");
    });
}

#[cfg(test)]
mod tests {
    use bindery_replay::replay;

    /// D2: no bytes of a caller take the server down or keep it.
    #[test]
    fn d2_any_bytes_end_in_an_ended_connection() {
        replay("grpc_frames", super::grpc_frames);
    }
}
