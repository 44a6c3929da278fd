//! As much HTML as it takes to fill in a form

use http::Method;
use url::Url;

/// Elements whose content is text, whatever it looks like
const RAW: [&str; 3] = ["script", "style", "textarea"];

/// An opening or closing tag with its attributes
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The name in lower case; closing tags begin with a slash
    pub name: String,
    /// Names in lower case, values without their escapes
    pub attributes: Vec<(String, String)>,
    /// The text up to the next tag, without its escapes
    pub text: String,
}

/// A form as the page shows it, to fill in and send
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Where it goes
    pub action: Url,
    /// How it goes there
    pub method: Method,
    /// What would be sent now
    pub fields: Vec<(String, String)>,
    /// The buttons that send it, with the field each of them adds
    pub buttons: Vec<(String, String)>,
}

impl Tag {
    /// An attribute's value; empty where it has none
    #[must_use]
    pub fn get(&self, attribute: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(name, _)| name == attribute);
        found.map(|(_, value)| value.as_str())
    }
}

impl Form {
    /// A form with nothing in it
    #[must_use]
    pub const fn to(action: Url, method: Method) -> Self {
        Self {
            action,
            method,
            fields: Vec::new(),
            buttons: Vec::new(),
        }
    }

    /// Fill in a field
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Press a button, which adds its own field
    #[must_use]
    pub fn press(self, name: &str, value: &str) -> Self {
        self.set(name, value)
    }

    /// What a field holds now
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a field or a button has this name
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let mut all = self.fields.iter().chain(&self.buttons);
        all.any(|(field, _)| field == name)
    }

    fn open(page: &Url, tag: &Tag) -> Self {
        let action = page.join(tag.get("action").unwrap_or_default());
        let post = tag
            .get("method")
            .is_some_and(|method| method.eq_ignore_ascii_case("post"));
        let method = if post { Method::POST } else { Method::GET };
        Self::to(action.unwrap_or_else(|_| page.clone()), method)
    }

    fn add(&mut self, tag: &Tag) {
        let name = tag.get("name").unwrap_or_default().to_owned();
        let value = tag.get("value").unwrap_or_default().to_owned();
        let kind = tag.get("type").unwrap_or_default().to_ascii_lowercase();
        match (tag.name.as_str(), kind.as_str()) {
            ("button", "button" | "reset") | ("input", "button" | "reset" | "file") => {}
            ("button", _) | ("input", "submit") => self.buttons.push((name, value)),
            _ if name.is_empty() || tag.get("disabled").is_some() => {}
            ("input", "checkbox" | "radio") => self.tick(tag, name, value),
            ("input", _) => self.fields.push((name, value)),
            ("textarea", _) => self.fields.push((name, tag.text.clone())),
            _ => {}
        }
    }

    fn tick(&mut self, tag: &Tag, name: String, value: String) {
        if tag.get("checked").is_some() {
            let value = if value.is_empty() {
                "on".to_owned()
            } else {
                value
            };
            self.fields.push((name, value));
        }
    }
}

pub(super) fn forms(page: &Url, body: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut open: Option<Form> = None;
    for tag in tags(body) {
        match tag.name.as_str() {
            "form" => open = Some(Form::open(page, &tag)),
            "/form" => forms.extend(open.take()),
            _ => {
                if let Some(form) = &mut open {
                    form.add(&tag);
                }
            }
        }
    }
    forms.extend(open);
    forms
}

pub(super) fn tags(body: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = body;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
        } else if rest.starts_with(|first: char| first == '/' || first.is_ascii_alphabetic()) {
            let (tag, after) = tag(rest);
            rest = after;
            tags.push(tag);
        }
    }
    tags
}

/// The tag that begins after a `<`, and what follows it
fn tag(source: &str) -> (Tag, &str) {
    let end = source.find(|c: char| c.is_whitespace() || c == '>');
    let (name, mut rest) = source.split_at(end.unwrap_or(source.len()));
    let name = name.trim_end_matches('/').to_ascii_lowercase();
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() || rest.starts_with('>') {
            break;
        }
        let (attribute, after) = attribute(rest);
        attributes.push(attribute);
        rest = after;
    }
    rest = rest.strip_prefix('>').unwrap_or(rest);
    let end = if RAW.contains(&name.as_str()) {
        rest.find(&format!("</{name}"))
    } else {
        rest.find('<')
    };
    let (text, rest) = rest.split_at(end.unwrap_or(rest.len()));
    let text = unescape(text);
    (
        Tag {
            name,
            attributes,
            text,
        },
        rest,
    )
}

/// The attribute that begins here, and what follows it
fn attribute(source: &str) -> ((String, String), &str) {
    let end = source.find(|c: char| c.is_whitespace() || c == '=' || c == '>');
    let (name, rest) = source.split_at(end.unwrap_or(source.len()));
    let name = name.to_ascii_lowercase();
    let Some(value) = rest.trim_start().strip_prefix('=') else {
        // A stray equals sign was taken above, so this always moves on.
        return ((name, String::new()), rest);
    };
    let value = value.trim_start();
    let quote = value
        .chars()
        .next()
        .filter(|first| ['"', '\''].contains(first));
    let (value, rest) = match quote {
        Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
        None => value.split_at(
            value
                .find(|c: char| c.is_whitespace() || c == '>')
                .unwrap_or(value.len()),
        ),
    };
    ((name, unescape(value)), rest)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let entity = after.split_once(';');
        let known = entity.and_then(|(name, rest)| Some((character(name)?, rest)));
        let (character, after) = known.unwrap_or(('&', after));
        out.push(character);
        rest = after;
    }
    out.push_str(rest);
    out
}

fn character(entity: &str) -> Option<char> {
    if let Some(number) = entity.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A form sends what the page shows, in the page's order, and only that
    #[test]
    fn forms_hold_what_the_page_shows() {
        let page = Url::parse("https://a.example/b/c").unwrap();
        let body = r#"<!-- <form action=x> --><script>"<form>"</script>
            <form METHOD="post" action='../d?e=1&amp;f=2'><input name=g value="&#39;&quot;h">
            <input type=checkbox name=i><input type="checkbox" name="j" checked>
            <textarea name=k><b> &lt;</textarea><button name="l" value=m>go</button>
            <button type=button name=n></button></form>"#;
        let forms = forms(&page, body);
        assert_eq!(forms.len(), 1);
        assert_eq!(forms[0].action.as_str(), "https://a.example/d?e=1&f=2");
        assert_eq!(forms[0].method, Method::POST);
        let fields: Vec<_> = forms[0]
            .fields
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(fields, [("g", "'\"h"), ("j", "on"), ("k", "<b> <")]);
        assert_eq!(forms[0].buttons, [("l".to_owned(), "m".to_owned())]);
    }

    /// Broken markup ends, whatever it is
    #[test]
    fn broken_markup_ends() {
        for body in [
            "<",
            "<a",
            "<a =",
            "<a = =b",
            "<a b=\"",
            "<!--",
            "<form",
            "&",
            "<a b='&#x;'>",
            "</",
        ] {
            assert!(tags(body).len() <= 1, "{body}");
        }
    }
}
