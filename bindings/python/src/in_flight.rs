//! The objects of the operations in flight.
//!
//! The library knows an operation by the address of its Python object, its `user_data`. The owner of a set holds one
//! reference to each of these objects until the operation's event is handled. So an object, and the memory that the
//! kernel uses, outlives the operation. The garbage collector sees these references, as the owner visits them.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::PyClass;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::coroutine::Coroutine;
use crate::operation::Operation;
use crate::raw::*;

/// The index of an object in its set.
#[derive(Default)]
pub struct Place(AtomicU32);

/// What can be in flight.
pub trait Submitted {
    fn place(&self) -> &Place;
}

/// Objects in flight; insertion and removal take constant time.
pub struct InFlight<T> {
    places: Vec<Option<Py<T>>>,
    free: Vec<u32>,
}

impl<T> Default for InFlight<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T: PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync + Submitted> InFlight<T> {
    pub fn insert(&mut self, object: Py<T>) {
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
        }
        removed
    }

    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
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
    Async(Py<Coroutine>),
}

/// The lowest bit of `user_data` tells an [`Operation`] from a [`Coroutine`].
pub const LOW: u64 = 1;

pub fn operation_user_data(operation: &Bound<'_, Operation>) -> u64 {
    operation.as_ptr() as u64 | LOW
}

pub fn coroutine_user_data(coroutine: &Bound<'_, Coroutine>) -> u64 {
    coroutine.as_ptr() as u64
}

impl Completed {
    /// # Safety
    /// From an event of an operation whose object is in its owner's set.
    pub unsafe fn of_event(py: Python<'_>, event: caio_event) -> Self {
        let ptr = (event.user_data & !LOW) as *mut pyo3::ffi::PyObject;
        // SAFETY: the caller's promise: the set holds a reference to an object of that type.
        unsafe {
            let object = Bound::from_borrowed_ptr(py, ptr);
            if event.user_data & LOW != 0 {
                Self::Low(object.cast_into_unchecked().unbind())
            } else {
                Self::Async(object.cast_into_unchecked().unbind())
            }
        }
    }
}
