//! The native part of the Python package `caio`: its three native implementations on libcaio, and their asyncio side.

mod buffer;
mod chain;
mod context;
mod core;
mod coroutine;
mod delivery;
mod descriptor;
mod finalize;
mod flavor;
mod in_flight;
mod info;
mod io;
mod loop_context;
mod loop_state;
mod operation;
mod pace;
mod paths;
mod raw;
mod reaper;
mod room;
mod send;
mod system;
mod waiter;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

/// Native threads can attach to the main interpreter only.
fn refuse_sub_interpreters() -> PyResult<()> {
    // SAFETY: attached, as a module is being imported.
    let id = unsafe { pyo3::ffi::PyInterpreterState_GetID(pyo3::ffi::PyInterpreterState_Get()) };
    if id == 0 {
        return Ok(());
    }
    Err(PyImportError::new_err("the native part of caio works in the main interpreter only, not in a sub-interpreter"))
}

/// Use the modules of `caio` instead.
#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::coroutine::Coroutine;
    #[pymodule_export]
    use super::finalize::{_after_fork, _at_exit};
    #[pymodule_export]
    use super::info::{_auto_context, _probe, _sqpoll_allowed};
    #[pymodule_export]
    use super::loop_context::LoopContext;

    /// Classes that have the same name in different modules.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        super::refuse_sub_interpreters()?;
        module.add("UringContext", py.get_type::<super::context::UringContext>())?;
        module.add("LinuxContext", py.get_type::<super::context::LinuxContext>())?;
        module.add("ThreadContext", py.get_type::<super::context::ThreadContext>())?;
        module.add("UringOperation", py.get_type::<super::operation::UringOperation>())?;
        module.add("LinuxOperation", py.get_type::<super::operation::LinuxOperation>())?;
        module.add("ThreadOperation", py.get_type::<super::operation::ThreadOperation>())
    }
}
