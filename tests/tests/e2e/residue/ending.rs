//! How a link with a source ends.

/// What happens before its unlink, or while it is unlinked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// Nothing.
    Plain,
    /// The identity may not manage hooks any more.
    RightsLost,
    /// The person has taken the grant back at the forge, which leaves hooks where they are.
    GrantLost,
    /// The forge answers nobody; then the daemon dies, the forge comes back, and the daemon too.
    ForgeAway,
    /// The source is disconnected first.
    Disconnected,
    /// The source is disconnected while the identity may not manage hooks, which it still may not at the unlink.
    DisconnectedWithoutRights,
    /// The source is disconnected while the identity may not manage hooks, and may again at the unlink.
    RightsRegained,
    /// The source is disconnected, and its hook is to stay.
    Kept,
    /// The hook has got a new secret, for which some forges need another hook.
    Rotated,
    /// Another registry uses the same repository, and is unlinked after this one.
    Shared,
}

impl Ending {
    /// All of them.
    pub(super) const ALL: [Self; 10] = [
        Self::Plain,
        Self::RightsLost,
        Self::GrantLost,
        Self::ForgeAway,
        Self::Disconnected,
        Self::DisconnectedWithoutRights,
        Self::RightsRegained,
        Self::Kept,
        Self::Rotated,
        Self::Shared,
    ];
}

/// An ending that is missing in `ALL` does not compile.
const _: () = {
    let mut place = 0;
    while place < Ending::ALL.len() {
        assert!(Ending::ALL[place] as usize == place);
        place += 1;
    }
    assert!(Ending::Shared as usize + 1 == Ending::ALL.len());
};
