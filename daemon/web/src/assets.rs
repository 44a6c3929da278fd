//! The style sheet and the motif, under names that change with their content.

use std::sync::LazyLock;

use axum::{
    extract::{Path, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use ring::digest::{SHA256, digest};

use crate::failure::Failure;

const STYLE: &str = include_str!("../assets/style.css");
const MOTIF: &str = include_str!("../assets/motif.svg");

static STYLE_PATH: LazyLock<String> = LazyLock::new(|| path("style", "css", STYLE));
static MOTIF_PATH: LazyLock<String> = LazyLock::new(|| path("motif", "svg", MOTIF));

pub(crate) fn style_path() -> &'static str {
    &STYLE_PATH
}

pub(crate) fn motif_path() -> &'static str {
    &MOTIF_PATH
}

fn path(name: &str, extension: &str, content: &str) -> String {
    let hash = HEXLOWER.encode(&digest(&SHA256, content.as_bytes()).as_ref()[..8]);
    format!("/assets/{name}-{hash}.{extension}")
}

/// One of the two files.
pub(crate) async fn asset(file: Result<Path<String>, PathRejection>) -> Response {
    let wanted = file.map_or_else(|_| String::new(), |Path(file)| format!("/assets/{file}"));
    let (kind, content) = match wanted {
        path if path == style_path() => ("text/css; charset=utf-8", STYLE),
        path if path == motif_path() => ("image/svg+xml", MOTIF),
        _ => return Failure::NotFound.into_response(),
    };
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The style sheet stays small, and neither file fetches anything from elsewhere.
    #[test]
    fn assets_are_small_and_alone() {
        assert!(STYLE.len() < 12_000, "{}", STYLE.len());
        for text in [STYLE, &MOTIF.replace("http://www.w3.org/2000/svg", "")] {
            for outside in ["url(", "@import", "http:", "https:", "href", "<script"] {
                assert!(!text.contains(outside), "{outside}");
            }
        }
    }
}
