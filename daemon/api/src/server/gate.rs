//! What happens around every call: limits, caller, deadline, span, metrics, request id.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bindery_core::audit::Deed;
use bindery_proto::v1::ErrorReason;
use data_encoding::BASE32_NOPAD;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use ring::rand::{SecureRandom, SystemRandom};
use tonic::{Code, Status, body::Body};
use tower::ServiceExt;
use tracing::Instrument;

use super::{
    Shared,
    answers::{self, Busy, OneCall},
    body::{self, Place, Terms, Timed},
};
use crate::{
    Surface,
    access::served,
    audit::{Weight, weight},
    call::{Kept, Path, RequestId},
    limits::Taken,
    peer::{Caller, Peer},
    standing::Standing,
    status::{Failure, code, code_text},
};

/// Header that carries the id of a request, in and out.
const REQUEST_ID: &str = "x-request-id";

/// The caller of one connection, at the gate of the services.
#[derive(Clone)]
pub(super) struct Gate {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    /// The certificate; `None` for a process of this machine.
    standing: Option<Arc<Standing>>,
    /// Calls that are under way, and when the last one ended.
    busy: Arc<Busy>,
}

impl Gate {
    pub(super) fn new(shared: Arc<Shared>, peer: Peer, standing: Option<Arc<Standing>>) -> Self {
        Self {
            shared,
            peer: Arc::new(peer),
            standing,
            busy: Arc::default(),
        }
    }

    /// Calls of the connection.
    pub(super) fn busy(&self) -> Arc<Busy> {
        Arc::clone(&self.busy)
    }

    /// Resolves when the caller's certificate does not open the door any more.
    pub(super) async fn lost(&self) {
        match &self.standing {
            Some(standing) => standing.lost().await,
            None => std::future::pending().await,
        }
    }

    /// Resolves when the daemon is sealed: what a connection has in its buffers may be a token that was handed out on it, and
    /// goes with the connection (THREATS L5).
    pub(super) async fn sealed(&self) {
        self.shared.api.engine().next_pause().await;
    }

