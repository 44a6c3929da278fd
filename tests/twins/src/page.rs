//! Plain pages for people: headings, forms, no scripts

use crate::http::Response;

/// A page of a heading and HTML that is escaped already
#[must_use]
pub fn page(status: u16, heading: &str, body: &str) -> Response {
    let heading = escape(heading);
    let document = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{heading}</title></head>\
         <body><main><h1>{heading}</h1>{body}</main></body></html>"
    );
    Response::body(status, "text/html; charset=utf-8", document)
        .with("cache-control", "no-store")
        .with("referrer-policy", "no-referrer")
        .with(
            "content-security-policy",
            "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
        )
}

/// A form that posts hidden fields to a path, with more HTML in it
#[must_use]
pub fn form(action: &str, fields: &[(String, String)], inner: &str) -> String {
    let hidden = fields.iter().map(|(name, value)| {
        let (name, value) = (escape(name), escape(value));
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">")
    });
    let hidden: String = hidden.collect();
    let action = escape(action);
    format!("<form method=\"post\" action=\"{action}\">{hidden}{inner}</form>")
}

/// Text as it may stand in HTML, attributes included
#[must_use]
pub fn escape(text: &str) -> String {
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
