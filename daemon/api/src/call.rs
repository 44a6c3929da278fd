//! What every call has in common: caller, authorization before work, answers and errors.

use std::sync::{Arc, Mutex, PoisonError};

use bindery_core::{name::NamespaceName, problem::Problem, trigger::OPERATOR};
use bindery_engine::{Engine, RequestKey, audience::Audience, intake::LONGEST_BODY};
use bindery_proto::v1::ErrorReason;
use prost::Message;
use tonic::{Request, Response, Status};

use crate::{
    Api,
    access::{self, Governed},
    admin::Subject,
    audit::{Entry, Note},
    budget::Portion,
    fields, names,
    peer::Caller,
    policy::{Action, Policy, Verdict},
    status::Failure,
};

/// Id of a request; put into the extensions by the server.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

/// Path of a request, which names its method; put into the extensions by the server.
#[derive(Clone, Debug)]
pub(crate) struct Path(pub(crate) Arc<str>);

/// What is in memory for an answer until it is read; put into the extensions by the server, which drops it then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<Portion>>>);

/// One call of one caller.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) api: Api,
    pub(crate) caller: Caller,
    /// What its record in the audit log says beside caller, method and outcome.
    pub(crate) note: Note,
    /// What its answer takes.
    pub(crate) kept: Kept,
}

impl Call {
    pub(crate) fn engine(&self) -> &Engine {
        self.api.engine()
    }

    /// Waits for room in memory for a body of a provider, or for a page of them.
    pub(crate) async fn room_for_payload(&self) -> Result<Portion, Failure> {
        let budget = self.api.payloads();
        budget.take(self.caller.name(), LONGEST_BODY).await
    }

    /// Holds so much of a portion until the answer is read.
    pub(crate) fn keep(&self, mut portion: Portion, bytes: usize) {
        portion.shrink(bytes);
        let mut kept = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(portion);
    }

    /// The policy as it is at this moment.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.api.policy().current()
    }

    /// Whether the caller may go on with `message` now.
    pub(crate) fn authorize<M: Governed>(&self, message: &M) -> Result<(), Failure> {
        access::authorize(&self.policy(), &self.caller, message)
    }

    /// The namespaces that `parent` names, as far as the caller may see them: one, or all behind `namespaces/-`.
    pub(crate) async fn visible(&self, parent: &str) -> Result<Vec<NamespaceName>, Failure> {
        if parent != access::EVERYWHERE {
            let namespace = names::namespace(parent)?;
            self.engine().namespace(&namespace).await?;
            return Ok(vec![namespace]);
        }
        let mut all = self.engine().namespace_names().await?;
        let policy = self.policy();
        let may = |name: &NamespaceName| {
            let verdict = policy.judge(&self.caller, Action::Read, Some(name.as_str()));
            self.caller.omnipotent() || verdict == Verdict::Allowed
        };
        all.retain(may);
        all.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        Ok(all)
    }

    /// One namespace, or all in which the caller has the right where none is named.
    pub(crate) async fn namespaces(
        &self,
        one: Option<NamespaceName>,
        action: Action,
    ) -> Result<Vec<NamespaceName>, Failure> {
        if let Some(one) = one {
            self.engine().namespace(&one).await?;
            return Ok(vec![one]);
        }
        let mut all = self.engine().namespace_names().await?;
        all.retain(|name| self.has_right(action, name));
        all.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        Ok(all)
    }

    /// All names of the caller that a rule may have, for a judgement when the caller is gone.
    pub(crate) fn names(&self) -> Vec<String> {
        if self.caller.omnipotent() {
            return vec![OPERATOR.to_owned()];
        }
        self.caller.principals().to_vec()
    }

    /// Whether the caller has a right in a namespace.
    pub(crate) fn has_right(&self, action: Action, name: &NamespaceName) -> bool {
        let verdict = || {
            self.policy()
                .judge(&self.caller, action, Some(name.as_str()))
        };
        self.caller.omnipotent() || verdict() == Verdict::Allowed
    }

    /// Which namespaces' links the caller may be told of: those that the policy lets them read at that moment.
    pub(crate) fn audience(&self) -> Audience {
        let call = self.clone();
        Audience::new(move |name| call.has_right(Action::Read, name))
    }

    /// What makes a repetition of this request known; `None` without a request id.
    pub(crate) fn request_key<M: Governed + Message>(
        &self,
        message: &M,
        request_id: &str,
    ) -> Result<Option<RequestKey>, Failure> {
        fields::request_id(request_id)?;
        let body = message.encode_to_vec();
        Ok(RequestKey::new(
            self.caller.name(),
            M::ROW.method,
            request_id,
            &body,
        ))
    }
}

