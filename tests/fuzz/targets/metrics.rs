#![no_main]

use wlstm_fuzz::dice::Dice;
use wlstm_fuzz::hostile::metrics::read;
use wlstm_fuzz::hostile::mutate::mutate_lines;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| read(bytes));

// Half of the mutations change a value, the others change bytes.
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut dice = Dice(seed.into());
    if dice.below(2) == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    let changed = mutate_lines(&data[..size], &mut dice);
    let len = changed.len().min(max_size);
    data[..len].copy_from_slice(&changed[..len]);
    len
});
