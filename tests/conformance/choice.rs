//! Promise 12: the choice of the backend; and the functions without a context.

use crate::support::case::Case;
use crate::support::*;
use std::ffi::CStr;

crate::promises! {
    Plan::EVERY => { a_named_backend_is_used, defaults_are_as_documented }
    Plan::ALONE => { auto_honours_the_environment, auto_ignores_unknown_values }
    Plan::DEFAULT => {
        auto_takes_the_first_available_backend,
        names_are_known,
        the_probe_always_fills_why,
        the_probe_truncates_to_size,
        errors_have_texts,
        the_version_is_the_headers,
    }
}

fn a_named_backend_is_used(case: &Case) {
    assert_eq!(case.ctx().backend(), case.engine() as i32);
}

fn defaults_are_as_documented(case: &Case) {
    let ctx = case.ctx();
    assert_eq!(ctx.max_requests(), 512);
    let mut raw = std::ptr::null_mut();
    // SAFETY: NULL means all defaults; freed once.
    unsafe {
        assert_eq!(caio::capi::caio_ctx_new(std::ptr::null(), &mut raw), 0);
        assert_eq!(caio::capi::caio_ctx_max_requests(raw), 512);
        assert!(BACKENDS.contains(&(caio::capi::caio_ctx_backend(raw) as u32)), "never AUTO");
        caio::capi::caio_ctx_free(raw);
    }
}

fn set_environment(value: &str) {
    // SAFETY: no other thread of this process reads the environment.
    unsafe { std::env::set_var("CAIO_IMPL", value) };
}

/// The first of uring, linux and thread that is available on this machine.
fn first_available() -> u32 {
    BACKENDS.into_iter().find(|backend| probe(*backend).0 == 0).expect("threads are always available")
}

fn auto_takes_the_first_available_backend(_: &Case) {
    if std::env::var_os("CAIO_IMPL").is_some() {
        return skipped("the choice without CAIO_IMPL needs it to be unset");
    }
    // A default_implementation file comes first. The text of the probe mentions it.
    let (result, why) = probe(CAIO_BACKEND_AUTO);
    assert_eq!(result, 0, "{why}");
    let taken = Ctx::on(CAIO_BACKEND_AUTO).backend() as u32;
    assert!(taken == first_available() || why.contains("default_implementation"), "{why}");
    assert!(why.contains(backend_name(taken)), "the sentence names the backend: {why}");
}

fn auto_honours_the_environment(case: &Case) {
    let (engine, name) = (case.engine(), backend_name(case.engine()));
    set_environment(name);
    assert_eq!(Ctx::on(CAIO_BACKEND_AUTO).backend(), engine as i32);
    let (result, why) = probe(CAIO_BACKEND_AUTO);
    assert!(result == 0 && why.contains(name) && why.contains("CAIO_IMPL"), "{why}");
    // A named backend ignores it.
    for backend in backends() {
        assert_eq!(Ctx::on(backend).backend(), backend as i32);
    }
}

fn auto_ignores_unknown_values(_: &Case) {
    set_environment("thread");
    assert_eq!(Ctx::on(CAIO_BACKEND_AUTO).backend(), CAIO_BACKEND_THREAD as i32);
    for unknown in ["warp", "URING", "uring2", " ", "1"] {
        set_environment(unknown);
        let taken = Ctx::on(CAIO_BACKEND_AUTO).backend() as u32;
        let (result, why) = probe(CAIO_BACKEND_AUTO);
        assert_eq!(result, 0);
        assert!(why.contains("CAIO_IMPL") && why.contains(unknown.trim()), "the text names the ignored value: {why}");
        assert!(taken == first_available() || why.contains("default_implementation"), "{why}");
    }
    // SAFETY: as above.
    unsafe { std::env::remove_var("CAIO_IMPL") };
    assert!(probe(CAIO_BACKEND_AUTO).0 == 0);
}

fn names_are_known(_: &Case) {
    assert_eq!([0, 1, 2, 3].map(backend_name), ["auto", "uring", "linux", "thread"]);
    for unknown in [4, 100, u32::MAX] {
        assert!(caio::capi::caio_backend_name(unknown).is_null());
    }
}

fn the_probe_always_fills_why(case: &Case) {
    for backend in [CAIO_BACKEND_AUTO, case.backend, 4, u32::MAX] {
        let (result, why) = probe(backend);
        assert_eq!(result, if backend > CAIO_BACKEND_THREAD { -libc::EINVAL } else { 0 }, "{why}");
        assert!(why.len() > 3, "a sentence for backend {backend}: {why:?}");
    }
}

fn the_probe_truncates_to_size(case: &Case) {
    let whole = probe(case.backend).1;
    for size in 1..=whole.len() + 2 {
        let mut why = vec![0x55u8; size + 8];
        // SAFETY: longer than `size`.
        let result = unsafe { caio::capi::caio_backend_probe(case.backend, why.as_mut_ptr().cast(), size) };
        assert_eq!(result, 0);
        let text = CStr::from_bytes_until_nul(&why[..size]).expect("the text ends within its size");
        assert!(without_numbers(&whole).starts_with(&without_numbers(&text.to_string_lossy())), "{text:?}");
        assert!(text.count_bytes() + 4 >= size.min(whole.len()), "truncates only as much as necessary: {text:?}");
        assert_eq!(why[size..], [0x55; 8], "no byte after the end is written");
    }
}

/// Numbers in use may change between two probes.
fn without_numbers(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

fn errors_have_texts(_: &Case) {
    let text = |error| {
        let text = caio::capi::caio_strerror(error);
        assert!(!text.is_null(), "never NULL: {error}");
        // SAFETY: not NULL, so static text.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    };
    for error in (0..=200).chain([i32::MAX, i32::MIN, 100_000]) {
        assert!(!text(error).is_empty());
        assert_eq!(text(error), text(error.wrapping_neg()), "either sign: {error}");
    }
    assert_ne!(text(libc::ENOENT), text(libc::EIO));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..2000).for_each(|round| assert!(!text(round % 140).is_empty())));
        }
    });
}

fn the_version_is_the_headers(_: &Case) {
    let header = CAIO_VERSION_MAJOR << 16 | CAIO_VERSION_MINOR << 8 | CAIO_VERSION_PATCH;
    assert_eq!(caio::capi::caio_version(), header);
}
