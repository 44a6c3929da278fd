//! Pages that are counted in `total_count` and `total_page`; there is no `Link`

use serde_json::Value;

use crate::http::{Request, Response};

/// Items of a page, unless asked otherwise
const USUAL: usize = 20;
/// More than that are never given
const MOST: usize = 100;

/// A page by `page` and `per_page`
pub(super) fn page(request: &Request, all: &[Value]) -> Response {
    let number = |name| request.query(name).and_then(|text| text.parse().ok());
    let per_page = number("per_page").unwrap_or(USUAL).clamp(1, MOST);
    let page = number("page").unwrap_or(1).max(1);
    let start = (page - 1).saturating_mul(per_page).min(all.len());
    let end = (start + per_page).min(all.len());
    Response::json(200, &Value::Array(all[start..end].to_vec()))
        .with("total_count", &all.len().to_string())
        .with("total_page", &all.len().div_ceil(per_page).to_string())
}
