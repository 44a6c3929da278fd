//! Who asks: applications that somebody registered

use std::collections::BTreeSet;

use crate::{
    http::{Request, first},
    mint::Mint,
};

use super::{Refusal, Server};

/// An application
#[derive(Clone, Eq, PartialEq)]
pub struct Client {
    /// Its public name
    pub id: String,
    /// Its secrets, any of which will do; none for a public client
    pub secrets: Vec<String>,
    /// Name for people
    pub name: String,
    /// Where codes may be sent, compared byte by byte
    pub redirect_uris: Vec<String>,
    /// What it may ask for
    pub scopes: BTreeSet<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Registers an application with one secret
    pub fn register(
        &mut self,
        mint: &mut Mint,
        name: &str,
        redirect_uris: &[&str],
        scopes: &[&str],
    ) -> Client {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let client = Client {
            id: mint.letters(40),
            secrets: vec![mint.secret("", 40)],
            name: name.to_owned(),
            redirect_uris: owned(redirect_uris),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        };
        self.clients.insert(client.id.clone(), client.clone());
        client
    }

    /// One application, to be changed
    pub fn client_mut(&mut self, id: &str) -> Option<&mut Client> {
        self.clients.get_mut(id)
    }

    /// One application
    #[must_use]
    pub fn client(&self, id: &str) -> Option<&Client> {
        self.clients.get(id)
    }

    /// Deletes an application, and with it every consent to it
    pub fn delete_client(&mut self, id: &str) {
        self.clients.remove(id);
        self.codes.retain(|_, code| code.client != id);
        let grants = self.grants.values_mut().filter(|grant| grant.client == id);
        grants.for_each(|grant| grant.revoked = true);
    }

    /// The application that sent this request, by the ways that the rules allow
    pub(super) fn authenticate(
        &self,
        request: &Request,
        fields: &[(String, String)],
    ) -> Result<&Client, Refusal> {
        let basic = request
            .basic_credentials()
            .filter(|_| self.rules.basic_client_auth);
        let body = || {
            let id = first(fields, "client_id").filter(|_| self.rules.body_client_auth)?;
            Some((
                id.to_owned(),
                first(fields, "client_secret")
                    .unwrap_or_default()
                    .to_owned(),
            ))
        };
        let (id, secret) = basic
            .map(|basic| (basic.user, basic.password))
            .or_else(body)
            .ok_or(self.rules.refusals.client)?;
        let client = self.clients.get(&id).ok_or(self.rules.refusals.client)?;
        let public = client.secrets.is_empty() && secret.is_empty();
        match public || client.secrets.contains(&secret) {
            true => Ok(client),
            false => Err(self.rules.refusals.client),
        }
    }
}
