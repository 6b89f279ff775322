//! Gives `ffi/src/lifecycle.rs`, which is included here, loom's locks instead of std's.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cfg=libchat_loom");
}
