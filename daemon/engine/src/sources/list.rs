//! Reading sources with what is known about their hooks.

use bindery_core::{
    name::{LinkId, NamespaceName},
    port::Listing,
    problem::Problem,
    source::{Source, SourceName},
};

use super::{SourceView, as_source};
use crate::{Engine, Versioned};

impl Engine {
    /// A source, if there is one.
    pub(crate) async fn find_source(
        &self,
        name: &SourceName,
    ) -> Result<Option<Versioned<Source>>, Problem> {
        let found = self.find_source_or_trace(name).await?;
        Ok(found.filter(|source| source.record.disconnected.is_none()))
    }

    /// A source.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn source(&self, name: &SourceName) -> Result<SourceView, Problem> {
        let found = self.find_source(name).await?;
        let source = found.ok_or_else(|| Problem::not_found(name))?;
        self.with_hook(source).await
    }

    /// A source with its hook.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn with_hook(&self, source: Versioned<Source>) -> Result<SourceView, Problem> {
        let hook = self.find_hook(&source.record.hook).await?;
        Ok(SourceView {
            source,
            hook: hook.map(|entry| entry.record),
        })
    }

    /// Sources of a namespace, of one of its links or of all, in the order of their creation.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn sources_of(
        &self,
        namespace: &NamespaceName,
        link: Option<&LinkId>,
    ) -> Result<Vec<Versioned<Source>>, Problem> {
        let listing = Listing::Sources(namespace.clone());
        let mut all = self.list_all(&listing, as_source).await?;
        all.retain(|entry| entry.record.disconnected.is_none());
        all.retain(|entry| link.is_none_or(|link| entry.record.link == *link));
        all.sort_by(|one, other| order(&one.record).cmp(&order(&other.record)));
        Ok(all)
    }
}

/// By creation; those of one moment by their ids.
fn order(source: &Source) -> (bindery_core::time::Timestamp, &str, &str) {
    (source.created, source.link.as_str(), source.id.as_str())
}
