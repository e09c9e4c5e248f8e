#![no_main]

use wlstm_fuzz::hostile::vocabulary::read;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read(bytes));
