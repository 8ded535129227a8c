//! Random calls from several threads on several contexts, compared with a model of the contract.
//!
//! Each case prints its seed. A failing case is shrunk and printed. `CAIO_MODEL_SEED=0x...` runs one case alone,
//! `CAIO_MODEL_SECONDS` is the time for random cases (10), and `CAIO_TEST_DIR` names a folder on a disk.

#![cfg(all(target_os = "linux", not(caio_targets)))]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

mod calls;
mod fork;
mod harmless;
mod judge;
mod opened;
mod plan;
mod records;
mod verdict;
mod world;

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use calls::{Actors, Answer, Call, Raw};
use judge::{Judge, Made};
use plan::{Act, Ask, Command, Plan, Step};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use support::*;
use world::World;

/// The library with its files and streams, the model, and the threads that make the calls.
struct System {
    world: World,
    judge: Judge,
    actors: Actors,
    descriptors: Vec<i32>,
    threads: usize,
}

struct Model;

impl StateMachineTest for Model {
    type SystemUnderTest = System;
    type Reference = Plan;

    fn init_test(_: &Plan) -> System {
        let (descriptors, threads) = (process::descriptors(), process::threads());
        System { world: World::new(), judge: Judge::default(), actors: Actors::new(), descriptors, threads }
    }

    fn apply(mut system: System, _: &Plan, step: Step) -> System {
        system.run(&step.acts);
        system
    }

    fn teardown(system: System, _: Plan) {
        system.end();
    }
}

impl System {
    fn run(&mut self, acts: &[Act]) {
        let forked = self.may_be_forked(acts);
        let (calls, mut made): (Vec<_>, Vec<_>) = acts.iter().map(|act| self.prepare(act, acts, &forked)).unzip();
        let Some(answers) = self.actors.run(calls) else { self.hung(&made) };
        made.iter_mut().zip(answers).for_each(|(made, answer)| made.answer = answer);
        self.judge.step(&mut self.world, &mut made);
        if let [Made { command: Command::Look { slot }, answer, .. }] = &made[..] {
            self.judge.look_alone(*slot, answer);
        }
    }

    /// Reports what a call that does not return may wait for.
    fn hung(&self, step: &[Made]) -> ! {
        for slot in step.iter().filter_map(|made| made.command.slot()) {
            let Some(ctx) = &self.judge.contexts[slot] else { continue };
            let stats = std::mem::ManuallyDrop::new(Ctx::from_raw(ctx.raw.0)).stats();
            let (completed, submitted) = (stats.completed, stats.submitted);
            say(&format!("slot {slot}, {:?}: {completed} of {submitted} completed; owed:", ctx.setup));
            for record in self.judge.outstanding(slot) {
                let (op, number) = (&record.op, record.chain);
                let timeout = op.timeout_ns;
                say(&format!("  chain {number}: {:?}, timeout {timeout}, asked {}", record.deed, record.surely_asked));
            }
        }
        panic!("a call hangs: {:?}", step.iter().map(|made| &made.command).collect::<Vec<_>>());
    }

    /// Contexts that exist during the whole step.
    fn may_be_forked(&self, acts: &[Act]) -> Vec<Raw> {
        let freed = |slot| acts.iter().any(|act| matches!(act.command, Command::Free { slot: other } if other == slot));
        let contexts = self.judge.contexts.iter().enumerate();
        contexts.filter(|(slot, _)| !freed(*slot)).filter_map(|(_, ctx)| Some(ctx.as_ref()?.raw)).collect()
    }

    /// The call of an act, given the current state.
    fn prepare(&mut self, act: &Act, acts: &[Act], forked: &[Raw]) -> ((usize, Option<Raw>, Call), Made) {
        let command = act.command.clone();
        let ctx = command.slot().and_then(|slot| self.judge.contexts[slot].as_ref());
        let raw = ctx.map(|ctx| ctx.raw);
        let (mut offered, mut named, mut timeout_ns) = (Vec::new(), 0, 0);
        let call = match &command {
            Command::New { setup, .. } => Call::New(caio_options {
                max_requests: setup.max_requests,
                threads: setup.threads,
                flags: setup.flags,
                ..options(setup.backend)
            }),
            Command::Free { .. } => Call::Free,
            Command::Submit { slot, chains, poll } => {
                offered = self.offer(*slot, chains);
                let ops = offered.iter().flat_map(|chain| &self.judge.records.all[chain.clone()]);
                Call::Submit { ops: ops.map(|record| record.op).collect(), poll: *poll }
            }
            Command::Poll { max, .. } => Call::Poll(*max),
            Command::Wait { slot, min, more, patience_us } => {
                let forever = self.will_end(*slot, u64::from(*min), acts);
                timeout_ns = if forever { -1 } else { *patience_us as i64 * 1000 };
                Call::Wait { min: *min, max: min + more, timeout_ns }
            }
            Command::Settle { slot } => {
                (named, timeout_ns) = (self.judge.certain(*slot), -1);
                Call::Wait { min: named as u32, max: named as u32, timeout_ns }
            }
            Command::Wake { .. } => Call::Wake,
            Command::Cancel { slot, pick } => {
                let outstanding: Vec<u64> = self.judge.outstanding(*slot).map(|record| record.op.user_data).collect();
                named = if outstanding.is_empty() { u64::MAX } else { outstanding[pick % outstanding.len()] };
                Call::Cancel(named)
            }
            Command::CancelFd { pick, .. } => {
                let fd = self.some_fd(*pick);
                named = fd as u64;
                Call::CancelFd(fd)
            }
            Command::CancelAll { .. } => Call::CancelAll,
            Command::Look { .. } => Call::Look,
            Command::Feed { stream, len } => {
                let stream = &mut self.world.streams[*stream];
                Call::Feed { fd: stream.taps().0, bytes: stream.bytes(*len) }
            }
            Command::Drain { stream, len } => Call::Drain { fd: self.world.streams[*stream].taps().1, len: *len },
            Command::Cool => Call::Cool(self.world.files.iter().map(|file| file.fd()).collect()),
            Command::Fork { free, backend } => {
                let (contexts, file) = (forked.to_vec(), self.world.files[0].fd());
                Call::Fork(fork::Child { contexts, free: *free, backend: *backend, file })
            }
        };
        let made = Made { actor: act.actor, command, offered, named, timeout_ns, answer: Answer::default() };
        ((act.actor, raw, call), made)
    }

