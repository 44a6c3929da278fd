//! What attackers do.

/// One way to tamper with a flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Case {
    /// Fixation: the attacker starts, and the victim consents and comes back, in a browser without the flow's cookie.
    NoCookie,
    /// The callback of one flow comes to a browser with the cookie of another.
    AnotherCookie,
    /// A second browser takes a flow to the forge that a first has taken there.
    SecondBrowser,
    /// The state is guessed: as a whole, and with the right flow before it.
    ForgedState,
    /// There is no state.
    NoState,
    /// The code is there twice.
    TwoCodes,
    /// The callback comes to the redirect path of another host.
    AnotherPlace,
    /// Mix-up: another issuer answers.
    AnotherIssuer,
    /// The forge says that the person refused, and a code comes after that.
    Refused,
    /// The one who started has given up before the callback comes.
    EndedFlow,
    /// The same callback comes twice.
    Replay,
    /// The victim's own state comes with the code of another flow.
    SwappedCode,
    /// The confirmation has a wrong code, or comes from another browser with the right one.
    WrongConfirmation,
    /// Somebody else confirms by API.
    AnotherPrincipal,
}

impl Case {
    /// All of them.
    pub(super) const ALL: [Self; 14] = [
        Self::NoCookie,
        Self::AnotherCookie,
        Self::SecondBrowser,
        Self::ForgedState,
        Self::NoState,
        Self::TwoCodes,
        Self::AnotherPlace,
        Self::AnotherIssuer,
        Self::Refused,
        Self::EndedFlow,
        Self::Replay,
        Self::SwappedCode,
        Self::WrongConfirmation,
        Self::AnotherPrincipal,
    ];

    /// How many codes are exchanged: none where it fails before that.
    pub(super) const fn exchanges(self) -> usize {
        match self {
            Self::Replay | Self::SwappedCode | Self::WrongConfirmation | Self::AnotherPrincipal => {
                1
            }
            _ => 0,
        }
    }
}

/// A case that is missing in `ALL` does not compile.
const _: () = {
    let mut place = 0;
    while place < Case::ALL.len() {
        assert!(Case::ALL[place] as usize == place);
        place += 1;
    }
    assert!(Case::AnotherPrincipal as usize + 1 == Case::ALL.len());
};
