//! What every page has: a frame, a stylesheet, escapes

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

/// A page's body in the making; what is added to it is escaped already
pub(super) struct Html(String);

const STYLE: &str = "body{margin:0;font:16px/1.5 system-ui,sans-serif;color:#1f2328;\
    background:#f6f8fa}header{background:#24292f;color:#fff;padding:.75rem 1.5rem;display:flex;\
    gap:1rem;align-items:center}header a{color:#fff}header form{margin-left:auto}\
    .stand-in{background:#fff8c5;border-bottom:1px solid #d4a72c;padding:.4rem 1.5rem;\
    font-size:.9rem}main{max-width:34rem;margin:2rem auto;background:#fff;border:1px solid \
    #d0d7de;border-radius:8px;padding:1.5rem}h1{font-size:1.5rem;margin-top:0}h2{font-size:1.1rem}\
    label{display:block;margin:.75rem 0}input[type=text],input[type=password]{display:block;\
    width:100%;box-sizing:border-box;padding:.5rem;font:inherit;border:1px solid #767e87;\
    border-radius:6px}button,.button{font:inherit;padding:.4rem 1rem;border:1px solid #767e87;\
    border-radius:6px;background:#f6f8fa;color:#1f2328;cursor:pointer;text-decoration:none;\
    display:inline-block}.primary{background:#1a7f37;border-color:#1a7f37;color:#fff}\
    .danger{color:#b3261e}li{margin:.5rem 0}li form{display:inline}.note{color:#57606a;\
    font-size:.9rem}.buttons{display:flex;gap:.75rem}code{background:#eff1f3;padding:.1rem .3rem;\
    border-radius:4px;overflow-wrap:anywhere}.error{border:1px solid #b3261e;padding:.5rem 1rem;\
    border-radius:6px}";

/// Begin a page with its heading
pub(super) fn page(heading: &str) -> Html {
    Html(format!("<h1>{}</h1>", escape(heading)))
}

impl Html {
    pub(super) fn add(mut self, html: &str) -> Self {
        self.0.push_str(html);
        self
    }

    /// The whole document, with a header that says who is signed in
    pub(super) fn document(&self, title: &str, header: &str) -> String {
        let title = escape(title);
        let body = &self.0;
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>{title}</title><style>{STYLE}</style></head><body>\
             <header><strong><a href=\"/\">GitHub</a></strong>{header}</header>\
             <div class=\"stand-in\">This is a stand-in for GitHub, for trying things out. \
             Type no real password here.</div><main>{body}</main></body></html>"
        )
    }
}

/// A page without a visitor
pub(super) fn plain(status: StatusCode, heading: &str, text: &str) -> Response {
    let body = page(heading).add(&format!("<p>{}</p>", escape(text)));
    (status, framed(body.document(heading, ""))).into_response()
}

pub(super) fn not_found() -> Response {
    plain(
        StatusCode::NOT_FOUND,
        "Page not found",
        "This is not the web page you are looking for.",
    )
}

/// For a form that another site sent, or that outlived its session
pub(super) fn stale_form() -> Response {
    plain(
        StatusCode::UNPROCESSABLE_ENTITY,
        "This form is out of date",
        "Your browser did something unexpected. Go back, reload the page, and try again.",
    )
}

/// A document with the headers that go with every page
pub(super) fn framed(document: String) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "deny"),
    ];
    (headers, document)
}

pub(super) fn hidden(name: &str, value: &str) -> String {
    format!(
        "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
        escape(name),
        escape(value)
    )
}

pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
