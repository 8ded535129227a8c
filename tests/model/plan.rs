//! Random programs: which contexts exist, and which thread makes which call, several at the same time.

use super::support::*;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use proptest_state_machine::ReferenceStateMachine;

/// Contexts that may exist at the same time.
pub const SLOTS: usize = 3;
/// Threads that make calls. The last one is a new thread for each call, which exits immediately.
pub const ACTORS: usize = 4;
pub const FRESH: usize = ACTORS - 1;

/// What a context is made with.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub backend: u32,
    pub max_requests: u32,
    pub threads: u32,
    pub flags: u32,
    /// With SINGLE_THREAD: the thread that owns it.
    pub owner: usize,
}

impl Setup {
    pub fn single(&self) -> bool {
        self.flags & CAIO_CTX_SINGLE_THREAD != 0
    }
}

/// A planned operation. If its cells are busy when it is made, it becomes a NOP.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub what: What,
    pub full: bool,
    pub timeout_us: Option<u64>,
    pub ioprio: u16,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    Nop,
    Read {
        file: usize,
        cell: usize,
        cells: usize,
        vectored: bool,
    },
    Write {
        file: usize,
        cell: usize,
        cells: usize,
        vectored: bool,
    },
    /// A read that is short at the end of the file.
    Beyond {
        file: usize,
    },
    StreamRead {
        stream: usize,
        len: usize,
    },
    StreamWrite {
        stream: usize,
        len: usize,
    },
    Fsync {
        file: usize,
    },
    Fdsync {
        file: usize,
    },
    SyncRange,
    Allocate,
    Truncate,
    Open,
    OpenMissing,
    /// Blocks until the other end is opened.
    OpenFifo,
    Close,
    Statx,
    /// Makes a folder, renames it, removes it: a chain of its own.
    Folder,
    /// A chain of its own that opens what it uses.
    Opened {
        how: Opened,
        cell: usize,
        cells: usize,
    },
    /// One of the operations of version 0.2, with the result of the plain call.
    Harmless(u8),
    UnlinkMissing,
    BadDescriptor,
    BadMemory,
    BadPath,
    Directory,
    StreamAtOffset {
        stream: usize,
    },
    /// Submit refuses it with -EINVAL.
    Malformed(u8),
}

/// What a chain does with the descriptor that it opens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Opened {
    /// Reads a file, and closes it.
    Read,
    /// The same, but a step between fails.
    Fail,
    /// Reads a file, which the caller closes.
    Keep,
    /// The open fails.
    Missing,
    /// Replaces a file: writes a new one, renames it, and syncs both.
    Replace,
    /// Makes, moves and removes a folder below the open one.
    Folder,
    /// Nothing is opened, so submit refuses it.
    Nothing,
}

/// One call, or a few that belong together.
#[derive(Clone, Debug)]
pub enum Command {
    New {
        slot: usize,
        setup: Setup,
    },
    Free {
        slot: usize,
    },
    Submit {
        slot: usize,
        chains: Vec<Vec<Ask>>,
        poll: Option<u32>,
    },
    Poll {
        slot: usize,
        max: u32,
    },
    Wait {
        slot: usize,
        min: u32,
        more: u32,
        patience_us: u64,
    },
    /// Waits without a timeout for all operations that complete without another call.
    Settle {
        slot: usize,
    },
    Wake {
        slot: usize,
    },
    Cancel {
        slot: usize,
        pick: usize,
    },
    CancelFd {
        slot: usize,
        pick: usize,
    },
    CancelAll {
        slot: usize,
    },
    /// Statistics, readiness, getters.
    Look {
        slot: usize,
    },
    Feed {
        stream: usize,
        len: usize,
    },
    Drain {
        stream: usize,
        len: usize,
    },
    /// Drops the files from the page cache.
    Cool,
    Fork {
        free: bool,
        backend: u32,
    },
}

impl Command {
    pub fn slot(&self) -> Option<usize> {
        match self {
            Self::New { slot, .. }
            | Self::Free { slot }
            | Self::Submit { slot, .. }
            | Self::Poll { slot, .. }
            | Self::Wait { slot, .. }
            | Self::Settle { slot }
            | Self::Wake { slot }
            | Self::Cancel { slot, .. }
            | Self::CancelFd { slot, .. }
            | Self::CancelAll { slot }
            | Self::Look { slot } => Some(*slot),
            Self::Feed { .. } | Self::Drain { .. } | Self::Cool | Self::Fork { .. } => None,
        }
    }

