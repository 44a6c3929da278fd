//! Text from a plugin: bounded, and free of what could fake a log line or turn a terminal around

/// Longest message for people.
pub(crate) const MESSAGE: usize = 1024;

/// `text` on one line, without control and formatting characters, at most `limit` bytes.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        let c = match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            c if is_unsafe(c) => continue,
            c => c,
        };
        if out.len() + c.len_utf8() > limit {
            break;
        }
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

/// As [`clean`], but lines stay lines.
pub(crate) fn clean_lines(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for (n, line) in text.lines().enumerate() {
        if n > 0 && out.len() < limit {
            out.push('\n');
        }
        out.push_str(&clean(line, limit - out.len()));
    }
    out.truncate(out.trim_end().len());
    out
}

/// `bytes` as clean text.
pub(crate) fn clean_bytes(bytes: &[u8], limit: usize) -> String {
    clean(&String::from_utf8_lossy(bytes), limit)
}

/// Whether `text` holds nothing that is invisible or moves the cursor.
pub(crate) fn is_clean(text: &str) -> bool {
    !text.chars().any(is_unsafe)
}

/// Control characters, and the formatting characters that hide text or change its direction.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P7: no text of a plugin starts a line of its own, colours a terminal, hides or reverses anything, or grows.
    #[test]
    fn p7_text_is_one_bounded_line() {
        assert_eq!(clean("a\nINFO b\x1b[31m\u{202e}c\0", 100), "a INFO b[31mc");
        assert_eq!(clean("ääää", 5), "ää");
        assert_eq!(clean_lines("a\r\n\x1b[1mb\n\n", 100), "a\n[1mb");
        assert_eq!(clean_lines("ab\ncd\nef", 4), "ab\nc");
        assert_eq!(clean_bytes(b"\xff ok \n", 100), "\u{fffd} ok");
        assert!(is_clean("grün/ok") && !is_clean("a\u{200b}b") && !is_clean("a\rb"));
    }
}
