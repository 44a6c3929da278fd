//! `EffectResult`: the answers that a plugin gets

use bindery_core::{
    exchange::{Answer, EffectResult, HttpResponse},
    problem::{Kind, Problem, Reason},
};
use bindery_plugin_abi::limits::RESPONSE_LEN;
use bindery_plugin_proto::v1::{self, effect_result};

use super::check::prose;

/// The message of an answer.
pub(crate) fn result(result: EffectResult) -> v1::EffectResult {
    use effect_result::Kind as Out;
    let kind = match result.answer {
        Answer::Http(response) if len(&response) > RESPONSE_LEN => Out::Error(too_long()),
        Answer::Http(response) => Out::Http(http(response)),
        Answer::Verified(right) => Out::Verified(right),
        Answer::Signed => Out::Signed(true),
        Answer::Failed(problem) => Out::Error(failure(&problem)),
    };
    v1::EffectResult {
        id: result.id,
        kind: Some(kind),
    }
}

/// Body and headers: together with its envelope an answer has to fit one frame.
fn len(response: &HttpResponse) -> usize {
    let headers = response
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.len());
    response.body.len() + headers.sum::<usize>()
}

fn http(response: HttpResponse) -> v1::HttpResponse {
    let header = |(name, value)| v1::PlainHeader { name, value };
    v1::HttpResponse {
        status: response.status.into(),
        headers: response.headers.into_iter().map(header).collect(),
        body: response.body,
    }
}

fn too_long() -> v1::Failure {
    let message = format!("the response is longer than {RESPONSE_LEN} bytes");
    v1::Failure {
        code: v1::Code::Transport.into(),
        message,
        ..v1::Failure::default()
    }
}

fn failure(problem: &Problem) -> v1::Failure {
    let wait = problem.retry_after.unwrap_or_default().as_millis();
    v1::Failure {
        code: code(problem.reason).into(),
        message: prose(&problem.message),
        retry_after_ms: u64::try_from(wait).unwrap_or(u64::MAX),
        action_uri: problem.action_uri.clone(),
        ..v1::Failure::default()
    }
}

fn code(reason: Reason) -> v1::Code {
    match reason {
        Reason::ProviderRateLimited => v1::Code::RateLimited,
        Reason::RequestNotAllowed | Reason::OriginNotAllowed => v1::Code::RequestNotAllowed,
        Reason::HostAnswerUnusable => v1::Code::Upstream,
        // Such as a JWT of an app that has no key here.
        Reason::ProviderUnsupported => v1::Code::Unsupported,
        reason => match reason.kind() {
            Kind::InvalidInput => v1::Code::InvalidArgument,
            Kind::NotFound => v1::Code::NotFound,
            Kind::Exhausted => v1::Code::RateLimited,
            Kind::Unauthenticated => v1::Code::Unauthenticated,
            Kind::Denied => v1::Code::PermissionDenied,
            _ => v1::Code::Transport,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plugin tells what can't be had here from what could not be reached.
    #[test]
    fn what_is_not_there_is_no_broken_line() {
        assert_eq!(code(Reason::ProviderUnsupported), v1::Code::Unsupported);
        assert_eq!(code(Reason::HostUnreachable), v1::Code::Transport);
        assert_eq!(code(Reason::ProviderRateLimited), v1::Code::RateLimited);
    }
}
