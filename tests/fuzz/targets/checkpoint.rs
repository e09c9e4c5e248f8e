#![no_main]

use wlstm_fuzz::dice::Dice;
use wlstm_fuzz::hostile::checkpoint::read;
use wlstm_fuzz::hostile::mutate::mutate;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read(bytes));

// Random bytes are almost never a file that can be opened.
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut dice = Dice(seed.into());
    if dice.below(8) == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    let changed = mutate(&data[..size], &mut dice);
    let len = changed.len().min(max_size);
    data[..len].copy_from_slice(&changed[..len]);
    len
});
