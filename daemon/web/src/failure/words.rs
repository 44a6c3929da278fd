//! The texts, by cause.

use bindery_core::problem::{Kind, Reason};
use http::StatusCode;

use super::Words;

const RESTART: &str = "Go back to where you started, and start the link again.";
const LATER: &str = "Reload this page in a few minutes. If it then says that the link is over, start the link again.";
const OPERATOR: &str =
    "Tell the operator of this service. The correlation id below leads them to the cause.";

pub(super) const NOT_FOUND: Words = Words {
    status: StatusCode::NOT_FOUND,
    title: "There is no such page",
    what: "The address is not one that this service gave out.",
    next: "Open the whole link that your registry or terminal showed you.",
};
pub(super) const METHOD_NOT_ALLOWED: Words = Words {
    status: StatusCode::METHOD_NOT_ALLOWED,
    title: "This page can't be used that way",
    what: "It is a step of a link that the page before it leads to.",
    next: "Open the whole link that your registry or terminal showed you.",
};
pub(super) const TOO_LARGE: Words = Words {
    status: StatusCode::PAYLOAD_TOO_LARGE,
    title: "The request is too large",
    what: "No page of this service sends that much.",
    next: RESTART,
};
pub(super) const TOO_SLOW: Words = Words {
    status: StatusCode::REQUEST_TIMEOUT,
    title: "The request took too long",
    what: "The form did not arrive in time. Nothing was changed.",
    next: "Go back one page and try again.",
};
pub(super) const MALFORMED: Words = Words {
    status: StatusCode::BAD_REQUEST,
    title: "The request makes no sense",
    what: "A part of it is missing, is too long, or came twice. Nothing was changed.",
    next: RESTART,
};
pub(super) const CROSS_SITE: Words = Words {
    status: StatusCode::FORBIDDEN,
    title: "Another site sent this form",
    what: "Only the pages of this service may go on with a link. Nothing was changed.",
    next: "Open the link that your registry or terminal showed you, and use the buttons on its page.",
};
pub(super) const TOO_MANY: Words = Words {
    status: StatusCode::TOO_MANY_REQUESTS,
    title: "Too many requests",
    what: "Your address has asked for too many pages in a short time.",
    next: "Wait a minute, then reload this page.",
};
pub(super) const NO_COOKIE: Words = Words {
    status: StatusCode::FORBIDDEN,
    title: "This browser did not start the link",
    what: "The cookie that was set when the link was opened did not come back. For your safety, only the browser that starts a link can finish it.",
    next: "Open the link in one browser that accepts cookies for this site, and stay in it until the end.",
};
pub(super) const DEFECT: Words = Words {
    status: StatusCode::INTERNAL_SERVER_ERROR,
    title: "Something is broken here",
    what: "This service could not finish what you asked for.",
    next: OPERATOR,
};

const fn words(
    status: StatusCode,
    title: &'static str,
    what: &'static str,
    next: &'static str,
) -> Words {
    Words {
        status,
        title,
        what,
        next,
    }
}