impl Api {
    /// Runs a call that has a row in the table.
    pub(crate) async fn run<M, R, F>(
        &self,
        request: Request<M>,
        work: impl FnOnce(Call, M) -> F,
    ) -> Result<Response<R>, Status>
    where
        M: Governed,
        F: Future<Output = Result<R, Failure>>,
    {
        let id = request_id(&request);
        let done = self.govern(request, &id, work).await;
        done.map(Response::new)
            .map_err(|failure| refuse(failure, &id))
    }

    /// Who it is, whether they may, and whether anything is served: in this order, so that a stranger learns nothing.
    async fn govern<M, R, F>(
        &self,
        request: Request<M>,
        id: &str,
        work: impl FnOnce(Call, M) -> F,
    ) -> Result<R, Failure>
    where
        M: Governed,
        F: Future<Output = Result<R, Failure>>,
    {
        let call = self.call(&request)?;
        let message = request.into_inner();
        let (target, only_checks) = (access::resource(&message), message.only_checks());
        let entry = Entry::new(&call, M::ROW.method, target, id, only_checks);
        let may = call.authorize(&message);
        match may.and_then(|()| Ok(call.engine().refuse_sealed()?)) {
            Ok(()) => entry.around(work(call, message)).await,
            Err(failure) => entry.end(Err(failure)).await,
        }
    }

    /// Runs a call of the admin surface; the server lets only admins get here.
    pub(crate) async fn operate<M, R, F>(
        &self,
        request: Request<M>,
        work: impl FnOnce(Call, M) -> F,
    ) -> Result<Response<R>, Status>
    where
        M: Subject,
        F: Future<Output = Result<R, Failure>>,
    {
        let id = request_id(&request);
        let path = request.extensions().get::<Path>().cloned();
        let path = path.map_or_else(|| "".into(), |path| path.0);
        let done = match self.call(&request) {
            Ok(call) if call.caller.omnipotent() => {
                let message = request.into_inner();
                let entry = Entry::new(&call, &path, message.resource(), &id, false);
                let entry = entry.with(message.facts());
                entry.around(work(call, message)).await
            }
            Ok(_) => Err(Failure::new(
                ErrorReason::PermissionDenied,
                "this caller is no operator",
            )),
            Err(failure) => Err(failure),
        };
        done.map(Response::new)
            .map_err(|failure| refuse(failure, &id))
    }

    fn call<M>(&self, request: &Request<M>) -> Result<Call, Failure> {
        let caller = request.extensions().get::<Caller>().cloned();
        let caller = caller.ok_or_else(|| {
            Failure::new(
                ErrorReason::Unauthenticated,
                "the connection names no caller",
            )
        })?;
        let kept = request.extensions().get::<Kept>().cloned();
        Ok(Call {
            api: self.clone(),
            caller,
            note: Note::default(),
            kept: kept.unwrap_or_default(),
        })
    }
}

fn request_id<M>(request: &Request<M>) -> Arc<str> {
    let found = request.extensions().get::<RequestId>();
    found.map_or_else(|| "".into(), |id| Arc::clone(&id.0))
}

/// An error as a status; defects are logged, so that they are found.
pub(crate) fn refuse(failure: Failure, request_id: &str) -> Status {
    let status = failure_status(failure, request_id);
    tracing::debug!(code = ?status.code(), "Call refused");
    status
}

fn failure_status(failure: Failure, request_id: &str) -> Status {
    if crate::status::code(failure.reason()) == tonic::Code::Internal {
        tracing::error!(
            request_id,
            reason = failure.reason().as_str_name(),
            error = failure.message(),
            "Call failed"
        );
    }
    failure.into_status(request_id)
}

/// `NOT_FOUND` for a name.
pub(crate) fn not_found(name: &str) -> Failure {
    Problem::not_found(name).into()
}

/// Implements a generated service: each call is a function that gets the call and the message.
macro_rules! service {
    (
        $service:path, $run:ident;
        $(serve $method:ident($request:ty) -> $response:ty = $work:path;)*
        $(also { $($also:tt)* })?
    ) => {
        #[tonic::async_trait]
        impl $service for crate::Api {
            $(async fn $method(
                &self,
                request: tonic::Request<$request>,
            ) -> Result<tonic::Response<$response>, tonic::Status> {
                self.$run(request, $work).await
            })*
            $($($also)*)?
        }
    };
}
pub(crate) use service;