    /// Answers one call.
    pub(super) async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let call = self.busy.begin();
        self.counted(request, &call)
            .await
            .map(|body| Body::new(call.until_the_end_of(body)))
    }

    async fn counted(&self, request: Request<Incoming>, call: &OneCall) -> Response<Body> {
        let began = Instant::now();
        let id = request_id(request.headers());
        let (service, method) = label(request.uri().path());
        let span = tracing::info_span!("rpc", service, method, principal = self.peer.name(), request_id = %id);
        let mut response = self.answer(request, &id, call).instrument(span).await;
        let code = code_of(response.headers());
        self.shared
            .api
            .metrics()
            .call(service, method, code_text(code), began.elapsed());
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        id: &Arc<str>,
        call: &OneCall,
    ) -> Response<Body> {
        let place = Place::new(&self.shared.in_flight);
        // Load is shed before any work is done (THREATS D4).
        let one = match self.admit(&request, &place) {
            Ok(one) => one,
            Err(failure) => {
                self.write_refusal(request.uri().path(), id, &failure).await;
                return failure.into_status(id).into_http();
            }
        };
        let (limit, kept) = (self.deadline(&request), Kept::default());
        let mut request = self.prepared(request, id, &place);
        request.extensions_mut().insert(kept.clone());
        let path = request.uri().path();
        let (ours, lasts) = (path.starts_with("/bindery."), answers::lasts(path));
        let response =
            match tokio::time::timeout(limit, self.shared.routes.clone().oneshot(request)).await {
                Ok(Ok(response)) if ours => explained(response, id),
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => too_late().into_status(id).into_http(),
            };
        if lasts {
            return response;
        }
        // What waits to be read counts as long as what is under way: it is in memory.
        response.map(|body| Body::new(call.unread(body, (one, place, kept))))
    }

    /// Lets a call in, as one of its caller's. What is a stream has its place among all at once; any other call takes it when the
    /// request is there.
    fn admit(&self, request: &Request<Incoming>, place: &Place) -> Result<Taken<String>, Failure> {
        let shared = &self.shared;
        let one = shared.calls.take(self.peer.name().to_owned());
        let one = one
            .ok_or_else(|| Failure::overloaded("in_flight_per_identity", Duration::from_secs(1)))?;
        if body::is_stream(request.uri().path()) {
            place.take()?;
        }
        let taken = shared.buckets.take(self.peer.name(), Instant::now());
        taken.map_err(|wait| Failure::overloaded("rate", wait))?;
        self.is_let_in()?;
        Ok(one)
    }

    /// Asked anew for each call, so that a changed deny list and a changed policy count at once.
    fn is_let_in(&self) -> Result<(), Failure> {
        let shared = &self.shared;
        if let Some(Err(unfit)) = self.standing.as_ref().map(|standing| standing.check()) {
            return Err(Failure::new(
                ErrorReason::Unauthenticated,
                unfit.to_string(),
            ));
        }
        if shared.surface == Surface::Admin && !super::is_admin(&shared.api, self.peer.principals())
        {
            let message =
                "the admin socket is for root, the daemon's own user and the admins of the policy";
            return Err(Failure::new(ErrorReason::PermissionDenied, message).with("right", "admin"));
        }
        Ok(())
    }

    /// Whoever is let in nowhere, and tries: on the admin socket with whatever call, elsewhere to change something.
    async fn write_refusal(&self, path: &str, id: &str, failure: &Failure) {
        let by_rights = matches!(
            failure.reason(),
            ErrorReason::PermissionDenied | ErrorReason::Unauthenticated
        );
        let admin = self.shared.surface == Surface::Admin;
        if !by_rights || (!admin && weight(path) == Weight::Reads) {
            return;
        }
        let (service, method) = label(path);
        let deed = Deed {
            actor: self.peer.name().to_owned(),
            action: format!("{service}/{method}"),
            resource: if admin {
                "sockets/admin"
            } else {
                "sockets/public"
            }
            .to_owned(),
            code: code_text(code(failure.reason())).to_owned(),
            reason: failure.reason().as_str_name().to_owned(),
            request_id: id.to_owned(),
            ..Deed::default()
        };
        if let Err(error) = self.shared.api.refusals().write(deed).await {
            tracing::error!(%error, "A refusal is not in the audit log");
        }
    }

    fn prepared(&self, request: Request<Incoming>, id: &Arc<str>, place: &Place) -> Request<Body> {
        let terms = Terms {
            limit: self.shared.limits.body,
            whole: !body::is_stream(request.uri().path()),
            line: Arc::clone(&self.shared.requests),
            place: place.clone(),
            id: Arc::clone(id),
        };
        let mut request = request.map(|body| Body::new(Timed::new(body, terms)));
        let caller = Caller::new(Arc::clone(&self.peer), self.shared.surface);
        request.extensions_mut().insert(caller);
        let path = Path(request.uri().path().into());
        request.extensions_mut().insert(path);
        request.extensions_mut().insert(RequestId(Arc::clone(id)));
        request
    }

    /// The caller's deadline, at most the daemon's own.
    fn deadline(&self, request: &Request<Incoming>) -> Duration {
        let longest = if LONG.contains(&request.uri().path()) {
            LONGEST
        } else {
            self.shared.limits.call
        };
        let asked = request
            .headers()
            .get("grpc-timeout")
            .and_then(|value| timeout(value.to_str().ok()?));
        asked.map_or(longest, |asked| asked.min(longest))
    }
}

fn too_late() -> Failure {
    Failure::new(
        ErrorReason::DeadlinePassed,
        "the call took longer than its deadline; allow more time",
    )
}

/// Gives errors that did not come from a service the same details as all others.
fn explained(response: Response<Body>, id: &str) -> Response<Body> {
    let Some(status) = Status::from_header_map(response.headers()) else {
        return response;
    };
    if status.code() == Code::Ok || !status.details().is_empty() {
        return response;
    }
    let failure = match status.code() {
        Code::Unimplemented => Failure::new(
            ErrorReason::NotServedYet,
            "there is no such call on this listener",
        ),
        Code::OutOfRange | Code::ResourceExhausted => Failure::new(
            ErrorReason::MessageTooLarge,
            "the message is larger than this daemon accepts; send less",
        ),
        Code::Internal | Code::InvalidArgument => Failure::new(
            ErrorReason::InvalidArgument,
            "the message can't be decoded; check that it is of the right type",
        ),
        _ => return response,
    };
    failure.into_status(id).into_http()
}

