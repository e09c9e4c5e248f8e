//! The workgroups of a dispatch.

/// The largest number of workgroups of a dispatch along one side that WebGPU guarantees.
pub const MAX_GRID: u32 = 65_535;

/// The grid of `workgroup`-sized groups that covers `threads`, folded into two dimensions past [`MAX_GRID`].
///
/// Shaders of such kernels compute `index = (group.y * groups.x + group.x) * WORKGROUP + local` and return past the end.
pub fn grid_over(threads: usize, workgroup: usize) -> [u32; 3] {
    let groups = threads.div_ceil(workgroup).max(1);
    let rows = groups.div_ceil(MAX_GRID as usize);
    [groups.div_ceil(rows) as u32, rows as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_cover_and_stay_in_bounds() {
        assert_eq!(grid_over(1, 64), [1, 1, 1]);
        assert_eq!(grid_over(65, 64), [2, 1, 1]);
        for threads in [65_535 * 64, 65_535 * 64 + 1, 793_470 * 1024] {
            let [x, y, z] = grid_over(threads, 64);
            assert!(x <= MAX_GRID && y <= MAX_GRID && z == 1);
            assert!(x as usize * y as usize * 64 >= threads);
        }
    }
}
