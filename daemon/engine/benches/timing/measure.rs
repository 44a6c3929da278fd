//! Times of deliveries that nothing proves.

use std::time::Instant;

use bindery_core::{
    hook::{Hook, HookSecrets},
    name::HookId,
    port::{Key, Record},
    secret::Secret,
};
use bindery_engine::{
    Engine,
    intake::{Incoming, Refused, Taken},
};
use ring::rand::{SecureRandom, SystemRandom};

use crate::{
    support::{Hooked, SECRET, incoming},
    welch::Samples,
};

/// Ids as hooks have them: that of the one that is there, and another.
pub(crate) const KNOWN: &str = "mfrggzdfmztwq2lknnwg23tpoa";
pub(crate) const UNKNOWN: &str = "ob2xg2dfoj4w64tfmzzxi2lomu";

/// Bytes of a body.
pub(crate) const BODY: usize = 1024;

/// Samples that are thrown away: nothing is measured cold.
const WARM: usize = 1000;

/// What takes the deliveries.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Variant {
    /// The intake as it is.
    Real,
    /// The control: where there is no such hook nothing is verified.
    AnswersAtOnce,
}

/// An intake with one hook, and what it is sent.
pub(crate) struct Intake {
    engine: Engine,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Intake {
    /// One hook with this scheme, and no other.
    pub(crate) async fn new(hooked: &Hooked, scheme: &str) -> Self {
        put_hook(hooked, scheme).await;
        Self {
            engine: hooked.world.engine.clone(),
            headers: headers(scheme),
            body: "x".repeat(BODY),
        }
    }

    /// A delivery of the hook that is there, or of one that is not; but for that they are the same.
    fn delivery(&self, known: bool) -> Incoming {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        let headers: Vec<_> = headers.collect();
        let id = if known { KNOWN } else { UNKNOWN };
        Incoming {
            hook: id.to_owned(),
            ..incoming(1, &headers, &self.body)
        }
    }

    async fn take(&self, variant: Variant, delivery: Incoming) -> Result<Taken, Refused> {
        if variant == Variant::AnswersAtOnce {
            let id = HookId::parse(&delivery.hook).expect("a name");
            if self.engine.hook(&id).await.expect("read").is_none() {
                return Err(Refused::Forged);
            }
        }
        self.engine.take_delivery(delivery).await
    }

    /// How long one delivery takes, in nanoseconds.
    async fn time(&self, variant: Variant, known: bool) -> f64 {
        let delivery = self.delivery(known);
        let began = Instant::now();
        let answer = self.take(variant, delivery).await;
        let took = began.elapsed();
        assert_eq!(answer, Err(Refused::Forged));
        took.as_secs_f64() * 1e9
    }
}

/// What stands for a signature in a scheme, and is not right.
pub(crate) fn headers(scheme: &str) -> Vec<(&'static str, String)> {
    let signature = "0123456789abcdef".repeat(4);
    match scheme {
        "hmac" => vec![("x-forge-signature", format!("sha256={signature}"))],
        "token" => vec![("x-forge-token", signature)],
        _ => vec![
            ("x-forge-time", "1000000000".to_owned()),
            ("x-forge-token", signature),
        ],
    }
}

/// The hook that there is gets an id as hooks have them.
pub(crate) async fn put_hook(hooked: &Hooked, scheme: &str) {
    let id = HookId::parse(KNOWN).expect("a name");
    hooked.hook(1, scheme).await;
    let hook = Hook {
        id: id.clone(),
        ..hooked.read_hook(1).await
    };
    let secrets = HookSecrets {
        current: Secret::new(SECRET.to_owned()),
        previous: None,
        next: None,
    };
    let world = &hooked.world;
    world.put(Key::Hook(id.clone()), Record::Hook(hook)).await;
    world
        .put(Key::HookSecrets(id), Record::HookSecrets(secrets))
        .await;
}

/// So many samples of each class, in an order that was drawn before.
pub(crate) async fn samples(intake: &Intake, variant: Variant, each: usize) -> Samples {
    let order = drawn(2 * each);
    for known in drawn(WARM) {
        intake.time(variant, known).await;
    }
    let mut samples = Samples::with_capacity(2 * each);
    for known in order {
        samples.push(known, intake.time(variant, known).await);
    }
    samples
}

/// As many of either class, as chance has it.
pub(crate) fn drawn(count: usize) -> Vec<bool> {
    let random = SystemRandom::new();
    let mut order: Vec<bool> = (0..count).map(|n| n % 2 == 0).collect();
    let mut bytes = vec![0; 8 * count];
    random.fill(&mut bytes).expect("randomness");
    for (last, bytes) in (1..count).rev().zip(bytes.chunks_exact(8)) {
        let number = bytes
            .iter()
            .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
        let chosen = usize::try_from(number % (last as u64 + 1)).expect("an index");
        order.swap(last, chosen);
    }
    order
}
