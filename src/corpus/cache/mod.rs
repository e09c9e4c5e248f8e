//! The token cache: text is parsed once and kept on the disk as token ids.

pub(super) mod cached_tokens;
pub(super) mod token_file;

mod build;
mod digests;
mod store;
mod token_cache;
mod token_writer;

pub use token_cache::TokenCache;
