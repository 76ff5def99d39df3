//! World's entrypoint is the crate's own: it only has to be linked.
pub use world;
