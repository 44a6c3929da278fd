//! How far a watch is: a pure decision about every message and every reconnection.

/// How far a watch is.
///
/// Events of one stream come in order. A reconnection can bring events once more that were handed over
/// already, and the daemon can be asked to send old ones again; both are told apart here.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Everything up to here was handed over, or left out by the filter; `None` before the daemon told.
    reached: Option<i64>,
    /// The last event that was handed over; 0 before the first.
    handed: i64,
    /// What the present stream sent last.
    sent: i64,
    /// The present stream starts after this event, unless events are sent again.
    base: i64,
}

/// From where on a stream is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Resume {
    /// Nothing has been heard: from where the caller wanted to start.
    Start,
    /// From the acknowledgement, which the daemon knows.
    Acknowledged,
    /// After this event.
    After(i64),
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The caller gets it.
    HandOver,
    /// The caller gets it once more, since it was replayed: acknowledgements from it on do not count.
    HandOverAgain,
    /// The caller had it.
    Skip,
}

impl Place {
    /// Begins a stream, where `kept` is the acknowledgement that the daemon keeps, as far as is known; 0 is
    /// none.
    ///
    /// A consumer goes on from its acknowledgement, since that is what a replay sets back. Before the first
    /// one the daemon would begin with the events to come, and after one that lies ahead, since the watch
    /// started before it, too late: then the cursor says where it was.
    pub(super) fn begin(&mut self, kept: i64) -> Resume {
        self.sent = 0;
        let (resume, base) = match self.reached {
            None => (Resume::Start, 0),
            Some(reached) if kept > 0 && kept <= reached => (Resume::Acknowledged, kept),
            Some(reached) => (Resume::After(reached), reached),
        };
        self.base = base;
        resume
    }

    /// Takes note of an event.
    pub(super) fn handle_event(&mut self, sequence: i64) -> Verdict {
        let back = sequence <= self.sent || sequence <= self.base;
        let known = self.reached.is_some_and(|reached| sequence <= reached);
        self.sent = sequence;
        if known && !back {
            return Verdict::Skip;
        }
        self.reached = Some(sequence);
        self.handed = sequence;
        if known {
            self.base = self.base.min(sequence - 1);
            return Verdict::HandOverAgain;
        }
        Verdict::HandOver
    }

    /// Takes note of a heartbeat: everything up to `sequence` was sent or left out by the filter.
    pub(super) fn handle_heartbeat(&mut self, sequence: i64) {
        let reached = self.reached.unwrap_or(sequence);
        self.reached = Some(reached.max(sequence));
    }

    /// The last event that was handed over; 0 before the first.
    pub(super) fn handed(&self) -> i64 {
        self.handed
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Resume, Verdict};

    fn watched(events: impl IntoIterator<Item = i64>) -> Place {
        let mut place = Place::default();
        assert_eq!(place.begin(0), Resume::Start);
        for sequence in events {
            assert_eq!(place.handle_event(sequence), Verdict::HandOver);
        }
        place
    }

    /// Before anything is heard a watch begins where the caller wanted, however often.
    #[test]
    fn nothing_heard_is_a_new_start() {
        let mut place = watched([]);
        assert_eq!(place.begin(0), Resume::Start);
    }

    /// Without an acknowledgement a watch goes on after the last event; a heartbeat moves that over what the
    /// filter left out, and never back.
    #[test]
    fn the_cursor_is_the_last_event() {
        let mut place = watched(4..=6);
        assert_eq!(place.begin(0), Resume::After(6));
        place.handle_heartbeat(9);
        place.handle_heartbeat(7);
        assert_eq!(place.begin(0), Resume::After(9));
        assert_eq!(place.handed(), 6);
    }

    /// What was handed over and not acknowledged comes again after a reconnection, and is skipped.
    #[test]
    fn what_was_handed_over_is_not_handed_over_again() {
        let mut place = watched(1..=5);
        assert_eq!(place.begin(2), Resume::Acknowledged);
        for sequence in 3..=5 {
            assert_eq!(place.handle_event(sequence), Verdict::Skip);
        }
        assert_eq!(place.handle_event(6), Verdict::HandOver);
    }

    /// A watch that started before the acknowledgement does not jump to it.
    #[test]
    fn an_acknowledgement_ahead_is_not_gone_to() {
        let mut place = watched(1..=5);
        assert_eq!(place.begin(6), Resume::After(5));
        assert_eq!(place.begin(5), Resume::Acknowledged);
    }

    /// Events before the acknowledgement come only where they are replayed, between two streams as well as on
    /// one.
    #[test]
    fn a_replay_is_handed_over() {
        let mut place = watched(1..=5);
        assert_eq!(place.begin(4), Resume::Acknowledged);
        assert_eq!(place.handle_event(2), Verdict::HandOverAgain);
        for sequence in 3..=6 {
            assert_eq!(place.handle_event(sequence), Verdict::HandOver);
        }
        assert_eq!(place.handle_event(5), Verdict::HandOverAgain);
        assert_eq!(place.handle_event(6), Verdict::HandOver);
    }
}
