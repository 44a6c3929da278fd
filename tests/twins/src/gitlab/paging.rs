//! Pages: by offset, and by keyset where a list is long

use serde_json::Value;
use url::form_urlencoded;

use crate::http::{Request, Response};

use super::reply;

/// Members of a page, unless asked otherwise
const USUAL: usize = 20;
/// More than that are never given
const MOST: usize = 100;

/// A page by `page` and `per_page`
pub(super) fn by_offset(web: &str, request: &Request, all: &[Value]) -> Response {
    let number = |name| request.query(name).and_then(|text| text.parse().ok());
    let per_page = per_page(request);
    let page = number("page").unwrap_or(1).max(1_usize);
    let start = (page - 1).saturating_mul(per_page).min(all.len());
    let end = (start + per_page).min(all.len());
    let last = all.len().div_ceil(per_page).max(1);
    let body = Value::Array(all[start..end].to_vec());
    let next = (page < last).then(|| (page + 1).to_string());
    let answer = Response::json(200, &body)
        .with("x-page", &page.to_string())
        .with("x-per-page", &per_page.to_string())
        .with("x-next-page", next.as_deref().unwrap_or_default())
        .with("x-total", &all.len().to_string())
        .with("x-total-pages", &last.to_string());
    match next {
        Some(next) => answer.with("link", &link(web, request, ("page", &next))),
        None => answer,
    }
}

/// A page after the id of the last one
///
/// Without `order_by=id` GitLab refuses keyset pages: nothing else is a key.
pub(super) fn by_keyset(web: &str, request: &Request, all: &[(u64, Value)]) -> Response {
    if request.query("order_by") != Some("id") {
        return reply::error(
            405,
            "Keyset pagination is not yet available for this type of request",
        );
    }
    let per_page = per_page(request);
    let ascending = request.query("sort") == Some("asc");
    let key = if ascending { "id_after" } else { "id_before" };
    let after: Option<u64> = request.query(key).and_then(|text| text.parse().ok());
    let mut rest: Vec<_> = all
        .iter()
        .filter(|(id, _)| {
            after.is_none_or(|after| if ascending { *id > after } else { *id < after })
        })
        .collect();
    rest.sort_by_key(|(id, _)| *id);
    if !ascending {
        rest.reverse();
    }
    let page = rest.iter().take(per_page);
    let last = page.clone().next_back().map(|(id, _)| id.to_string());
    let body = Value::Array(page.map(|(_, value)| value.clone()).collect());
    let answer = Response::json(200, &body);
    match last.filter(|_| rest.len() > per_page) {
        Some(last) => answer.with("link", &link(web, request, (key, &last))),
        None => answer,
    }
}

fn per_page(request: &Request) -> usize {
    let asked = request.query("per_page").and_then(|text| text.parse().ok());
    asked.unwrap_or(USUAL).clamp(1, MOST)
}

/// `Link` to the same list with one parameter changed
fn link(web: &str, request: &Request, (name, value): (&str, &str)) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let others = request.query.iter().filter(|(known, _)| known != name);
    query.extend_pairs(others);
    query.append_pair(name, value);
    let origin = url::Url::parse(web).map(|url| url.origin().ascii_serialization());
    let origin = origin.unwrap_or_default();
    format!(
        "<{origin}{}?{}>; rel=\"next\"",
        request.path,
        query.finish()
    )
}