    /// Whether no other call on its context may run at the same time: the contract forbids it, or the answer could not
    /// be checked.
    fn is_exclusive(&self) -> bool {
        matches!(self, Self::New { .. } | Self::Free { .. } | Self::Settle { .. })
    }
}

#[derive(Clone, Debug)]
pub struct Act {
    pub actor: usize,
    pub command: Command,
}

/// The calls of several threads at the same time.
#[derive(Clone, Debug)]
pub struct Step {
    pub acts: Vec<Act>,
}

/// Which contexts exist.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub slots: [Option<Setup>; SLOTS],
}

impl ReferenceStateMachine for Plan {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(plan: &Self) -> BoxedStrategy<Step> {
        let number = prop_oneof![5 => Just(1usize), 3 => Just(2), 3 => Just(3)];
        let (one, plan) = (act(plan), plan.clone());
        number
            .prop_flat_map(move |number| prop::collection::vec(one.clone(), number))
            .prop_map(move |acts| plan.fitting(acts))
            .boxed()
    }

    fn preconditions(plan: &Self, step: &Step) -> bool {
        !step.acts.is_empty() && plan.fitting(step.acts.clone()).acts.len() == step.acts.len()
    }

    fn apply(mut plan: Self, step: &Step) -> Self {
        for act in &step.acts {
            match act.command {
                Command::New { slot, setup } => plan.slots[slot] = Some(setup),
                Command::Free { slot } => plan.slots[slot] = None,
                _ => {}
            }
        }
        plan
    }
}

impl Plan {
    /// The `acts` that are possible at the same time in this state.
    fn fitting(&self, acts: Vec<Act>) -> Step {
        let mut step = Step { acts: Vec::new() };
        for act in acts {
            let beside = |other: &Act| {
                let same = act.command.slot().is_some() && other.command.slot() == act.command.slot();
                other.actor != act.actor && !(same && (act.command.is_exclusive() || other.command.is_exclusive()))
            };
            if self.allows(&act) && step.acts.iter().all(beside) {
                step.acts.push(act);
            }
        }
        step
    }

    fn allows(&self, act: &Act) -> bool {
        let Some(slot) = act.command.slot() else { return true };
        match (&act.command, self.slots[slot]) {
            (Command::New { setup, .. }, None) => !setup.single() || setup.owner == act.actor,
            (Command::New { .. }, Some(_)) | (_, None) => false,
            // A free by another thread would leak it, and a wait by another thread would fail.
            (Command::Free { .. } | Command::Settle { .. }, Some(setup)) => !setup.single() || setup.owner == act.actor,
            (_, Some(_)) => true,
        }
    }
}

fn act(plan: &Plan) -> BoxedStrategy<Act> {
    let slots = plan.slots;
    let beside = prop_oneof![
        6 => (0..QUIET, 1..3000usize).prop_map(|(stream, len)| Command::Feed { stream, len }),
        3 => (0..STREAMS, 1..3000usize).prop_map(|(stream, len)| Command::Drain { stream, len }),
        2 => Just(Command::Cool),
        1 => (any::<bool>(), 1..=3u32).prop_map(|(free, backend)| Command::Fork { free, backend }),
    ];
    let on_context = (0..SLOTS).prop_flat_map(move |slot| match slots[slot] {
        None => setup().prop_map(move |setup| Command::New { slot, setup }).boxed(),
        Some(setup) => command(slot, setup.max_requests),
    });
    let command = prop_oneof![1 => beside, 6 => on_context];
    (command, 0..ACTORS, prop::bool::weighted(0.1))
        .prop_map(move |(command, actor, stray)| {
            let owner = match (&command, command.slot().and_then(|slot| slots[slot])) {
                (Command::New { setup, .. }, _) => setup.single().then_some(setup.owner),
                (_, setup) => setup.filter(|setup| setup.single() && !stray).map(|setup| setup.owner),
            };
            Act { actor: owner.unwrap_or(actor), command }
        })
        .boxed()
}

fn setup() -> impl Strategy<Value = Setup> {
    let flags = prop_oneof![
        5 => Just(0u32),
        3 => Just(CAIO_CTX_NO_INLINE),
        2 => Just(CAIO_CTX_SINGLE_THREAD),
        1 => Just(CAIO_CTX_SINGLE_THREAD | CAIO_CTX_NO_INLINE),
        1 => Just(CAIO_CTX_SQPOLL),
    ];
    let max_requests = prop_oneof![1 => 1..4u32, 3 => 4..40u32, 1 => Just(512u32)];
    let threads = prop_oneof![Just(0u32), Just(1), 2..8u32];
    (1..=3u32, max_requests, threads, flags, 0..FRESH).prop_map(|(backend, max_requests, threads, flags, owner)| {
        Setup { backend, max_requests, threads, flags, owner }
    })
}

