//! What a pattern matches, over a table and over random paths

use super::*;
use crate::testing::Random;

const API: &str = "https://git.corp/api/v1";

fn allowed(pattern: &str, method: &str, url: &str) -> bool {
    let pattern: Pattern = pattern.parse().expect(pattern);
    path_below(url, API).is_ok_and(|path| pattern.matches(Base::Api, method, &path))
}

/// P8: exactly the meant paths match, whatever the query.
#[test]
fn p8_patterns_match_what_they_say() {
    let repos = "GET /repos/{owner}/{repo}";
    let rest = "GET /repos/{path...}";
    for (pattern, method, path, expected) in [
        (repos, "GET", "/repos/a/b", true),
        (repos, "GET", "/repos/a/b?page=2&q=/repos/x", true),
        (repos, "GET", "/repos/a/b%20c", true),
        (repos, "POST", "/repos/a/b", false),
        (repos, "get", "/repos/a/b", false),
        (repos, "GET", "/repos/a", false),
        (repos, "GET", "/repos/a/b/c", false),
        (repos, "GET", "/repos/a/b/", false),
        (repos, "GET", "/Repos/a/b", false),
        (repos, "GET", "/repos//b", false),
        (rest, "GET", "/repos/a", true),
        (rest, "GET", "/repos/a/b/c", true),
        (rest, "GET", "/repos", false),
        (rest, "GET", "/repos/", false),
        ("GET /", "GET", "", true),
        ("GET /", "GET", "/", true),
        ("GET /", "GET", "/x", false),
    ] {
        assert_eq!(
            allowed(pattern, method, &format!("{API}{path}")),
            expected,
            "{pattern} {method} {path}"
        );
    }
}

/// P8: a path that a server could read as another one, and another origin that begins alike, match nothing.
#[test]
fn p8_tricks_match_nothing() {
    for path in [
        "/repos/../user",
        "/repos/./b",
        "/repos/a/..",
        "/repos/a%2fb/c",
        "/repos/a%2Fb/c",
        "/repos/%2e%2e/user",
        "/repos/.%2E/user",
        "/repos/a/b%5c",
        "/repos/a\\b/c",
        "/repos/a/b#x",
        "/repos/a/b?x#y",
        "/repos/a/b c",
        "/repos/a/b\n",
        "/repos/a/\u{e9}",
        "/repos/a/%",
        "/repos/a/%4",
        "/repos/a/%zz",
        "/repos/a/%252e%252e",
        "/repos/a/..;x",
        "/repos/a/;x",
        "/repos/a/%00",
        "/repos/a/b%3fx",
        "/repos/a/b%23",
        "/repos/a/%+1",
        "/repos/a/b?\t",
        "evil/repos/a/b",
        "@evil.example/repos/a/b",
        ":444/repos/a/b",
        ".evil.example/repos/a/b",
    ] {
        let url = format!("{API}{path}");
        assert!(!allowed("GET /{x...}", "GET", &url), "{path:?}");
    }
    for url in [
        "https://git.corp/api/v2/user",
        "http://git.corp/api/v1/user",
        "https://GIT.corp/api/v1/user",
        "/user",
    ] {
        assert_eq!(path_below(url, API), Err(BadUrl::Elsewhere), "{url}");
    }
    assert_eq!(path_below("/user", ""), Err(BadUrl::Elsewhere));
}

/// Patterns that say nothing clear are refused when the manifest is read.
#[test]
fn unclear_patterns_are_refused() {
    for bad in [
        "",
        "GET",
        "GET repos",
        "get /x",
        "GET  /x",
        "GET /{x...}/y",
        "GET /a//b",
        "GET /a/",
        "GET /../a",
        "GET /{}",
        "GET /{X}",
        "GET /{+}",
        "GET /{x+...}",
        "GET /{x++}",
        "GET /a%2Fb",
        "GET /a{x}",
        "ftp:GET /x",
        "GET /a?b",
        "GET /%2e",
    ] {
        assert!(bad.parse::<Pattern>().is_err(), "{bad:?}");
    }
}

