//! What a test makes happen: sources, deliveries, events, and streams that end.

use bindery_proto::v1::{
    CreateSourceRequest, DeadLetter, Delivery, Event, Hook, OrphanHook, Push, Source,
    event::{Change, Origin, TriggerVerdict},
    hook,
};
use tonic::Status;

use super::{FakeBindery, consumers::Plan, triggers::parent, world::now};

impl FakeBindery {
    /// Connects a repository of a link as a source whose hook works, and returns its name.
    ///
    /// # Panics
    ///
    /// When the link is not bound or has no such repository.
    pub fn add_source(&self, link: &str, repository: &str) -> String {
        let request = CreateSourceRequest {
            parent: link.to_owned(),
            source: Some(Source {
                repository: repository.to_owned(),
                ..Source::default()
            }),
            ..CreateSourceRequest::default()
        };
        let mut state = self.world.lock();
        let source = match state.new_source(&request) {
            Ok(source) => source,
            Err(status) => panic!("{repository} can't be connected: {status}"),
        };
        let name = source.name.clone();
        state.sources.all.insert(name.clone(), source);
        name
    }

    /// Puts the hook of a source into a state.
    pub fn set_hook_state(&self, source: &str, hook_state: hook::State, message: &str) {
        let mut state = self.world.lock();
        if let Some(source) = state.sources.all.get_mut(source) {
            source.hook = Some(Hook {
                state: hook_state.into(),
                message: message.to_owned(),
                ..source.hook.take().unwrap_or_default()
            });
        }
    }

    /// Makes the hook of a source one that can't be changed, for example with `PROVIDER_DENIED`.
    pub fn deny_hook(&self, source: &str, reason: &str) {
        let mut state = self.world.lock();
        let stubborn = &mut state.sources.stubborn;
        stubborn.insert(source.to_owned(), reason.to_owned());
    }

    /// Adds a delivery to a source, and returns its name.
    pub fn add_delivery(&self, source: &str, delivery: Delivery) -> String {
        let mut state = self.world.lock();
        let name = format!("{source}/deliveries/delivery-{}", state.next());
        let delivery = Delivery {
            name: name.clone(),
            receive_time: delivery.receive_time.or_else(now),
            ..delivery
        };
        let deliveries = state.sources.deliveries.entry(source.to_owned());
        deliveries.or_default().push(delivery);
        name
    }

    /// Adds a hook that belongs to no source.
    pub fn add_orphan_hook(&self, hook: OrphanHook) {
        self.world.lock().sources.orphans.push(hook);
    }

    /// Makes a link one that can't be looked through for hooks.
    pub fn add_unreachable_link(&self, link: &str) {
        let mut state = self.world.lock();
        state.sources.unreachable.push(link.to_owned());
    }

    /// Publishes an event in a namespace, by its id, and returns the number that it got.
    pub fn publish(&self, namespace: &str, event: Event) -> i64 {
        let namespace = format!("namespaces/{namespace}");
        let event = self.world.lock().publish(&namespace, event);
        self.world.changed();
        event.sequence
    }

    /// Plays a push to a branch of a source, such as `refs/heads/main`, and returns the number of its event.
    pub fn push(&self, source: &str, full_ref: &str, commit: &str) -> i64 {
        let known = self.world.lock().source(source).cloned();
        let known = known.unwrap_or_default();
        let event = Event {
            link: parent(source, "/sources/").to_owned(),
            source: source.to_owned(),
            repository_stable_id: known.repository,
            repository_full_name: known.repository_full_name,
            origin: Origin::Delivery.into(),
            verdict: TriggerVerdict::Trigger.into(),
            change: Some(Change::Push(Push {
                r#ref: full_ref.to_owned(),
                after_commit_id: commit.to_owned(),
                ..Push::default()
            })),
            ..Event::default()
        };
        let namespace = parent(source, "/links/");
        let event = self.world.lock().publish(namespace, event);
        self.world.changed();
        event.sequence
    }

    /// Forgets the events of a namespace up to one, as retention does.
    pub fn forget_events(&self, namespace: &str, until: i64) {
        let namespace = format!("namespaces/{namespace}");
        self.world.lock().forget(&namespace, until);
    }

    /// Adds an event that the endpoint of a subscription did not accept.
    pub fn add_dead_letter(&self, subscription: &str, letter: DeadLetter) {
        let mut state = self.world.lock();
        let letters = state.dead_letters.entry(subscription.to_owned());
        letters.or_default().push(letter);
    }

    /// Makes the next stream of events end after so many. Further ones queue up.
    pub fn end_watch_after(&self, events: usize, status: impl Into<Status>) {
        let plan = Plan::EndAfter(events, status.into());
        self.world.lock().feeds.plans.push_back(plan);
    }

    /// Makes the next stream of events one that is there and never sends anything. Further ones queue up.
    pub fn mute_next_watch(&self) {
        self.world.lock().feeds.plans.push_back(Plan::Mute);
    }

    /// The last event that a consumer of a namespace acknowledged; 0 before the first.
    #[must_use]
    pub fn acknowledged(&self, namespace: &str, consumer: &str) -> i64 {
        let name = format!("namespaces/{namespace}/consumers/{consumer}");
        let state = self.world.lock();
        let follower = state.feeds.followers.get(&name);
        follower.map_or(0, |one| one.consumer.acknowledged_sequence)
    }
}
