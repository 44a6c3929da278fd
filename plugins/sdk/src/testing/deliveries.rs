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

/// How much of a delivery another parser's result was compared with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compared {
    /// There is no other result.
    Nothing,
    /// Repository and person: nothing is told here that happened.
    Frame,
    /// These, and what happened to a ref.
    Refs,
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

    /// Compares what was read with what another parser read, where there is that. Of several changes in one delivery the
    /// other one told one, and that has to be among those that are told here. Where nothing is told here, no ref is compared:
    /// the caller knows what has to be, and sees in the answer how much was compared.
    ///
    /// # Errors
    ///
    /// What differs, in words.
    pub fn compare(&self, delivered: &v1::Delivered) -> Result<Compared, String> {
        let Some(expected) = &self.expected else {
            return Ok(Compared::Nothing);
        };
        let told = Told { expected };
        told.frame(delivered)?;
        let each = delivered.happenings.iter();
        let said: Vec<_> = each.map(|one| told.happening(one.kind.as_ref())).collect();
        if said.is_empty() {
            return Ok(Compared::Frame);
        }
        if said.iter().any(Result::is_ok) {
            return Ok(Compared::Refs);
        }
        let differences: Vec<_> = said.into_iter().filter_map(Result::err).collect();
        Err(differences.join("; "))
    }
}

struct Told<'a> {
    expected: &'a Value,
}

impl Told<'_> {
    /// The repository and the person, where they are told here.
    fn frame(&self, delivered: &v1::Delivered) -> Result<(), String> {
        if let Some(repository) = &delivered.repository {
            self.is("id of the repository", "/Repo/ID", &repository.stable_id)?;
            let full_name = format!(
                "{}/{}",
                self.text("/Repo/Namespace"),
                self.text("/Repo/Name")
            );
            same("name of the repository", &full_name, &repository.full_name)?;
        }
        if let Some(actor) = &delivered.actor {
            let login = self.text("/Sender/Login");
            // Another parser may have the form of it that is in URLs.
            if !login.eq_ignore_ascii_case(&actor.login) {
                same("login of the sender", login, &actor.login)?;
            }
        }
        Ok(())
    }

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

    /// What the ref points to now, or did before it was deleted: the first of these that is told.
    fn id(&self, pointers: &[&str]) -> String {
        let told = pointers.iter().map(|pointer| self.text(pointer));
        commit_id(told.into_iter().find(|id| !id.is_empty()).unwrap_or(""))
    }

    fn happening(&self, kind: Option<&Kind>) -> Result<(), String> {
        match kind {
            Some(Kind::Push(push)) => self.push(push),
            Some(Kind::TagCreated(tag)) => {
                self.has_ref(&tag.r#ref)?;
                let after = self.id(&["/After", "/Ref/Sha"]);
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
                    before => same("id before", &self.id(&["/Before", "/Ref/Sha"]), before),
                }
            }
            Some(Kind::RepositoryChanged(_)) | None => Ok(()),
        }
    }

    fn push(&self, push: &v1::Push) -> Result<(), String> {
        self.has_ref(&push.r#ref)?;
        if !self.text("/Before").is_empty() {
            same("id before", &self.id(&["/Before"]), &push.before)?;
        }
        let after = self.id(&["/After", "/Commit/Sha", "/Ref/Sha"]);
        same("id after", &after, &push.after)?;
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
        assert_eq!(long.compare(&push), Ok(Compared::Refs));
        assert_eq!(short.compare(&push), Ok(Compared::Refs));
        let gone = delivered(ref_change("refs/heads/a/b", A, ZEROS).unwrap());
        assert_eq!(short.compare(&gone), Ok(Compared::Refs));
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
    /// Of several changes one is the other parser's; of none no ref is compared, and that is said.
    #[test]
    fn several_and_none_are_compared_as_far_as_they_go() {
        let told = recorded(json!({"Ref": "refs/heads/a", "Before": ZEROS, "After": A}));
        let push = |name: &str| ref_change(name, "", A).unwrap();
        let mut several = delivered(push("refs/heads/b"));
        several.happenings.push(push("refs/heads/a"));
        assert_eq!(told.compare(&several), Ok(Compared::Refs));
        several.happenings.pop();
        several.happenings.push(push("refs/heads/c"));
        assert!(told.compare(&several).is_err());
        let mut none = delivered(push("refs/heads/a"));
        none.happenings.clear();
        assert_eq!(told.compare(&none), Ok(Compared::Frame));
        none.actor.as_mut().unwrap().login = "eve".to_owned();
        assert!(told.compare(&none).is_err());
        let nothing = Recorded {
            expected: None,
            ..told
        };
        assert_eq!(nothing.compare(&none), Ok(Compared::Nothing));
    }
}
