//! The sentinel: an idle worker thread that sleeps for a short time only, and then looks whether something is held up. It is
//! needed where the context delays work on purpose:
//! - short-running operations wait for one thread;
//! - a sync waits for the writes that it can serve;
//! - the steps of a chain complete without signalling the descriptor.

#[derive(Default)]
pub struct Sentinel {
    /// A worker sleeps as the sentinel.
    posted: bool,
    /// Operations ended during its last sleep.
    busy: bool,
    /// Sentinels that were called to work and are not awake yet.
    called: u32,
    /// It must check again how long it may sleep.
    recheck: bool,
    /// Syncs that wait for writes.
    delayed_syncs: u32,
    /// Chain steps since no chain went on.
    chain_steps: u32,
}

impl Sentinel {
    /// A sync waits for writes. `recheck`: for a shorter time than the sentinel sleeps.
    pub fn delays_sync(&mut self, recheck: bool) {
        self.delayed_syncs += 1;
        self.recheck |= recheck;
    }

    pub fn releases_sync(&mut self) {
        self.delayed_syncs -= 1;
    }

    /// A worker ended an operation, and its chain went on.
    pub fn chain_goes_on(&mut self) {
        self.chain_steps = self.chain_steps.saturating_add(1);
    }

    pub fn chains_end(&mut self) {
        self.chain_steps = 0;
    }

    pub fn has_duties(&self) -> bool {
        self.delayed_syncs > 0 || self.chain_steps > 0 || self.recheck
    }

    pub fn is_posted(&self) -> bool {
        self.posted
    }

    /// `waits`: short-running operations wait for one thread.
    pub fn is_missing(&self, waits: bool) -> bool {
        !self.posted && self.is_wanted(waits)
    }

    /// Whether an idle worker should become the sentinel. Where it was wanted a moment ago, it will be again.
    pub fn should_post(&self, waits: bool) -> bool {
        !self.posted && (self.busy || self.is_wanted(waits))
    }

    fn is_wanted(&self, waits: bool) -> bool {
        // One chain that goes on is not worth a thread.
        const OFTEN: u32 = 8;
        self.delayed_syncs > 0 || self.chain_steps >= OFTEN || waits
    }

    /// The calling worker falls asleep as the sentinel.
    pub fn posts(&mut self) {
        self.posted = true;
    }

    /// It is awake. `ended`: operations ended during its sleep; `timed_out`: no thread woke it. True if what it watches is
    /// held up.
    pub fn wakes(&mut self, ended: bool, timed_out: bool) -> bool {
        // With two sentinels, it does not matter which one was called.
        if self.called > 0 {
            self.called -= 1;
        } else {
            self.posted = false;
        }
        self.busy = ended;
        let stuck = timed_out && !self.busy;
        if stuck {
            self.chains_end();
        }
        stuck
    }

    /// It must work as the other workers do.
    pub fn calls(&mut self) {
        self.posted = false;
        self.called += 1;
    }

    /// Sentinels that are on their way to work.
    pub fn called(&self) -> u32 {
        self.called
    }

    /// True if it must be woken to check again how long it may sleep.
    pub fn takes_recheck(&mut self) -> bool {
        std::mem::take(&mut self.recheck) && self.posted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_wanted_while_work_is_delayed() {
        let mut sentinel = Sentinel::default();
        assert!(!sentinel.should_post(false) && !sentinel.has_duties());
        assert!(sentinel.should_post(true));
        sentinel.delays_sync(false);
        assert!(sentinel.is_missing(false) && sentinel.has_duties());
        sentinel.posts();
        assert!(!sentinel.is_missing(false));
        sentinel.wakes(false, true);
        sentinel.releases_sync();
        assert!(!sentinel.is_missing(false));
    }

    #[test]
    fn chains_want_it_only_if_they_go_on_often() {
        let mut sentinel = Sentinel::default();
        sentinel.chain_goes_on();
        assert!(!sentinel.is_missing(false));
        (0..10).for_each(|_| sentinel.chain_goes_on());
        assert!(sentinel.is_missing(false));
        sentinel.posts();
        assert!(sentinel.wakes(false, true), "nothing ended");
        assert!(!sentinel.is_missing(false), "the chains have ended");
    }

    #[test]
    fn it_stays_while_operations_end() {
        let mut sentinel = Sentinel::default();
        sentinel.posts();
        assert!(!sentinel.wakes(true, true));
        assert!(sentinel.should_post(false) && !sentinel.is_missing(false));
        sentinel.posts();
        sentinel.wakes(false, true);
        assert!(!sentinel.should_post(false));
    }

    #[test]
    fn a_called_one_makes_place_for_another() {
        let mut sentinel = Sentinel::default();
        sentinel.posts();
        sentinel.calls();
        assert_eq!((sentinel.called(), sentinel.is_posted()), (1, false));
        sentinel.posts();
        sentinel.wakes(false, false);
        assert_eq!((sentinel.called(), sentinel.is_posted()), (0, true));
    }

    #[test]
    fn a_shorter_sleep_is_asked_for_once() {
        let mut sentinel = Sentinel::default();
        sentinel.posts();
        sentinel.delays_sync(true);
        assert!(sentinel.takes_recheck());
        assert!(!sentinel.takes_recheck());
    }
}