fn command(slot: usize, max_requests: u32) -> BoxedStrategy<Command> {
    let few = 0..max_requests.min(20) + 2;
    let patience_us = prop_oneof![Just(0u64), 1..3000u64];
    let submit = (chains(), prop::option::of(few.clone())).prop_map(move |(chains, poll)| Command::Submit {
        slot,
        chains,
        poll,
    });
    let wait = (0..8u32, few.clone(), patience_us).prop_map(move |(min, more, patience_us)| Command::Wait {
        slot,
        min,
        more,
        patience_us,
    });
    prop_oneof![
        20 => submit,
        5 => few.prop_map(move |max| Command::Poll { slot, max }),
        8 => wait,
        4 => Just(Command::Settle { slot }),
        3 => Just(Command::Wake { slot }),
        5 => any::<usize>().prop_map(move |pick| Command::Cancel { slot, pick }),
        2 => any::<usize>().prop_map(move |pick| Command::CancelFd { slot, pick }),
        1 => Just(Command::CancelAll { slot }),
        4 => Just(Command::Look { slot }),
        2 => Just(Command::Free { slot }),
    ]
    .boxed()
}

/// The operations of one call: most are single, some are chains.
fn chains() -> impl Strategy<Value = Vec<Vec<Ask>>> {
    let chain = prop_oneof![
        6 => prop::collection::vec(ask(), 1),
        2 => prop::collection::vec(ask(), 2..5),
    ];
    prop::collection::vec(chain, 0..7)
}

fn ask() -> impl Strategy<Value = Ask> {
    let timeout_us = prop_oneof![6 => Just(None), 1 => (1..4000u64).prop_map(Some)];
    let ioprio = prop_oneof![9 => Just(0u16), 1 => Just(0x4007u16)];
    (what(), any::<bool>(), timeout_us, ioprio).prop_map(|(what, full, timeout_us, ioprio)| Ask {
        what,
        full,
        timeout_us,
        ioprio,
    })
}

pub const STREAMS: usize = 4;
/// A stream without data: a read of it waits until it is stopped.
pub const QUIET: usize = STREAMS - 1;
pub const FILES: usize = 2;
pub const CELLS: usize = 64;

fn what() -> impl Strategy<Value = What> {
    let place = || (0..FILES, 0..CELLS, prop_oneof![3 => 1..3usize, 1 => 1..CELLS], any::<bool>());
    let stream = |streams| (0..streams, prop_oneof![1..64usize, 1..9000usize]);
    prop_oneof![
        4 => Just(What::Nop),
        12 => place().prop_map(|(file, cell, cells, vectored)| What::Read { file, cell, cells, vectored }),
        10 => place().prop_map(|(file, cell, cells, vectored)| What::Write { file, cell, cells, vectored }),
        2 => (0..FILES).prop_map(|file| What::Beyond { file }),
        8 => stream(STREAMS).prop_map(|(stream, len)| What::StreamRead { stream, len }),
        6 => stream(QUIET).prop_map(|(stream, len)| What::StreamWrite { stream, len }),
        2 => (0..FILES).prop_map(|file| What::Fsync { file }),
        3 => (0..FILES).prop_map(|file| What::Fdsync { file }),
        1 => Just(What::SyncRange),
        1 => Just(What::Allocate),
        1 => Just(What::Truncate),
        3 => Just(What::Open),
        1 => Just(What::OpenMissing),
        1 => Just(What::OpenFifo),
        2 => Just(What::Close),
        2 => Just(What::Statx),
        1 => Just(What::Folder),
        6 => opened(),
        6 => any::<u8>().prop_map(What::Harmless),
        1 => Just(What::UnlinkMissing),
        1 => Just(What::BadDescriptor),
        1 => Just(What::BadMemory),
        1 => Just(What::BadPath),
        1 => Just(What::Directory),
        1 => (0..STREAMS).prop_map(|stream| What::StreamAtOffset { stream }),
        1 => any::<u8>().prop_map(What::Malformed),
    ]
}

fn opened() -> impl Strategy<Value = What> {
    use Opened::*;
    let how = prop::sample::select(&[Read, Fail, Keep, Missing, Replace, Folder, Nothing]);
    (how, 0..CELLS, 1..4usize).prop_map(|(how, cell, cells)| What::Opened { how, cell, cells })
}
