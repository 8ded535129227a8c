//! The events that each context owes, and checks of the answers of a step.
//!
//! If one call of the step used a context, its answer is checked exactly. If several calls used it at the same time,
//! each answer must be possible for some order of the calls; the checks use bounds.

use super::calls::{Answer, Raw};
use super::plan::{Command, QUIET, SLOTS, Setup};
use super::records::{Deed, End, Record, Records};
use super::support::*;
use super::verdict;
use super::world::World;
use std::ops::Range;

/// The model of a context.
pub struct Context {
    pub raw: Raw,
    pub setup: Setup,
    /// Operations accepted, events delivered, and delivered events with -ECANCELED.
    accepted: u64,
    delivered: u64,
    cancelled: u64,
    /// Whether a wake is pending; None if that is unknown.
    pub wake: Option<bool>,
}

impl Context {
    pub fn inflight(&self) -> u64 {
        self.accepted - self.delivered
    }

    fn max(&self) -> u64 {
        self.setup.max_requests.into()
    }
}

/// A call that was made.
pub struct Made {
    pub actor: usize,
    pub command: Command,
    /// The chains that a submit offered.
    pub offered: Vec<Range<usize>>,
    /// What a cancel named.
    pub named: u64,
    pub timeout_ns: i64,
    pub answer: Answer,
}

#[derive(Default)]
pub struct Judge {
    pub contexts: [Option<Context>; SLOTS],
    pub records: Records,
    /// Chains with members that have not ended.
    pub open_chains: Vec<usize>,
}

impl Judge {
    fn context(&mut self, slot: usize) -> &mut Context {
        self.contexts[slot].as_mut().expect("a live context")
    }

    /// The operations that a context owes an event.
    pub fn outstanding(&self, slot: usize) -> impl Iterator<Item = &Record> {
        let records = &self.records;
        let members = self.open_chains.iter().flat_map(|chain| records.chains[*chain].clone());
        members.map(|at| &records.all[at]).filter(move |record| record.slot == slot && record.end == End::Outstanding)
    }

    /// How many of them complete without another call.
    pub fn certain(&self, slot: usize) -> u64 {
        let chain = |chain: &usize| {
            let members = &self.records.all[self.records.chains[*chain].clone()];
            if members[0].slot != slot {
                return 0;
            }
            let mut starts = true;
            let certain = members.iter().filter(|record| {
                starts &= record.end != End::Outstanding || record.ends_by_itself();
                record.end == End::Outstanding && (starts || record.surely_asked)
            });
            certain.count() as u64
        };
        self.open_chains.iter().map(chain).sum()
    }

    /// Checks all answers of a step.
    pub fn step(&mut self, world: &mut World, step: &mut [Made]) {
        let before: Vec<u64> = self.contexts.iter().map(|ctx| ctx.as_ref().map_or(0, Context::inflight)).collect();
        for made in step.iter_mut() {
            self.made_or_refused(made);
        }
        let accepted: Vec<u64> = (0..SLOTS).map(|slot| self.submits(world, slot, step)).collect();
        for slot in 0..SLOTS {
            self.cancels(slot, step);
        }
        for slot in 0..SLOTS {
            if self.contexts[slot].is_some() {
                self.room(slot, before[slot], accepted[slot], step);
                self.events(slot, step);
                self.waits(slot, before[slot] + accepted[slot], step);
            }
        }
        for made in step.iter() {
            self.looks_and_frees(world, made);
        }
        self.resolve(world);
    }

