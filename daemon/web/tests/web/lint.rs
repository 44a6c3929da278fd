//! A small check of what makes a page usable without sight, mouse or script.

use std::collections::BTreeSet;

/// Elements without an end tag.
const VOID: [&str; 6] = ["!doctype", "meta", "link", "img", "input", "br"];

/// A start tag with what stands in it.
struct Tag<'a> {
    name: &'a str,
    text: &'a str,
    /// Text up to the next tag.
    inner: &'a str,
}

impl Tag<'_> {
    fn value(&self, attribute: &str) -> Option<&str> {
        let (_, rest) = self.text.split_once(&format!(" {attribute}=\""))?;
        rest.split('"').next()
    }
}

/// All that is wrong.
pub fn faults(page: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fail = |bad: bool, fault: &str| {
        if bad {
            faults.push(fault.to_owned());
        }
    };
    let tags = tags(page);
    let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
    let first = |name: &str| tags.iter().find(|tag| tag.name == name);
    fail(!page.starts_with("<!doctype html>"), "no doctype");
    fail(
        first("html").and_then(|tag| tag.value("lang")) != Some("en"),
        "no language",
    );
    fail(
        first("title").is_none_or(|tag| tag.inner.trim().len() < 12),
        "no title",
    );
    for one in ["h1", "main", "title"] {
        fail(count(one) != 1, &format!("not one {one}"));
    }
    fail(!page.contains("width=device-width"), "no viewport");
    fail(count("script") + count("style") > 0, "something inline");
    let ids: Vec<_> = tags.iter().filter_map(|tag| tag.value("id")).collect();
    fail(
        ids.iter().collect::<BTreeSet<_>>().len() != ids.len(),
        "an id twice",
    );
    for tag in &tags {
        let inline = [
            " style=",
            " onclick=",
            " onerror=",
            " onload=",
            "javascript:",
            " tabindex=",
        ];
        fail(
            inline.iter().any(|bad| tag.text.contains(bad)),
            "an inline attribute",
        );
        fail(
            tag.name == "img" && tag.value("alt").is_none(),
            "an image without alt",
        );
        let hidden = tag.value("type") == Some("hidden");
        fail(tag.name == "input" && !hidden, "a field without label");
        let wordless =
            ["button", "summary", "h1", "h2"].contains(&tag.name) && tag.inner.trim().is_empty();
        fail(wordless, "a control or heading without words");
        fail(
            tag.name == "form" && tag.value("method") != Some("post"),
            "a form that is no POST",
        );
        let label = tag.value("aria-labelledby");
        fail(
            label.is_some_and(|label| !ids.contains(&label)),
            "a label that is nowhere",
        );
    }
    faults.extend(unbalanced(page));
    faults
}

fn tags(page: &str) -> Vec<Tag<'_>> {
    let pieces = page.split('<').skip(1);
    let split = pieces.filter_map(|piece| piece.split_once('>'));
    split
        .filter(|(text, _)| !text.starts_with('/'))
        .map(|(text, inner)| Tag {
            name: text.split_whitespace().next().unwrap_or_default(),
            text,
            inner,
        })
        .collect()
}

fn unbalanced(page: &str) -> Option<String> {
    let mut open = Vec::new();
    for piece in page.split('<').skip(1) {
        let text = piece.split('>').next().unwrap_or_default();
        let name = text.split_whitespace().next().unwrap_or_default();
        if let Some(closed) = name.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return Some(format!("{closed} closes what is not open"));
            }
        } else if !VOID.contains(&name) {
            open.push(name);
        }
    }
    (!open.is_empty()).then(|| format!("{open:?} stay open"))
}
