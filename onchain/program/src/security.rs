//! Whom to tell of a fault: text in the program itself, where explorers and researchers look for it.
//!
//! The form is that of Solana's security.txt, version 1: names and values, each ended by a zero byte, between two marks.
//! Tools search a program for the marks. Where the linker keeps sections, `.security.txt` has the address and the length
//! of the text too (sbpf-linker merges all of them into `.rodata`). Nothing reads it at run time.

/// The text.
#[no_mangle]
#[link_section = ".security.txt"]
pub static SECURITY_TXT: &str = concat!(
    "=======BEGIN SECURITY.TXT V1=======\0",
    "name\0wmq world program\0",
    "project_url\0private\0",
    "contacts\0other:a private vulnerability report in the repository of wmq\0",
    "policy\0SECURITY.md in the repository of wmq says what is in scope. wmq exports this program; ",
    "who deploys it answers for its world and its sessions. No bounty is offered.\0",
    "preferred_languages\0en\0",
    "source_release\0",
    env!("CARGO_PKG_VERSION"),
    "\0",
    "=======END SECURITY.TXT V1=======\0",
);