    /// Adds new contexts. Checks that calls on a SINGLE_THREAD context by another thread are refused.
    fn made_or_refused(&mut self, made: &mut Made) {
        let slot = match made.command {
            Command::New { slot, setup } => {
                let raw = made.answer.made.unwrap_or_else(|| panic!("caio_ctx_new: {}", made.answer.ret));
                let (accepted, delivered, cancelled) = (0, 0, 0);
                self.contexts[slot] = Some(Context { raw, setup, accepted, delivered, cancelled, wake: Some(false) });
                return;
            }
            Command::Wake { .. } | Command::Look { .. } | Command::Free { .. } => return,
            _ => made.command.slot(),
        };
        let Some(slot) = slot else { return };
        let setup = self.context(slot).setup;
        if setup.single() && setup.owner != made.actor {
            let answer = &made.answer;
            assert!(answer.ret == -libc::EPERM && answer.events.is_empty(), "another thread: {}", answer.ret);
        }
    }

    fn is_refused(&self, made: &Made) -> bool {
        made.answer.ret == -libc::EPERM && made.command.slot().is_some()
    }

    fn of_slot<'a>(&'a self, slot: usize, step: &'a [Made]) -> impl Iterator<Item = &'a Made> {
        step.iter().filter(move |made| made.command.slot() == Some(slot) && !self.is_refused(made))
    }

    fn is_alone(&self, slot: usize, step: &[Made]) -> bool {
        self.of_slot(slot, step).count() == 1
    }

    /// Records which operations were accepted, and returns their number.
    fn submits(&mut self, world: &mut World, slot: usize, step: &[Made]) -> u64 {
        let mut total = 0;
        let submits = |made: &&Made| matches!(made.command, Command::Submit { slot: other, .. } if other == slot);
        for made in step.iter().filter(submits) {
            let mut left = made.answer.ret.max(0) as usize;
            for chain in &made.offered {
                let whole = left >= chain.len();
                assert!(whole || left == 0, "a chain is accepted whole or not at all");
                left -= if whole { chain.len() } else { 0 };
                self.accept_or_withdraw(world, chain.clone(), whole);
            }
            assert_eq!(left, 0, "no more is accepted than was offered");
            total += made.answer.ret.max(0) as u64;
        }
        if let Some(ctx) = &mut self.contexts[slot] {
            ctx.accepted += total;
        }
        total
    }

    fn accept_or_withdraw(&mut self, world: &mut World, chain: Range<usize>, accepted: bool) {
        let number = self.records.all[chain.start].chain;
        for record in &mut self.records.all[chain] {
            assert!(!accepted || record.deed != Deed::Malformed, "a malformed operation was accepted");
            record.memory.spoil_paths();
            if !accepted {
                record.end = End::Withdrawn;
            }
        }
        if accepted {
            self.open_chains.push(number);
        } else {
            verdict::withdraw(world, &mut self.records, number);
        }
    }

    /// Checks submit's answers against the free places of the context.
    fn room(&mut self, slot: usize, before: u64, accepted: u64, step: &[Made]) {
        let (alone, max) = (self.is_alone(slot, step), self.context(slot).max());
        let delivered: u64 = self.of_slot(slot, step).map(|made| made.answer.events.len() as u64).sum();
        assert!(before + accepted - if alone { 0 } else { delivered } <= max, "more accepted than there was room");
        for made in self.of_slot(slot, step).filter(|made| !made.offered.is_empty()) {
            let ret = made.answer.ret;
            let mine = ret.max(0) as u64;
            let Some(next) = self.first_left(made) else { continue };
            let chain = &self.records.all[next.clone()];
            // The most places that other calls hold; exact if there are none. A concurrent submit reserves places for
            // all that it offers, which may shorten this submit, but not make it fail.
            let offered = self.of_slot(slot, step).filter(|other| !std::ptr::eq(*other, made));
            let set_aside: usize = offered.flat_map(|other| &other.offered).map(|chain| chain.len()).sum();
            let held = before + if ret > 0 { set_aside as u64 } else { accepted };
            let full = held + mine + next.len() as u64 > max;
            let malformed = chain.iter().any(|record| record.deed == Deed::Malformed);
            let long = next.len() as u64 > max;
            assert!(full || malformed || long, "{ret} accepted, though the next {} had room", next.len());
            let reasons =
                [(malformed, -libc::EINVAL), (long, -libc::E2BIG), (full && !malformed && !long, -libc::EAGAIN)];
            assert!(ret > 0 || reasons.contains(&(true, ret)), "submit: {ret}, but {reasons:?}");
        }
        for made in self.of_slot(slot, step) {
            if let Command::Submit { .. } = made.command
                && made.offered.is_empty()
            {
                assert_eq!(made.answer.ret, 0, "nothing submitted");
            }
        }
    }

