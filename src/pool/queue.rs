//! The operations that wait for a worker thread, in two classes that take turns, and how many are running.

use crate::slab::{Class, List, NONE, Place, Slab};

pub struct Queue {
    fast: List,
    slow: List,
    /// The slow class is next if both have operations.
    slow_next: bool,
    fast_running: u32,
    slow_running: u32,
    /// Operations of the fast class that ended.
    fast_ended: u64,
}

/// How many operations of each class may run at once.
#[derive(Clone, Copy)]
pub struct Limits {
    pub fast: u32,
    pub slow: u32,
}

impl Queue {
    pub fn new() -> Self {
        let (fast, slow) = (List::new(), List::new());
        Self { fast, slow, slow_next: false, fast_running: 0, slow_running: 0, fast_ended: 0 }
    }

    pub fn push_back(&mut self, slab: &mut Slab, index: u32, class: Class) {
        slab[index].place = Place::Queued(class);
        self.list(class).push_back(slab, index);
    }

    pub fn push_front(&mut self, slab: &mut Slab, index: u32, class: Class) {
        slab[index].place = Place::Queued(class);
        self.list(class).push_front(slab, index);
    }

    pub fn remove(&mut self, slab: &mut Slab, index: u32, class: Class) {
        self.list(class).remove(slab, index);
    }

    /// The next operation that may start; [`Self::done`] follows.
    pub fn take(&mut self, slab: &mut Slab, limits: Limits) -> Option<u32> {
        let fast = self.fast_ready(limits) > 0;
        let slow = self.slow_ready(limits) > 0 && (self.slow_next || !fast);
        if !fast && !slow {
            return None;
        }
        self.slow_next = !slow;
        let index = self.list(if slow { Class::Slow } else { Class::Fast }).pop_front(slab)?;
        self.slow_running += u32::from(slow);
        self.fast_running += u32::from(!slow);
        slab[index].place = Place::Running;
        Some(index)
    }

    /// The operation `index`, if it is queued and may start; [`Self::done`] follows.
    pub fn take_this(&mut self, slab: &mut Slab, index: u32, limits: Limits) -> Option<u32> {
        let Place::Queued(class) = (if index == NONE { Place::Free } else { slab[index].place }) else { return None };
        let (running, limit) = match class {
            Class::Fast => (&mut self.fast_running, limits.fast),
            Class::Slow => (&mut self.slow_running, limits.slow),
        };
        if *running >= limit {
            return None;
        }
        *running += 1;
        self.list(class).remove(slab, index);
        slab[index].place = Place::Running;
        Some(index)
    }

    pub fn done(&mut self, class: Class) {
        match class {
            Class::Slow => self.slow_running -= 1,
            Class::Fast => {
                self.fast_running -= 1;
                self.fast_ended += 1;
            }
        }
    }

    /// Any operation, for when no worker thread can run it.
    pub fn drain(&mut self, slab: &mut Slab) -> Option<u32> {
        self.fast.pop_front(slab).or_else(|| self.slow.pop_front(slab))
    }

    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.fast.is_empty() && self.slow.is_empty()
    }

    /// How many operations may start now.
    pub fn ready(&self, limits: Limits) -> u32 {
        self.fast_ready(limits) + self.slow_ready(limits)
    }

    fn fast_ready(&self, limits: Limits) -> u32 {
        self.fast.len().min(limits.fast.saturating_sub(self.fast_running))
    }

    fn slow_ready(&self, limits: Limits) -> u32 {
        self.slow.len().min(limits.slow.saturating_sub(self.slow_running))
    }

    /// Operations of the fast class that are queued or running.
    pub fn fast(&self) -> u32 {
        self.fast.len() + self.fast_running
    }

    /// Operations of the fast class wait for one that runs.
    pub fn fast_waits(&self) -> bool {
        self.fast_running > 0 && !self.fast.is_empty()
    }

    pub fn fast_ended(&self) -> u64 {
        self.fast_ended
    }

    fn list(&mut self, class: Class) -> &mut List {
        match class {
            Class::Fast => &mut self.fast,
            Class::Slow => &mut self.slow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Op;

    const ALL: Limits = Limits { fast: u32::MAX, slow: u32::MAX };

    /// A queue with the given numbers of operations: first the fast ones' slots, then the slow ones'.
    fn queue(fast: u64, slow: u64) -> (Queue, Slab) {
        let (mut queue, mut slab) = (Queue::new(), Slab::new(16).unwrap());
        for user_data in 0..fast + slow {
            let index = slab.insert(Op::nop(user_data));
            queue.push_back(&mut slab, index, if user_data < fast { Class::Fast } else { Class::Slow });
        }
        (queue, slab)
    }

    fn take_all(queue: &mut Queue, slab: &mut Slab, limits: Limits) -> Vec<u32> {
        std::iter::from_fn(|| queue.take(slab, limits)).collect()
    }

    #[test]
    fn the_classes_take_turns() {
        let (mut queue, mut slab) = queue(3, 3);
        assert_eq!(take_all(&mut queue, &mut slab, ALL), [0, 3, 1, 4, 2, 5]);
        assert!(queue.is_empty());
    }

    #[test]
    fn one_class_at_its_limit_leaves_the_other_running() {
        let (mut queue, mut slab) = queue(3, 3);
        let limits = Limits { fast: u32::MAX, slow: 1 };
        assert_eq!(queue.ready(limits), 4);
        assert_eq!(take_all(&mut queue, &mut slab, limits), [0, 3, 1, 2]);
        queue.done(Class::Fast);
        assert_eq!(queue.take(&mut slab, limits), None);
        queue.done(Class::Slow);
        assert_eq!(queue.take(&mut slab, limits), Some(4));
    }

    #[test]
    fn the_next_member_of_a_chain_runs_first() {
        let (mut queue, mut slab) = queue(2, 0);
        let next = slab.insert(Op::nop(9));
        queue.push_front(&mut slab, next, Class::Fast);
        assert_eq!(take_all(&mut queue, &mut slab, ALL), [next, 0, 1]);
    }

    #[test]
    fn a_removed_operation_does_not_run() {
        let (mut queue, mut slab) = queue(0, 3);
        queue.remove(&mut slab, 1, Class::Slow);
        assert_eq!(take_all(&mut queue, &mut slab, ALL), [0, 2]);
    }

    #[test]
    fn fast_operations_wait_only_behind_a_running_one() {
        let (mut queue, mut slab) = queue(2, 0);
        assert!(!queue.fast_waits());
        queue.take(&mut slab, ALL);
        assert!(queue.fast_waits());
        assert_eq!(queue.fast(), 2);
        queue.done(Class::Fast);
        assert_eq!((queue.fast_waits(), queue.fast_ended()), (false, 1));
    }
}
