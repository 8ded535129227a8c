//! The directory of the file that sets the default backend.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Fixed here, as distributions do with sysconfdir.
    println!("cargo:rerun-if-env-changed=CAIO_CONFIG_DIR");
    let directory = std::env::var("CAIO_CONFIG_DIR").unwrap_or_else(|_| "/usr/local/etc/caio".into());
    println!("cargo:rustc-env=CAIO_CONFIG_DIR={directory}");
}
