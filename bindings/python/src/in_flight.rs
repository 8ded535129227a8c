//! The objects of the operations in flight.
//!
//! The library knows an operation by the address of its Python object, its `user_data`. The owner of a set holds one
//! reference to each of these objects until the operation's event is handled. So an object, and the memory that the
//! kernel uses, outlives the operation. The garbage collector sees these references, as the owner visits them.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::PyClass;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::chain::MOST_STEPS;
use crate::coroutine::Coroutine;
use crate::operation::Operation;
use crate::raw::*;

/// The index of an object in its set.
#[derive(Default)]
pub struct Place(AtomicU32);

/// What can be in flight.
pub trait Submitted {
    fn place(&self) -> &Place;

    /// How many operations of the library it has.
    fn operations(&self) -> usize {
        1
    }
}

/// Objects in flight; insertion and removal take constant time.
pub struct InFlight<T> {
    places: Vec<Option<Py<T>>>,
    free: Vec<u32>,
    operations: usize,
}

impl<T> Default for InFlight<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), operations: 0 }
    }
}

impl<T: PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync + Submitted> InFlight<T> {
    pub fn insert(&mut self, object: Py<T>) {
        self.operations += object.get().operations();
        let place = self.free.pop().unwrap_or(self.places.len() as u32);
        // Relaxed: the owner's lock orders all accesses.
        object.get().place().0.store(place, Ordering::Relaxed);
        match self.places.get_mut(place as usize) {
            Some(empty) => *empty = Some(object),
            None => self.places.push(Some(object)),
        }
    }

    /// Returns the reference. The caller drops it after it has released the owner's lock.
    #[must_use]
    pub fn remove(&mut self, object: &T) -> Option<Py<T>> {
        let place = object.place().0.load(Ordering::Relaxed);
        let removed = self.places.get_mut(place as usize).and_then(Option::take);
        if removed.is_some() {
            self.free.push(place);
            self.operations -= object.operations();
        }
        removed
    }

    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// How many operations of the library its objects have.
    pub fn operations(&self) -> usize {
        self.operations
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = &Py<T>> {
        self.places.iter().flatten()
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        self.iter().try_for_each(|object| visit.call(object))
    }
}

/// The object of an event.
pub enum Completed {
    Low(Py<Operation>),
    /// With the number of the operation in the coroutine's chain.
    Async(Py<Coroutine>, usize),
}

/// The lowest bit of `user_data` tells an [`Operation`] from a [`Coroutine`].
pub const LOW: u64 = 1;
/// Where `user_data` has the number of the operation in a chain. CPython aligns its objects to 16 bytes on 64-bit systems.
const STEP_SHIFT: u32 = if cfg!(target_pointer_width = "64") { 1 } else { 32 };
const STEP_MASK: u64 = (MOST_STEPS as u64 - 1) << STEP_SHIFT;

/// The address of the object.
pub fn address(user_data: u64) -> u64 {
    user_data & !(STEP_MASK | LOW)
}

/// The number of the operation in its chain.
pub fn step(user_data: u64) -> usize {
    ((user_data & STEP_MASK) >> STEP_SHIFT) as usize
}

pub fn operation_user_data(operation: &Bound<'_, Operation>) -> u64 {
    operation.as_ptr() as u64 | LOW
}

/// Of the operation `step` of a coroutine.
pub fn coroutine_user_data(coroutine: &Bound<'_, Coroutine>, step: usize) -> u64 {
    let address = coroutine.as_ptr() as u64;
    debug_assert_eq!(address & (STEP_MASK | LOW), 0);
    address | (step as u64) << STEP_SHIFT
}

impl Completed {
    /// # Safety
    /// From an event of an operation whose object is in its owner's set.
    pub unsafe fn of_event(py: Python<'_>, event: Completion) -> Self {
        let ptr = address(event.user_data) as *mut pyo3::ffi::PyObject;
        // SAFETY: the caller's promise: the set holds a reference to an object of that type.
        unsafe {
            let object = Bound::from_borrowed_ptr(py, ptr);
            if event.user_data & LOW != 0 {
                Self::Low(object.cast_into_unchecked().unbind())
            } else {
                Self::Async(object.cast_into_unchecked().unbind(), step(event.user_data))
            }
        }
    }
}
