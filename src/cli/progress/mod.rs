//! Progress on standard error: a live line on a terminal, a plain line now and then elsewhere.

mod interval;
mod live;
mod run;
mod unigram;
mod unknown_words;

pub(super) use self::interval::INTERVAL;
pub(super) use self::live::Live;
pub(super) use self::run::{Progress, bits_of, took_of, validation_time};
pub(super) use self::unigram::UnigramModel;
pub(super) use self::unknown_words::UnknownWords;
