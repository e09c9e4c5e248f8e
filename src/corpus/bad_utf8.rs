//! The error for bytes that are not text.

/// The text is not valid UTF-8 at this byte offset, or has a NUL byte there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadUtf8(pub(crate) usize);
