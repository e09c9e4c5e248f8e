// Shared by all forms of the cell and of its gradient: the operands of the product, and what the texts of products read of it.

// Elements of a vector of the operands in memory: 1, 4, or 8, which are halves.
const LANES: u32 = 1u;
const WEIGHT_LANES: u32 = 1u;

#if LANES == 1
@group(0) @binding(2) var<storage, read> left: array<f32>;
alias Left = f32;
#end
#if LANES == 4
@group(0) @binding(2) var<storage, read> left: array<vec4<f32>>;
alias Left = vec4<f32>;
#end
#if LANES == 8
@group(0) @binding(2) var<storage, read> left: array<vec4<u32>>;
alias Left = vec4<u32>;
#end
#if WEIGHT_LANES == 1
@group(0) @binding(3) var<storage, read> weight: array<f32>;
alias Weight = f32;
#end
#if WEIGHT_LANES == 4
@group(0) @binding(3) var<storage, read> weight: array<vec4<f32>>;
alias Weight = vec4<f32>;
#end
#if WEIGHT_LANES == 8
@group(0) @binding(3) var<storage, read> weight: array<vec4<u32>>;
alias Weight = vec4<u32>;
#end

alias Z = vec4<f32>;

// Terms of a partial sum, as in products.
const DEPTH: u32 = 512u;

// Whether the form has the text of a product, product.wgsl or product_units.wgsl, and whether its sums have more than DEPTH terms.
const CELL: bool = false;
const LONG: bool = false;

#if CELL
fn left_start() -> u32 {
    return LANES * starts.left;
}

fn right_start() -> u32 {
    return WEIGHT_LANES * starts.weight;
}

fn read_left(at: u32) -> Left {
    return left[at];
}

fn read_right(at: u32) -> Weight {
    return weight[at];
}

fn run_terms() -> u32 {
    return DEPTH;
}

struct Task {
    group: u32,
    first: u32,
    end: u32,
}

#end