    /// The first chain that a submit did not take.
    fn first_left(&self, made: &Made) -> Option<Range<usize>> {
        let left = |chain: &&Range<usize>| self.records.all[chain.start].end == End::Withdrawn;
        made.offered.iter().find(left).cloned()
    }

    /// Checks how many operations a cancel found, and records which may yield -ECANCELED from now on.
    fn cancels(&mut self, slot: usize, step: &[Made]) {
        let alone = self.is_alone(slot, step);
        let cancels: Vec<&Made> = self.of_slot(slot, step).collect();
        let mut asked = Vec::new();
        for made in cancels {
            let is_target: Box<dyn Fn(&Record) -> bool> = match made.command {
                Command::Cancel { .. } => Box::new(|record| record.op.user_data == made.named),
                Command::CancelFd { .. } => Box::new(|record| record.uses_fd(made.named as i32)),
                Command::CancelAll { .. } => Box::new(|_| true),
                _ => continue,
            };
            let found: Vec<&Record> = self.outstanding(slot).filter(|record| is_target(record)).collect();
            let ret = match made.answer.ret {
                errno if errno == -libc::ENOENT && !matches!(made.command, Command::CancelAll { .. }) => 0,
                0 if !matches!(made.command, Command::CancelAll { .. }) => panic!("none found is -ENOENT"),
                ret => ret,
            };
            assert!((0..=found.len() as i32).contains(&ret), "{} found of {}", ret, found.len());
            let waiting = found.iter().filter(|record| self.certainly_waits(record)).count();
            assert!(!alone || ret as usize >= waiting, "{ret} found, but {waiting} cannot have an event");
            asked.extend(found.iter().map(|record| record.op.user_data as usize));
        }
        // Operations accepted in the same step may have started after the cancel.
        let new = |at: usize| step.iter().flat_map(|made| &made.offered).any(|chain| chain.contains(&at));
        for at in asked {
            self.records.all[at].asked = true;
            self.records.all[at].surely_asked |= !new(at);
        }
    }

    /// Whether its chain begins with an operation that never completes by itself.
    fn certainly_waits(&self, record: &Record) -> bool {
        let chain = &self.records.all[self.records.chains[record.chain].clone()];
        let blocks = matches!(chain[0].deed, Deed::OpenFifo | Deed::StreamRead(QUIET)) && !chain[0].ends_by_itself();
        blocks && chain.iter().all(|other| !other.asked)
    }

    /// Checks that each event is owed, and delivered once.
    fn events(&mut self, slot: usize, step: &[Made]) {
        let events: Vec<Event> = self.of_slot(slot, step).flat_map(|made| made.answer.events.iter().copied()).collect();
        let now = Instant::now();
        for event in events {
            let record = self.records.all.get_mut(event.user_data as usize).expect("a tag that was given");
            assert!(record.slot == slot && record.end == End::Outstanding, "not owed: {event:?}, {:?}", record.end);
            record.end = End::Event(event.result, now);
            let ctx = self.context(slot);
            ctx.delivered += 1;
            ctx.cancelled += u64::from(event.result == -ECANCELED);
        }
    }

