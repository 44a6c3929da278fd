//! A GitLab with somebody in it, and an application that they know.

use bindery_twins::{
    Exchange, Twin,
    gitlab::GitLab,
    http::{Request, Response},
    oauth::{Client, Consent},
    world::{Owner, Ref, Role},
};

/// A Monday morning
pub(crate) const START: u64 = 1_790_000_000_000;
pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const REDIRECT: &str = "https://bindery.example.com/callback";
pub(crate) const COMMIT: &str = "89ff3d2b0d8a3c7f1e2d3c4b5a69788796a5b4c3";

/// All of it
pub(crate) struct Scene {
    pub(crate) twin: GitLab,
    pub(crate) octo: u64,
    pub(crate) group: u64,
    pub(crate) hello: u64,
    pub(crate) client: Client,
}

impl Scene {
    /// `octo` maintains group `acme`, which has the repository `acme/hello`
    pub(crate) fn new() -> Self {
        let mut twin = GitLab::new("https://gitlab.example.com/root", 1);
        let state = twin.state_mut();
        let octo = state.world.add_person("octo", START);
        let group = state.world.add_group("acme", None, START);
        state.world.join(octo, group, Role::Admin);
        let hello = state
            .world
            .add_repository(Owner::Group(group), "hello", START);
        let of = |name: &str| Ref {
            name: name.to_owned(),
            commit: COMMIT.to_owned(),
            tag_object: None,
        };
        state
            .world
            .set_refs(hello, vec![of("refs/heads/main"), of("refs/tags/v1.0.0")]);
        let scopes = ["api", "read_api", "read_user", "read_repository"];
        let client = state
            .oauth
            .register(&mut state.mint, "Bindery", &[REDIRECT], &scopes);
        Self {
            twin,
            octo,
            group,
            hello,
            client,
        }
    }

    pub(crate) fn ask(&mut self, request: &Request, now_ms: u64) -> Response {
        match self.twin.exchange(request, now_ms) {
            Exchange::Answered(answer) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    /// `GET` below `/api/v4`
    pub(crate) fn api(&mut self, token: &str, path: &str, now_ms: u64) -> Response {
        let target = format!("/root/api/v4{path}");
        self.ask(&Request::new("GET", &target).bearer(token), now_ms)
    }

    /// Exchanges a fresh consent for tokens
    pub(crate) fn link(&mut self, now_ms: u64) -> Pair {
        let (client, person) = (self.client.id.clone(), self.octo);
        let scopes = self.client.scopes.clone();
        let (server, mut cx) = self.twin.state_mut().oauth(now_ms);
        let code = server.consent(
            &mut cx,
            &Consent {
                client: &client,
                person,
                redirect_uri: REDIRECT,
                scopes: &scopes,
                challenge: None,
            },
        );
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", REDIRECT),
        ];
        Pair::of(&self.token(&fields, now_ms)).expect("the code is good")
    }

    pub(crate) fn refresh(&mut self, refresh: &str, now_ms: u64) -> Response {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        self.token(&fields, now_ms)
    }

    /// The token endpoint, with the client's own credentials
    pub(crate) fn token(&mut self, fields: &[(&str, &str)], now_ms: u64) -> Response {
        let request = self.by_client("/root/oauth/token", fields);
        self.ask(&request, now_ms)
    }

    pub(crate) fn by_client(&self, path: &str, fields: &[(&str, &str)]) -> Request {
        let (id, secret) = (&self.client.id, &self.client.secrets[0]);
        let own = [("client_id", id.as_str()), ("client_secret", secret)];
        let fields: Vec<_> = own.iter().chain(fields).copied().collect();
        Request::form(path, &fields)
    }

    /// Whether the API takes a token
    pub(crate) fn takes(&mut self, token: &str, now_ms: u64) -> bool {
        self.api(token, "/user", now_ms).status == 200
    }
}

/// What a token endpoint gave
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Pair {
    pub(crate) fn of(answer: &Response) -> Option<Self> {
        let body = answer.value();
        Some(Self {
            access: body["access_token"].as_str()?.to_owned(),
            refresh: body["refresh_token"].as_str()?.to_owned(),
        })
    }
}
