//! What was delivered, and how to get it once more: GitHub never tries again by itself

use bindery_twins::hooks::{Hook, Sent};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::api::Call;
use super::super::reply::{Outcome, Reply};
use super::super::world::Repo;
use super::{PAGE, value, words};

/// Deliveries that are older are forgotten: three days
const KEPT_MS: u64 = 3 * 86_400_000;

impl Call<'_> {
    pub(super) fn deliveries(&self, repo: &Repo, hook: &Hook, rest: &[&str]) -> Outcome {
        self.deliveries_at(&value::url(self.inner, repo, hook), hook, rest)
    }

    /// Deliveries of a hook that is at `url`
    pub(super) fn deliveries_at(&self, url: &str, hook: &Hook, rest: &[&str]) -> Outcome {
        match (self.method, rest) {
            (&Method::GET, []) => self.list_deliveries(url, hook),
            (&Method::GET, [id]) => {
                let sent = self.delivery(hook, id)?;
                Ok(Reply::json(value::delivery_full(&sent)))
            }
            (&Method::POST, [id, "attempts"]) => {
                let sent = self.delivery(hook, id)?;
                self.inner.redeliver(hook, &sent.delivery);
                let mut reply = Reply::json(json!({}));
                reply.status = StatusCode::ACCEPTED;
                Ok(reply)
            }
            _ => Err(Reply::not_found(PAGE)),
        }
    }

    /// The newest first, from a cursor on
    fn list_deliveries(&self, url: &str, hook: &Hook) -> Outcome {
        let failed = match self.value("status") {
            None => None,
            Some("success") => Some(false),
            Some("failure") => Some(true),
            Some(_) => return Err(Reply::unprocessable(PAGE, "Validation Failed")),
        };
        let number = |name| self.value(name).and_then(|text| text.parse().ok());
        let before = number("cursor").unwrap_or(u64::MAX);
        let size = number("per_page").unwrap_or(30).clamp(1, 100);
        let wanted = |sent: &&Sent| {
            let fails = words(sent.outcome).0 >= 300;
            self.remembers(hook, sent) && failed.is_none_or(|failed| failed == fails)
        };
        let world = self.inner.world();
        let mut found: Vec<_> = world.hooks.sent().iter().filter(wanted).collect();
        found.sort_by_key(|sent| std::cmp::Reverse(sent.delivery.id));
        found.retain(|sent| sent.delivery.id < before);
        let size = usize::try_from(size).unwrap_or(30);
        let page: Vec<Value> = found
            .iter()
            .take(size)
            .map(|sent| value::delivery(sent))
            .collect();
        let more = found.len() > size;
        let last = page.last().and_then(|one| one["id"].as_u64());
        let reply = Reply::json(page.into());
        let Some(last) = last.filter(|_| more) else {
            return Ok(reply);
        };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.query.iter().filter(|(name, _)| name != "cursor"));
        query.append_pair("cursor", &last.to_string());
        let next = format!("<{url}/deliveries?{}>; rel=\"next\"", query.finish());
        Ok(reply.with("link", next))
    }

    fn delivery(&self, hook: &Hook, id: &str) -> Result<Sent, Reply> {
        let world = self.inner.world();
        let mut all = world.hooks.sent().iter();
        let found = all.find(|sent| sent.delivery.id.to_string() == id);
        let found = found.filter(|sent| self.remembers(hook, sent));
        found.cloned().ok_or_else(|| Reply::not_found(PAGE))
    }

    fn remembers(&self, hook: &Hook, sent: &Sent) -> bool {
        sent.delivery.hook == hook.id && sent.at_ms + KEPT_MS > self.inner.now_ms()
    }
}
