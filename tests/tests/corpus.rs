//! Every recording and every description is read by a test: none lies there for nothing.

use std::{env, fs, path::Path};

use bindery_tests::sources::{self, read, root};

/// Folders that a test reads whole, whatever is in them: the folder, the test's source, and the words that read it.
const WHOLE: [(&str, &str, &str); 15] = [
    (
        "bitbucket-dc/api",
        "plugins/bitbucket/tests/every_file.rs",
        "corpus.replies(\"bitbucket-dc/api\")",
    ),
    (
        "bitbucket-dc/webhooks",
        "plugins/bitbucket/tests/deliveries.rs",
        "corpus.deliveries(\"bitbucket-dc/webhooks\")",
    ),
    (
        "bitbucket/api",
        "plugins/bitbucket/tests/every_file.rs",
        "corpus.replies(\"bitbucket/api\")",
    ),
    (
        "bitbucket/webhooks",
        "plugins/bitbucket/tests/deliveries.rs",
        "corpus.deliveries(\"bitbucket/webhooks\")",
    ),
    (
        "forgejo/webhooks",
        "plugins/gitea/tests/webhooks.rs",
        "for provider in [\"forgejo\", \"gitea\", \"gogs\"]",
    ),
    (
        "gitea/api",
        "plugins/gitea/tests/every_file.rs",
        "for provider in [\"gitea\", \"gogs\"]",
    ),
    (
        "gitea/webhooks",
        "plugins/gitea/tests/webhooks.rs",
        "for provider in [\"forgejo\", \"gitea\", \"gogs\"]",
    ),
    (
        "gitee/api",
        "plugins/gitee/tests/every_file.rs",
        "corpus.replies(\"gitee/api\")",
    ),
    (
        "gitee/webhooks",
        "plugins/gitee/tests/deliveries.rs",
        "corpus.deliveries(\"gitee/webhooks\")",
    ),
    (
        "github/api",
        "plugins/github/tests/every_file.rs",
        "corpus.replies(\"github/api\")",
    ),
    (
        "github/webhooks",
        "plugins/github/tests/deliveries.rs",
        "corpus.deliveries(\"github/webhooks\")",
    ),
    (
        "gitlab/api",
        "plugins/gitlab/tests/corpus.rs",
        "join(\"gitlab/api\")",
    ),
    (
        "gitlab/webhooks",
        "plugins/gitlab/tests/deliveries.rs",
        ".deliveries(\"gitlab/webhooks\")",
    ),
    (
        "gogs/api",
        "plugins/gitea/tests/every_file.rs",
        "for provider in [\"gitea\", \"gogs\"]",
    ),
    (
        "gogs/webhooks",
        "plugins/gitea/tests/webhooks.rs",
        "for provider in [\"forgejo\", \"gitea\", \"gogs\"]",
    ),
];

/// Files that a test reads because another one refers to them: the file, and the one that refers to it.
const REFERRED: [(&str, &str); 1] = [(
    "gitlab/openapi/schema.commit__basic.json",
    "gitlab/openapi/schema.branch.json",
)];

/// What no test has to read.
const PROSE: &str = "README.md";

/// Each file of the recordings is in a folder that a test reads whole, or a test names it.
#[test]
fn every_file_is_read_by_a_test() {
    let Some(corpus) = env::var_os("BINDERY_CORPUS").filter(|folder| !folder.is_empty()) else {
        bindery_tests::not_run("not run: BINDERY_CORPUS is not set");
        return;
    };
    let files = files(Path::new(&corpus), "");
    assert!(files.len() > 200, "{} files", files.len());
    let sources = texts();
    let unread: Vec<_> = files
        .iter()
        .filter(|file| !file.ends_with(PROSE) && !read_whole(file))
        .filter(|file| !referred(Path::new(&corpus), file) && !named(file, &sources))
        .collect();
    assert!(unread.is_empty(), "no test reads these: {unread:#?}");
}

/// The tests that are said to read a folder do.
#[test]
fn folders_are_read_where_it_is_said() {
    for (folder, source, words) in WHOLE {
        assert!(
            read(source).contains(words),
            "{source} does not read {folder}"
        );
    }
}

/// All files below a folder, by their path in it.
fn files(folder: &Path, within: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        let name = format!("{within}{name}");
        if path.is_dir() {
            found.extend(files(&path, &format!("{name}/")));
        } else {
            found.push(name);
        }
    }
    found
}

fn read_whole(file: &str) -> bool {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    WHOLE.iter().any(|(whole, ..)| *whole == folder)
}

/// Another file of the same folder refers to it: `commit/basic.json` is `schema.commit__basic.json` here.
fn referred(corpus: &Path, file: &str) -> bool {
    let Some((_, by)) = REFERRED.iter().find(|(known, _)| *known == file) else {
        return false;
    };
    let (_, name) = file.split_once("schema.").unwrap_or(("", file));
    let text = fs::read_to_string(corpus.join(by)).expect("a schema");
    text.contains(&name.replace("__", "/"))
}

/// A test has the path in its text, with or without what follows the last dot.
fn named(file: &str, sources: &[String]) -> bool {
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let stem = name.strip_suffix(".json").unwrap_or(name);
    sources.iter().any(|text| {
        let whole = text.contains(file);
        let apart = text.contains(&format!("\"{stem}\"")) && text.contains(&format!("{folder}/"));
        whole || apart
    })
}

/// The text of all sources but this one.
fn texts() -> Vec<String> {
    let mut texts = Vec::new();
    for folder in sources::FOLDERS {
        sources::each(&root().join(folder), &mut |path, text| {
            if !path.ends_with("tests/tests/corpus.rs") {
                texts.push(text.to_owned());
            }
        });
    }
    texts
}
