//! The operations of a context that have no event yet. It keeps their data alive and in place.

use std::sync::Arc;

use super::state::Completes;

/// Identifies an operation in the core. No other operation of the context gets the same number soon, so that a late cancel
/// stops none.
pub type Id = u64;

#[derive(Default)]
pub struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Entry {
    /// How many operations had this entry before.
    generation: u32,
    state: Option<Arc<dyn Completes>>,
}

impl Table {
    pub fn insert(&mut self, state: Arc<dyn Completes>) -> Id {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            self.entries.len() as u32 - 1
        });
        let entry = &mut self.entries[index as usize];
        entry.state = Some(state);
        u64::from(entry.generation) << 32 | u64::from(index)
    }

    pub fn remove(&mut self, id: Id) -> Option<Arc<dyn Completes>> {
        let index = id as u32;
        let entry = self.entries.get_mut(index as usize)?;
        if u64::from(entry.generation) != id >> 32 {
            return None;
        }
        let state = entry.state.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(index);
        Some(state)
    }

    /// Removes all.
    pub fn drain(&mut self) -> Vec<Arc<dyn Completes>> {
        std::mem::take(self).entries.into_iter().filter_map(|entry| entry.state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::state::Outcome;

    struct Nothing;
    impl Completes for Nothing {
        fn complete(&self, _: Outcome) {}
    }

    #[test]
    fn a_reused_entry_has_another_number() {
        let mut table = Table::default();
        let first = table.insert(Arc::new(Nothing));
        assert!(table.remove(first).is_some());
        assert!(table.remove(first).is_none());
        let second = table.insert(Arc::new(Nothing));
        assert_ne!(first, second);
        assert_eq!(first as u32, second as u32);
        assert!(table.remove(first).is_none());
        assert!(table.remove(second).is_some());
    }
}