    fn offer(&mut self, slot: usize, chains: &[Vec<Ask>]) -> Vec<std::ops::Range<usize>> {
        let Self { world, judge, .. } = self;
        let setup = judge.contexts[slot].as_ref().expect("a live context").setup;
        chains.iter().map(|chain| judge.records.offer(world, (slot, setup), chain)).collect()
    }

    /// Whether a wait on this context for `min` events must return some time.
    fn will_end(&self, slot: usize, min: u64, acts: &[Act]) -> bool {
        let ctx = self.judge.contexts[slot].as_ref().expect("a live context");
        let beside: Vec<&Command> =
            acts.iter().map(|act| &act.command).filter(|command| command.slot() == Some(slot)).collect();
        match beside[..] {
            [_] => ctx.wake == Some(true) || self.judge.certain(slot) >= min,
            // One of the two waits, and the other may wake it.
            [a, b] => [a, b].iter().any(|command| matches!(command, Command::Wake { .. })),
            _ => false,
        }
    }

    fn some_fd(&self, pick: usize) -> i32 {
        let files = self.world.files.iter().map(|file| file.fd());
        let streams = self.world.streams.iter().flat_map(|s| [s.reader.as_raw_fd(), s.writer.as_raw_fd()]);
        let fds: Vec<i32> = files.chain(streams).chain([self.world.folder.as_raw_fd(), -1]).collect();
        fds[pick % fds.len()]
    }

    /// Ends all operations in flight, and checks what is left.
    fn end(mut self) {
        for slot in 0..plan::SLOTS {
            let Some(ctx) = &self.judge.contexts[slot] else { continue };
            let actor = ctx.setup.owner;
            let act = |command| [Act { actor, command }];
            if slot % 2 == 0 {
                self.run(&act(Command::CancelAll { slot }));
                // The first wait may use up an earlier wake.
                (0..2).for_each(|_| self.run(&act(Command::Settle { slot })));
                let left = self.judge.contexts[slot].as_ref().expect("a live context").inflight();
                assert_eq!(left, 0, "all operations are cancelled and have their event");
                self.run(&act(Command::Look { slot }));
            }
            self.run(&act(Command::Free { slot }));
        }
        let Self { mut world, judge, actors, descriptors, threads } = self;
        assert!(judge.open_chains.is_empty());
        actors.end();
        let touched = judge.records.all.iter().find(|record| !record.memory.still_poisoned());
        assert!(touched.is_none(), "memory was touched after the event: {:?}", touched.map(|record| &record.deed));
        world.verify();
        let fifo = world.release_fifo();
        until("no thread is left", || process::threads() <= threads);
        drop((world, fifo));
        assert_eq!(process::descriptors(), descriptors, "no descriptor is left");
    }
}

/// The seed of the current case, for the report of a hang.
static RUNNING: AtomicU64 = AtomicU64::new(0);
static CASES: AtomicU64 = AtomicU64::new(0);

fn say(line: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{line}").ok();
}

/// Ends the process if a case takes too long.
fn watch() {
    std::thread::spawn(|| {
        loop {
            // Relaxed: nothing else is published with the counter.
            let case = CASES.load(Ordering::Relaxed);
            sleep_awake(PATIENCE * 4);
            if case == CASES.load(Ordering::Relaxed) {
                say(&format!("hung: CAIO_MODEL_SEED={:#x}", RUNNING.load(Ordering::Relaxed)));
                std::process::abort();
            }
        }
    });
}

fn run(seed: u64) {
    RUNNING.store(seed, Ordering::Relaxed);
    println!("model: CAIO_MODEL_SEED={seed:#x}");
    let config = Config {
        cases: 1,
        max_shrink_iters: 400,
        max_shrink_time: 60_000,
        failure_persistence: None,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config.clone(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let ran = runner.run(&Plan::sequential_strategy(1..80), |(plan, steps, seen)| {
        CASES.fetch_add(1, Ordering::Relaxed);
        Model::test_sequential(config.clone(), plan, steps, seen);
        Ok(())
    });
    if let Err(failure) = ran {
        say(&format!("failed: CAIO_MODEL_SEED={seed:#x}"));
        panic!("CAIO_MODEL_SEED={seed:#x}\n{failure}");
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let parsed = text.strip_prefix("0x").map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16));
    Some(parsed.unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn random_calls_keep_the_contract() {
    BACKENDS.iter().for_each(|backend| drop(Ctx::on(*backend)));
    watch();
    if let Some(seed) = number("CAIO_MODEL_SEED") {
        return run(seed);
    }
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_nanos() as u64;
    let (first, seconds) = (nanos << 16, number("CAIO_MODEL_SECONDS").unwrap_or(10));
    let (time, mut cases) = (std::thread::spawn(move || sleep_awake(Duration::from_secs(seconds))), 0);
    while !time.is_finished() {
        run(first + cases);
        cases += 1;
    }
    tried(cases as usize, "random programs of threads against the model of the contract");
    say(&format!("model: {cases} cases with consecutive seeds from CAIO_MODEL_SEED={first:#x} on"));
}
