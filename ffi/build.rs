//! Gives libchat.so the name that programs record when they link it: libchat.so.0.MINOR before 1.0,
//! where each minor version may break them, libchat.so.MAJOR from then on.

fn main() {
    let part = |name: &str| std::env::var(name).unwrap_or_default();
    let (major, minor) = (part("CARGO_PKG_VERSION_MAJOR"), part("CARGO_PKG_VERSION_MINOR"));
    let version = if major == "0" { format!("0.{minor}") } else { major };
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libchat.so.{version}");
        // Its threads may still run when a host unloads it.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
