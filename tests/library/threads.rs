//! The results of the CPU are bitwise independent of the number of threads.

use wlstm::device::single::{fill, run_on_host};
use wlstm::kernels::catalogue;
use wlstm::team::Team;

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let teams = [1, 2, 3].map(Team::new);
    for kernel in catalogue() {
        let run = kernel.cpu_function();
        for case in (kernel.cases)() {
            let contents = fill(kernel, &case, 1);
            let results = teams.each_ref().map(|team| -> Vec<Vec<u32>> {
                let results = team.install(|| run_on_host(kernel, run, &case.params, &contents));
                let bits = |slice: &Vec<f32>| slice.iter().map(|x| x.to_bits()).collect();
                results.iter().map(bits).collect()
            });
            let same = results.iter().all(|result| *result == results[0]);
            assert!(same, "{}, {}", kernel.name, case.label);
        }
    }
}
