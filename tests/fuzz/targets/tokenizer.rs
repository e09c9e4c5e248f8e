#![no_main]

use wlstm_fuzz::hostile::tokenizer::read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read(bytes));