    /// Checks that each wait returned for a reason, and took no more events than allowed.
    fn waits(&mut self, slot: usize, most: u64, step: &[Made]) {
        let alone = self.is_alone(slot, step);
        let woken = self.of_slot(slot, step).any(|made| matches!(made.command, Command::Wake { .. }));
        let before = self.context(slot).wake;
        let mut after = if woken { Some(true) } else { before };
        for made in self.of_slot(slot, step) {
            let got = made.answer.events.len() as u64;
            let (min, max) = match made.command {
                Command::Poll { max, .. } => (0, max.into()),
                Command::Wait { min, more, .. } => (u64::from(min), u64::from(min + more)),
                Command::Settle { .. } => (made.named, made.named),
                Command::Submit { poll: Some(max), .. } => (0, max.into()),
                _ => continue,
            };
            assert!(got <= max.min(most), "{got} events of {most}, {max} at most");
            if !matches!(made.command, Command::Wait { .. } | Command::Settle { .. }) {
                continue;
            }
            assert!(made.answer.ret >= 0, "wait: {}", made.answer.ret);
            let over = made.timeout_ns >= 0 && made.answer.took.as_nanos() as i64 >= made.timeout_ns;
            let early = woken || before != Some(false) || !alone;
            assert!(got >= min || over || early, "a wait for {min} returned {got} events for no reason");
            after = if woken { None } else { Some(false) };
        }
        self.context(slot).wake = after;
    }

    fn looks_and_frees(&mut self, world: &mut World, made: &Made) {
        match made.command {
            Command::Look { slot } => self.look(slot, &made.answer),
            Command::Free { slot } => {
                self.contexts[slot] = None;
                for chain in self.open_chains.clone() {
                    for at in self.records.chains[chain].clone() {
                        let record = &mut self.records.all[at];
                        if record.slot == slot && record.end == End::Outstanding {
                            record.end = End::Dropped;
                        }
                    }
                }
            }
            Command::Feed { stream, .. } => {
                world.streams[stream].went_in(&made.answer.bytes[..made.answer.ret as usize]);
            }
            Command::Drain { stream, .. } => world.streams[stream].came_out(&made.answer.bytes),
            Command::Fork { .. } => assert_eq!(made.answer.ret, 0, "the child"),
            _ => {}
        }
    }

    /// Checks statistics that may have changed during the step, with bounds.
    fn look(&mut self, slot: usize, answer: &Answer) {
        let ctx = self.context(slot);
        let stats = answer.stats.as_ref().expect("statistics");
        assert_eq!(answer.ret as u32, ctx.setup.backend, "a named backend is the one in use");
        assert!(
            u64::from(stats.inflight) <= ctx.max() && stats.submitted <= ctx.accepted,
            "{} submitted",
            stats.submitted
        );
        assert!(stats.completed <= stats.submitted && stats.cancelled <= stats.completed);
        let done = stats.done_inline + stats.done_native + stats.done_worker;
        let bounds = stats.completed - stats.cancelled..=stats.completed;
        assert!(bounds.contains(&done), "{done} done of {bounds:?}");
    }

    /// Checks a look that was the only call of its step.
    pub fn look_alone(&mut self, slot: usize, answer: &Answer) {
        let ctx = self.context(slot);
        let stats = answer.stats.as_ref().expect("statistics");
        assert_eq!(stats.submitted, ctx.accepted);
        assert_eq!(u64::from(stats.inflight), ctx.inflight());
        assert!(stats.completed >= ctx.delivered && stats.cancelled >= ctx.cancelled);
        assert!(
            answer.readable || stats.completed == ctx.delivered,
            "a completion is pending, and the descriptor is not readable"
        );
    }

    /// Checks the results of all chains whose members have ended.
    pub fn resolve(&mut self, world: &mut World) {
        let Self { records, open_chains, .. } = self;
        open_chains.retain(|chain| {
            let members = &records.all[records.chains[*chain].clone()];
            let open = members.iter().any(|record| record.end == End::Outstanding);
            if !open {
                verdict::resolve(world, records, *chain);
            }
            open
        });
    }
}
