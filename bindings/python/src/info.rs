//! Probes and counters.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::context::{LinuxContext, ThreadContext, UringContext};
use crate::flavor::Flavor;
use crate::raw::*;
use caio::Stats;

/// A `caio.Stats`.
pub fn stats_object(py: Python<'_>, flavor: Flavor, stats: &Stats) -> PyResult<Py<PyAny>> {
    let kwargs = PyDict::new(py);
    let name = match flavor {
        Flavor::Uring => "uring",
        Flavor::Linux => "linux",
        Flavor::Thread => "thread",
    };
    kwargs.set_item("implementation", name)?;
    let counters = [
        ("in_flight", u64::from(stats.in_flight)),
        ("submitted", stats.submitted),
        ("completed", stats.completed),
        ("cancelled", stats.cancelled),
        ("done_inline", stats.done_inline),
        ("done_native", stats.done_native),
        ("done_worker", stats.done_worker),
        ("retried", stats.retried),
    ];
    for (name, value) in counters {
        kwargs.set_item(name, value)?;
    }
    Ok(py.import("caio._info")?.getattr("Stats")?.call((), Some(&kwargs))?.unbind())
}

/// Whether a backend (0 is AUTO) is available now, and the reason.
#[pyfunction]
pub fn _probe(py: Python<'_>, backend: u32) -> (bool, String) {
    let backend = [Backend::Auto, Backend::Uring, Backend::Linux, Backend::Thread][backend as usize % 4];
    let probe = py.detach(|| backend.probe());
    (probe.is_available(), probe.to_string())
}

/// A context of the best implementation that is available now.
#[pyfunction]
#[pyo3(signature = (max_requests, sqpoll=None, pool_size=0))]
pub fn _auto_context(
    py: Python<'_>,
    max_requests: u32,
    sqpoll: Option<&Bound<'_, PyAny>>,
    pool_size: u32,
) -> PyResult<Py<PyAny>> {
    let sqpoll = sqpoll.map_or(Ok(false), |asked| asked.is_truthy())?;
    let options = Options { backend: Backend::Auto, max_requests, threads: pool_size, sqpoll, ..Options::default() };
    crate::context::any(py, options)
}

/// `Py::new` with the class of the context's implementation.
pub fn wrap(py: Python<'_>, context: crate::context::BaseContext) -> PyResult<Py<PyAny>> {
    let flavor = context.core.flavor;
    let base = PyClassInitializer::from(context);
    Ok(match flavor {
        Flavor::Uring => Py::new(py, base.add_subclass(UringContext))?.into_any(),
        Flavor::Linux => Py::new(py, base.add_subclass(LinuxContext))?.into_any(),
        Flavor::Thread => Py::new(py, base.add_subclass(ThreadContext))?.into_any(),
    })
}

/// Whether io_uring gives this process a submission thread now; sets up a ring to find out.
#[pyfunction]
#[cfg(target_os = "linux")]
pub fn _sqpoll_allowed() -> bool {
    const IORING_SETUP_SQPOLL: u32 = 1 << 1;
    // struct io_uring_params: the third field has the flags; the others may be zero.
    let mut params = [0u32; 30];
    params[2] = IORING_SETUP_SQPOLL;
    // SAFETY: the kernel reads and writes its 120 bytes.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    if ring >= 0 {
        // SAFETY: the ring's descriptor, which nothing else uses.
        unsafe { libc::close(ring as i32) };
    }
    ring >= 0
}

/// Other systems have no io_uring.
#[pyfunction]
#[cfg(not(target_os = "linux"))]
pub fn _sqpoll_allowed() -> bool {
    false
}
