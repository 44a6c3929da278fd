//! Recorded bodies of webhooks, and what somebody else read in them
//!
//! Beside a body there may be what another parser made of it: `X.expected.json` beside `X.json`, in the shape of go-scm. It
//! names the repository, the sender, the ref and the ids before and after, and those have to be the same here.

use bindery_plugin_proto::v1::{self, happening::Kind};
use serde_json::Value;

use super::Corpus;
use crate::delivery::commit_id;

/// A recorded body.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Name of its file.
    pub name: String,
    /// The body, byte by byte.
    pub body: Vec<u8>,
    /// What another parser read in it.
    pub expected: Option<Value>,
}

impl Corpus {
    /// Every body below a folder, by name.
    ///
    /// # Panics
    ///
    /// If the folder or a file can't be read.
    #[track_caller]
    pub fn deliveries(&self, folder: &str) -> Vec<Recorded> {
        let names = self.names(folder);
        let bodies = names
            .iter()
            .filter(|name| !name.ends_with(".expected.json"));
        let read = |name: &String| {
            let oracle = name.replace(".json", ".expected.json");
            let expected = names.contains(&oracle);
            Recorded {
                name: name.clone(),
                body: self.bytes(&format!("{folder}/{name}")),
                expected: expected.then(|| self.json(&format!("{folder}/{oracle}"))),
            }
        };
        bodies.map(read).collect()
    }
}

impl Recorded {
    /// The input that asks what it says, as an event.
    pub fn ask(&self, event: &str) -> v1::ParseDelivery {
        v1::ParseDelivery {
            event: event.to_owned(),
            headers: Vec::new(),
            body: self.body.clone(),
        }
    }

    /// Compares what was read with what another parser read, where there is that. What is not told here is not compared:
    /// the caller knows what has to be.
    ///
    /// # Errors
    ///
    /// What differs, in words.
    pub fn compare(&self, delivered: &v1::Delivered) -> Result<(), String> {
        let Some(expected) = &self.expected else {
            return Ok(());
        };
        let told = Told { expected };
        if let Some(repository) = &delivered.repository {
            told.is("id of the repository", "/Repo/ID", &repository.stable_id)?;
            let full_name = format!(
                "{}/{}",
                told.text("/Repo/Namespace"),
                told.text("/Repo/Name")
            );
            same("name of the repository", &full_name, &repository.full_name)?;
        }
        if let Some(actor) = &delivered.actor {
            let login = told.text("/Sender/Login");
            // Another parser may have the form of it that is in URLs.
            if !login.eq_ignore_ascii_case(&actor.login) {
                same("login of the sender", login, &actor.login)?;
            }
        }
        match delivered.happenings.as_slice() {
            [one] => told.happening(one.kind.as_ref()),
            // Several changes in one delivery are not told by the other one, and of none there is nothing to compare.
            _ => Ok(()),
        }
    }
}

struct Told<'a> {
    expected: &'a Value,
}