/// The caller's own id where it is harmless, or a new one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let fits = |text: &&str| (1..=64).contains(&text.len()) && text.bytes().all(plain);
    given.filter(fits).map_or_else(new_id, Into::into)
}

fn new_id() -> Arc<str> {
    let mut bytes = [0; 10];
    // Without randomness ids are equal, and calls are served all the same.
    let _ = SystemRandom::new().fill(&mut bytes);
    BASE32_NOPAD.encode(&bytes).to_ascii_lowercase().into()
}

/// Service and method as labels; one pair for all that is not known, so that callers can't make new labels.
fn label(path: &str) -> (&'static str, &'static str) {
    let known = served().iter().map(|row| row.method);
    let known = known
        .chain(OTHERS.iter().copied())
        .find(|method| *method == path);
    known
        .and_then(|method| method.strip_prefix('/')?.split_once('/'))
        .unwrap_or(("unknown", "unknown"))
}

/// Calls that stand in no table of rights.
const OTHERS: &[&str] = &[
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/bindery.admin.v1.AdminService/Diagnose",
    "/bindery.admin.v1.AdminService/DisablePlugin",
    "/bindery.admin.v1.AdminService/EnablePlugin",
    "/bindery.admin.v1.AdminService/GetStatus",
    "/bindery.admin.v1.AdminService/ListAuditRecords",
    "/bindery.admin.v1.AdminService/ListPlugins",
    "/bindery.admin.v1.AdminService/ReloadPlugin",
    "/bindery.admin.v1.AdminService/ReloadPolicy",
    "/bindery.admin.v1.AdminService/VerifyAudit",
    "/bindery.admin.v1.AdminService/AddSlot",
    "/bindery.admin.v1.AdminService/Backup",
    "/bindery.admin.v1.AdminService/CompactStore",
    "/bindery.admin.v1.AdminService/RemoveSlot",
    "/bindery.admin.v1.AdminService/RotateKeys",
    "/bindery.admin.v1.AdminService/Seal",
    "/bindery.admin.v1.AdminService/Unseal",
    "/bindery.admin.v1.AdminService/VerifyRecoveryShares",
    "/bindery.admin.v1.AdminService/Restore",
    "/bindery.admin.v1.AdminService/VerifyBackup",
    "/bindery.admin.v1.AdminService/VerifyStore",
    "/bindery.admin.v1.AdminService/AcceptRollback",
];

/// Calls that go through a whole store; an operator waits for them.
const LONG: &[&str] = &[
    "/bindery.admin.v1.AdminService/Restore",
    "/bindery.admin.v1.AdminService/VerifyBackup",
    "/bindery.admin.v1.AdminService/VerifyStore",
    "/bindery.admin.v1.AdminService/AcceptRollback",
];

/// How long these may take.
const LONGEST: Duration = Duration::from_secs(3600);

/// The code of an answer. A stream that has begun counts as `OK`.
fn code_of(headers: &HeaderMap) -> Code {
    let status = headers.get("grpc-status");
    status.map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

/// Reads `grpc-timeout`: at most eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| plain)?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Timeouts are read as the protocol writes them, and nothing else is one.
    #[test]
    fn timeouts_are_strict() {
        assert_eq!(timeout("10S"), Some(Duration::from_secs(10)));
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        for odd in ["", "S", "10", "-1S", "123456789S", "1x", "1é", "+1S"] {
            assert_eq!(timeout(odd), None, "{odd}");
        }
    }

    /// A caller can't make new labels, nor put anything into logs by its request id.
    #[test]
    fn labels_are_a_closed_set() {
        assert_eq!(
            label("/bindery.v1.LinkService/GetLink"),
            ("bindery.v1.LinkService", "GetLink")
        );
        assert_eq!(
            label("/bindery.v1.LinkService/Nonsense"),
            ("unknown", "unknown")
        );
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("a b"));
        assert_ne!(&*request_id(&headers), "a b");
        headers.insert(REQUEST_ID, HeaderValue::from_static("abc-1"));
        assert_eq!(&*request_id(&headers), "abc-1");
    }
}