/// The text of a reason. What is of no use to a person is told by its kind.
pub(super) const fn of_reason(reason: Reason) -> Words {
    use Reason as R;
    match reason {
        R::FlowExpired => words(
            StatusCode::GONE,
            "This link is over",
            "It was finished or used before, its time has passed, or it never existed.",
            RESTART,
        ),
        R::FlowMismatch => words(
            StatusCode::FORBIDDEN,
            "This link was started elsewhere",
            "For your safety, only the browser that starts a link can finish it, and only with the answer of the source-code host that it was sent to. Nothing was bound.",
            "Open the link in one browser, and stay in it until the end. If another page is open for the same link, go on there.",
        ),
        R::ConsentDenied => words(
            StatusCode::FORBIDDEN,
            "Access was not granted",
            "The source-code host says that the authorization ended without an agreement. Nothing was stored.",
            "If that was a mistake, go back to where you started, and start the link again.",
        ),
        R::ClientRefused | R::MethodNotSupported | R::ProviderNotLoaded => words(
            StatusCode::BAD_GATEWAY,
            "This service is not set up for that host",
            "The source-code host does not accept this service as an application, or this service does not know how to talk to it. Nothing was bound.",
            OPERATOR,
        ),
        R::TokenRefused => words(
            StatusCode::BAD_GATEWAY,
            "The host did not accept the authorization",
            "It agreed at first, and refused when this service asked for access. Nothing was bound.",
            RESTART,
        ),
        R::IdentityMismatch => words(
            StatusCode::CONFLICT,
            "This is another account",
            "The link belongs to another account than the one that you agreed with.",
            "Sign out at the source-code host, sign in with the account that the link belongs to, and start the link again.",
        ),
        R::FlowPending => words(
            StatusCode::CONFLICT,
            "Nobody has agreed yet",
            "The source-code host has not said yet that somebody agreed there.",
            "Finish what the page of the source-code host asks for, then come back to this page.",
        ),
        R::LinkExists => words(
            StatusCode::CONFLICT,
            "This account is linked already",
            "The same account on the same source-code host belongs to this place already, under another link.",
            "Use the link that is there, or authorize that one again in your registry.",
        ),
        R::ServiceAccountRequired => words(
            StatusCode::CONFLICT,
            "This place wants an account for machines",
            "You agreed with the account of a person, and builds here must not hang on one person.",
            "Sign out at the source-code host, sign in with an account for machines, and start the link again.",
        ),
        R::AppNotInstalled => words(
            StatusCode::CONFLICT,
            "The app is not installed yet",
            "You may ask for it, and an owner of the organization has to approve it. Nothing was bound.",
            "Wait until an owner has approved the app, then start the link again.",
        ),
        R::IdentitySuspended => words(
            StatusCode::CONFLICT,
            "The account or the installation is suspended",
            "The source-code host has suspended it, so nothing can be done with it. Nothing was bound.",
            "Have it resumed at the source-code host, then start the link again.",
        ),
        R::ScopeMissing => words(
            StatusCode::CONFLICT,
            "A permission is missing",
            "The source-code host granted less than the link needs.",
            RESTART,
        ),
        R::HostNameUnresolved
        | R::HostUnreachable
        | R::HostAnswerUnusable
        | R::ProviderUnavailable => words(
            StatusCode::BAD_GATEWAY,
            "The source-code host can't be reached",
            "This service got no usable answer from it. Your account there is not at fault.",
            LATER,
        ),
        R::HostAddressForbidden | R::HostPortForbidden | R::HostCertificateUnknown => words(
            StatusCode::BAD_GATEWAY,
            "The source-code host must not be reached",
            "The rules of this service do not allow its address or port, or do not know who signed its certificate.",
            OPERATOR,
        ),
        R::ProviderRateLimited => words(
            StatusCode::SERVICE_UNAVAILABLE,
            "The source-code host is busy",
            "It answers no more requests for a while.",
            LATER,
        ),
        R::ProviderDenied | R::ProviderNotFound | R::OrganizationRestricted => words(
            StatusCode::BAD_GATEWAY,
            "The source-code host does not allow it",
            "Your account, or an organization that it belongs to, may not do what the link needs.",
            "Ask an administrator of the source-code host or of your organization, then start the link again.",
        ),
        R::StoreConflict => words(
            StatusCode::CONFLICT,
            "Two pages went on at once",
            "The link was changed while this page was loading.",
            "Go back one page and try again.",
        ),
        R::TooManyFlows => words(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many links are open",
            "Links that nobody finished must end first.",
            "Wait ten minutes, then start the link again.",
        ),
        other => of_kind(other.kind()),
    }
}

const fn of_kind(kind: Kind) -> Words {
    match kind {
        Kind::InvalidInput => MALFORMED,
        Kind::NotFound => words(
            StatusCode::NOT_FOUND,
            "The link is gone",
            "What it belonged to does not exist any more.",
            RESTART,
        ),
        Kind::Unavailable | Kind::Exhausted => words(
            StatusCode::SERVICE_UNAVAILABLE,
            "This service can't do it now",
            "It is starting, stopping, short of space, or waiting for its operator. Nothing was lost.",
            LATER,
        ),
        Kind::Denied | Kind::Unauthenticated => words(
            StatusCode::FORBIDDEN,
            "That is not allowed",
            "The rules of this service forbid it. Nothing was changed.",
            OPERATOR,
        ),
        Kind::Precondition | Kind::AlreadyExists | Kind::Conflict => words(
            StatusCode::CONFLICT,
            "That is not possible now",
            "The link is not in a state in which this can be done. Nothing was changed.",
            RESTART,
        ),
        Kind::Unimplemented | Kind::Internal => DEFECT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reason has a page with a failing status, a title, an explanation and a next step.
    #[test]
    fn every_reason_has_words() {
        for reason in Reason::ALL {
            let words = of_reason(*reason);
            assert!(words.status.is_client_error() || words.status.is_server_error());
            for text in [words.title, words.what, words.next] {
                assert!(text.len() > 10, "{}", reason.as_str());
            }
        }
    }
}