impl Told<'_> {
    fn text(&self, pointer: &str) -> &str {
        let found = self.expected.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default()
    }

    fn is(&self, what: &str, pointer: &str, here: &str) -> Result<(), String> {
        same(what, self.text(pointer), here)
    }

    /// A full name, or a short one in an object.
    fn has_ref(&self, reference: &str) -> Result<(), String> {
        let short = reference.splitn(3, '/').nth(2).unwrap_or_default();
        match self.expected.get("Ref") {
            Some(Value::String(full)) => same("ref", full, reference),
            _ => self.is("ref", "/Ref/Name", short),
        }
    }

    /// What the ref points to now, or did before it was deleted.
    fn id(&self, plain: &str) -> String {
        match self.text(plain) {
            "" => commit_id(self.text("/Ref/Sha")),
            id => commit_id(id),
        }
    }

    fn happening(&self, kind: Option<&Kind>) -> Result<(), String> {
        match kind {
            Some(Kind::Push(push)) => self.push(push),
            Some(Kind::TagCreated(tag)) => {
                self.has_ref(&tag.r#ref)?;
                let after = self.id("/After");
                // Which of the two it is nobody may tell, and then none is told.
                let known =
                    tag.commit.is_empty() || [&tag.commit, &tag.tag_object].contains(&&after);
                known
                    .then_some(())
                    .ok_or("another id of the tag".to_owned())
            }
            Some(Kind::RefDeleted(gone)) => {
                self.has_ref(&gone.r#ref)?;
                // Of a tag that may have been the id of its object.
                match gone.before.as_str() {
                    "" => Ok(()),
                    before => same("id before", &self.id("/Before"), before),
                }
            }
            Some(Kind::RepositoryChanged(_)) | None => Ok(()),
        }
    }

    fn push(&self, push: &v1::Push) -> Result<(), String> {
        self.has_ref(&push.r#ref)?;
        same("id before", &commit_id(self.text("/Before")), &push.before)?;
        same("id after", &self.id("/After"), &push.after)?;
        let commits = self.expected.get("Commits").and_then(Value::as_array);
        for there in commits.into_iter().flatten() {
            Self::commit(there, push)?;
        }
        Ok(())
    }

    /// A commit that is told there is told here, if any is, with the same message if that is told at all.
    fn commit(there: &Value, push: &v1::Push) -> Result<(), String> {
        let text = |name: &str| there[name].as_str().unwrap_or_default();
        let found = push.commits.iter().find(|here| here.id == text("Sha"));
        match (found, text("Message")) {
            (None, _) if push.commits.is_empty() => Ok(()),
            (None, _) => Err(format!("commit {} is missing", text("Sha"))),
            (Some(_), "") => Ok(()),
            (Some(here), message) => same("message", message, &here.message),
        }
    }
}

fn same(what: &str, there: &str, here: &str) -> Result<(), String> {
    if there == here {
        Ok(())
    } else {
        Err(format!("{what}: {here:?} here, {there:?} there"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::delivery::{happening, ref_change};

    const ZEROS: &str = "0000000000000000000000000000000000000000";
    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn recorded(expected: Value) -> Recorded {
        let repository = json!({"ID": "7", "Namespace": "acme", "Name": "api"});
        let mut expected = expected;
        expected["Repo"] = repository;
        expected["Sender"] = json!({"Login": "ada"});
        Recorded {
            name: "x.json".to_owned(),
            body: Vec::new(),
            expected: Some(expected),
        }
    }

    fn delivered(happening: v1::Happening) -> v1::Delivered {
        v1::Delivered {
            repository: Some(v1::DeliveredRepository {
                stable_id: "7".to_owned(),
                full_name: "acme/api".to_owned(),
            }),
            actor: Some(v1::Person {
                login: "ada".to_owned(),
                ..v1::Person::default()
            }),
            happenings: vec![happening],
            ..v1::Delivered::default()
        }
    }

    /// The same is the same in both shapes, and each difference is one.
    #[test]
    fn differences_are_found() {
        let long = recorded(json!({"Ref": "refs/heads/a/b", "Before": ZEROS, "After": A}));
        let short = recorded(json!({"Ref": {"Name": "a/b", "Sha": A}}));
        let push = delivered(ref_change("refs/heads/a/b", "", A).unwrap());
        assert_eq!(long.compare(&push), Ok(()));
        assert_eq!(short.compare(&push), Ok(()));
        let gone = delivered(ref_change("refs/heads/a/b", A, ZEROS).unwrap());
        assert_eq!(short.compare(&gone), Ok(()));
        let mut other_repository = push.clone();
        other_repository.repository.as_mut().unwrap().stable_id = "8".to_owned();
        let mut other_actor = push.clone();
        other_actor.actor.as_mut().unwrap().login = "eve".to_owned();
        for other in [
            other_repository,
            other_actor,
            delivered(ref_change("refs/heads/b", "", A).unwrap()),
            delivered(ref_change("refs/heads/a/b", A, A).unwrap()),
            delivered(happening(Kind::TagCreated(v1::TagCreated {
                r#ref: "refs/tags/a/b".to_owned(),
                commit: A.replace('a', "b"),
                ..v1::TagCreated::default()
            }))),
        ] {
            assert!(long.compare(&other).is_err(), "{other:?}");
        }
    }
}