/// P8: a placeholder takes any plain segment and no more than one; replacing a literal never matches.
#[test]
fn p8_placeholders_take_one_segment() {
    let mut random = Random::new(3);
    for _ in 0..5000 {
        let path: Vec<String> = (0..1 + random.below(5)).map(|_| random.word()).collect();
        let holes: Vec<bool> = path.iter().map(|_| random.below(2) == 0).collect();
        let parts: Vec<String> = path
            .iter()
            .zip(&holes)
            .map(|(s, hole)| if *hole { "{x}".into() } else { s.clone() })
            .collect();
        let pattern = format!("GET /{}", parts.join("/"));
        let url = |path: &[String]| format!("{API}/{}", path.join("/"));
        assert!(allowed(&pattern, "GET", &url(&path)), "{pattern} {path:?}");
        let mut longer = path.clone();
        longer.push(random.word());
        assert!(
            !allowed(&pattern, "GET", &url(&longer)),
            "{pattern} {longer:?}"
        );
        assert!(
            !allowed(&pattern, "GET", &url(&path[..path.len() - 1])),
            "{pattern}"
        );
        let at = random.below(path.len());
        let mut other = path.clone();
        other[at].push('x');
        assert_eq!(
            allowed(&pattern, "GET", &url(&other)),
            holes[at],
            "{pattern} {other:?}"
        );
    }
}

/// P8: an encoded slash gets through where the pattern says so, in one spelling, between plain parts, and nowhere else.
#[test]
fn p8_only_a_joined_placeholder_takes_an_encoded_slash() {
    let joined = "GET /projects/{project+}/repository/tags";
    for (path, expected) in [
        ("/projects/81/repository/tags", true),
        ("/projects/group%2Fproj/repository/tags?page=2", true),
        ("/projects/group%2Fsub%2Fproj/repository/tags", true),
        ("/projects/group/proj/repository/tags", false),
        ("/projects/group%2Fproj/repository%2Ftags", false),
        ("/projects%2Fgroup/proj/repository/tags", false),
        ("/projects/group%2fproj/repository/tags", false),
        ("/projects/group%2F/repository/tags", false),
        ("/projects/%2Fproj/repository/tags", false),
        ("/projects/a%2F%2Fb/repository/tags", false),
        ("/projects/a%2F..%2Fb/repository/tags", false),
        ("/projects/a%2F.%2Fb/repository/tags", false),
        ("/projects/a%2F..;x%2Fb/repository/tags", false),
        ("/projects/a%2F%2e%2e%2Fb/repository/tags", false),
        ("/projects/a%2F%2E%2E%2Fb/repository/tags", false),
        ("/projects/a%252Fb/repository/tags", false),
        ("/projects/a%2F%5Cb/repository/tags", false),
        ("/projects/a%2Fb%3Fx/repository/tags", false),
        ("/projects/a%2Fb%00/repository/tags", false),
    ] {
        let url = format!("{API}{path}");
        assert_eq!(allowed(joined, "GET", &url), expected, "{path}");
    }
    for pattern in [
        "GET /projects/{project}/repository/tags",
        "GET /projects/{rest...}",
        "GET /{rest...}",
        "GET /projects/group/proj/repository/tags",
    ] {
        let url = format!("{API}/projects/group%2Fproj/repository/tags");
        assert!(!allowed(pattern, "GET", &url), "{pattern}");
    }
    let rest_behind = "GET /projects/{project+}/{rest...}";
    for (path, expected) in [
        ("/projects/a%2Fb/x/y", true),
        ("/projects/a%2Fb/x%2Fy", false),
    ] {
        assert_eq!(
            allowed(rest_behind, "GET", &format!("{API}{path}")),
            expected,
            "{path}"
        );
    }
}

/// P8: whatever bytes a URL has, what matches is made of plain segments below the base; an encoded slash only joins them.
#[test]
fn p8_random_urls_never_escape() {
    const ALPHABET: &[u8] = b"/..%2eEfF5cC;?#@:\\ax\0 {}";
    let mut random = Random::new(4);
    for _ in 0..20_000 {
        let tail: String = (0..random.below(24))
            .map(|_| char::from(ALPHABET[random.below(ALPHABET.len())]))
            .collect();
        let url = format!("{API}{tail}");
        let Ok(path) = path_below(&url, API) else {
            continue;
        };
        for segment in path.iter().flat_map(|segment| segment.split("%2F")) {
            let lower = segment.to_ascii_lowercase();
            assert!(
                !segment.is_empty() && segment != "." && segment != "..",
                "{url:?}"
            );
            assert!(
                !["%2f", "%5c", "%2e", "\\", "#", "?", "/"]
                    .iter()
                    .any(|bad| lower.contains(bad)),
                "{url:?}"
            );
        }
    }
}
