//! What the file system has been told, and what it has to say.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::rules::{End, KINDS, Kind, Rules, Wait};
use crate::store::{Crash, Store};

/// The rest of a request that waits.
pub type Job = Box<dyn FnOnce() + Send>;

/// What the answer of a sync is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    #[default]
    Honest,
    Ignored,
    Early(Duration),
}

#[derive(Default)]
pub struct State {
    pub store: Store,
    pub rules: Rules,
    pub sync: Sync,
    pub direct: bool,
    pub full: Option<u64>,
    held: Vec<Job>,
    counts: BTreeMap<Kind, u64>,
}

#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the rest of a request as the rules want it: now, later, or when told to go.
    pub fn request(&self, kind: Kind, bytes: Range<u64>, rest: impl FnOnce(&Shared, End) + Send + 'static) {
        let mut state = self.lock();
        *state.counts.entry(kind).or_default() += 1;
        let (wait, end) = state.rules.decide(kind, bytes);
        let shared = self.clone();
        let job = move || rest(&shared, end);
        match wait {
            Some(Wait::ForGo) => state.held.push(Box::new(job)),
            Some(Wait::For(time)) => later(time, job),
            None => {
                drop(state);
                job();
            }
        }
    }

    /// Does what one line says; EINVAL if it says nothing known.
    pub fn command(&self, line: &str) -> Result<(), i32> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut state = self.lock();
        match words[..] {
            [] => {}
            ["go"] => {
                let held = std::mem::take(&mut state.held);
                drop(state);
                held.into_iter().for_each(|job| job());
            }
            ["clear"] => state.rules.clear(),
            ["full", "off"] => state.full = None,
            ["full", bytes] => state.full = Some(number(bytes)?),
            ["direct", "on"] => state.direct = true,
            ["direct", "off"] => state.direct = false,
            ["sync", "honest"] => state.sync = Sync::Honest,
            ["sync", "ignored"] => state.sync = Sync::Ignored,
            ["sync", "early", time] => state.sync = Sync::Early(Duration::from_millis(number(time)?)),
            ["crash"] => state.store.crash(Crash::KeepNames),
            ["crash", "names"] => state.store.crash(Crash::LoseNames),
            ["crash", "random", seed] => state.store.crash(Crash::Random(number(seed)?)),
            _ => return state.rules.add(&words).ok_or(libc::EINVAL),
        }
        Ok(())
    }

    pub fn report(&self) -> String {
        let state = self.lock();
        let mut text = format!("held {}\n", state.held.len());
        for (name, kind) in KINDS {
            let _ = writeln!(text, "{name} {}", state.counts.get(&kind).unwrap_or(&0));
        }
        text
    }
}

pub fn later(time: Duration, job: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        std::thread::sleep(time);
        job();
    });
}

fn number(word: &str) -> Result<u64, i32> {
    word.parse().map_err(|_| libc::EINVAL)
}
