//! Every shader, as naga parses it, against its declaration in Rust, and through every backend: SPIR-V (with
//! `spirv-val`), MSL and HLSL as wgpu generates them. So Metal and DirectX 12 are checked without such a
//! device.

mod compile;
mod declarations;
mod pairing;
mod tools;

use std::process::Command;

use crate::common::{Trial, left_out};
use wlstm::kernels::catalogue;

use self::compile::{each, to_hlsl, to_msl, to_spirv};
use self::declarations::{cases, interface, wrong_declarations};
use self::pairing::paired;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("shaders_and_declarations_are_paired", paired),
        Trial::test("a_wrong_declaration_is_refused", wrong_declarations),
    ];
    let validator = Command::new("spirv-val").arg("--version").output().is_ok();
    for kernel in catalogue() {
        let name = |what| format!("{}::{what}", kernel.name);
        trials.push(Trial::test(name("cases"), || cases(kernel)));
        trials.push(Trial::test(name("interface"), || interface(kernel)));
        trials.push(Trial::test(name("msl"), || each(kernel, to_msl)));
        // naga does not support matrix units in HLSL, and wgpu lists none on DirectX 12.
        if !kernel.needs_units() {
            trials.push(Trial::test(name("hlsl"), || each(kernel, to_hlsl)));
        }
        trials.push(if validator {
            Trial::test(name("spirv"), || each(kernel, to_spirv))
        } else {
            left_out(name("spirv"), "spirv-val is not installed")
        });
    }
    trials
}
