//! The linker's two facts: the soname, and that the library stays mapped once loaded, because
//! a worker may still be returning from a system call when a program calls `dlclose`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Where `default_implementation` is looked for; fixed here, as distributions do with sysconfdir.
    println!("cargo:rerun-if-env-changed=CAIO_CONFIG_DIR");
    let directory = std::env::var("CAIO_CONFIG_DIR").unwrap_or_else(|_| "/usr/local/etc/caio".into());
    println!("cargo:rustc-env=CAIO_CONFIG_DIR={directory}");

    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcaio.so.0");
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
