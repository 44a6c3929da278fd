//! Whether a link's token is replaced by itself before it ends.

use bindery_core::{
    link::Link,
    name::{LinkId, NamespaceName},
    problem::{Problem, Reason},
    provider::{AuthKind, Description, OperationKind},
};

use crate::{Engine, Versioned};

impl Engine {
    /// Says whether the token of a link is replaced by itself before it ends.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `METHOD_NOT_SUPPORTED` where the provider can't or the link holds no token that a person
    /// made, and what the vault says.
    pub async fn set_rotation(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        rotate: bool,
        expect: Option<u64>,
    ) -> Result<Versioned<Link>, Problem> {
        let link = self.link(namespace, id).await?.record;
        let host = self.host(&link.host).await?.record;
        if rotate {
            rotatable(&link, &*self.description(&host)?)?;
        }
        self.change_link_at(namespace, id, expect, |link| {
            if link.upkeep.rotate_token != rotate {
                link.upkeep.rotate_token = rotate;
                link.upkeep.next_refresh = None;
            }
            Ok(())
        })
        .await
    }
}

fn rotatable(link: &Link, description: &Description) -> Result<(), Problem> {
    let able = description.operations.contains(&OperationKind::RotateToken);
    if able && link.auth_kind == AuthKind::AccessToken {
        return Ok(());
    }
    let message = format!(
        "{} can't replace the token of this link by itself; leave rotate_token out",
        description.display_name
    );
    Err(Problem::new(Reason::MethodNotSupported, message))
}
