//! Pages and errors of Bitbucket Cloud

use serde_json::{Value, json};
use url::form_urlencoded;

use crate::http::{Request, Response};

/// Members of a page, unless asked otherwise
const USUAL: usize = 10;
/// More than that are never given
const MOST: usize = 100;

/// `{"type": "error", "error": {"message": ..}}`
pub(super) fn error(status: u16, message: &str) -> Response {
    Response::json(
        status,
        &json!({"type": "error", "error": {"message": message}}),
    )
}

pub(super) fn unauthorized() -> Response {
    error(
        401,
        "Token is invalid, expired, or not supported for this endpoint.",
    )
}

/// Also for what may not be seen
pub(super) fn not_found() -> Response {
    error(
        404,
        "The requested resource either does not exist or you do not have access.",
    )
}

/// What every endpoint that CHANGE-2770 took away says since 2026-04-14
pub(super) fn gone() -> Response {
    error(410, "CHANGE-2770 - Functionality has been deprecated")
}

/// The token may not do that, and which scope it would need
pub(super) fn insufficient(required: &[&str], granted: &[&str]) -> Response {
    let body = json!({
        "type": "error",
        "error": {
            "message": "Your credentials lack one or more required privilege scopes.",
            "detail": {"required": required, "granted": granted},
        },
    });
    Response::json(403, &body)
}

/// A page by `page` and `pagelen`; the next one is a whole URL in the body, and the last page has none
pub(super) fn page(web: &str, request: &Request, all: &[Value]) -> Response {
    let number = |name| request.query(name).and_then(|text| text.parse().ok());
    let size = number("pagelen").unwrap_or(USUAL).clamp(1, MOST);
    let page = number("page").unwrap_or(1).max(1);
    let start = (page - 1).saturating_mul(size).min(all.len());
    let end = (start + size).min(all.len());
    let mut body = json!({
        "pagelen": size,
        "size": all.len(),
        "page": page,
        "values": all[start..end],
    });
    if end < all.len() {
        body["next"] = next(web, request, page + 1).into();
    }
    Response::json(200, &body)
}

fn next(web: &str, request: &Request, page: usize) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let others = request.query.iter().filter(|(name, _)| name != "page");
    query.extend_pairs(others);
    query.append_pair("page", &page.to_string());
    format!("{web}{}?{}", request.path, query.finish())
}
