//! Reverse-mode automatic differentiation of single numbers: every number records its operands and the derivative with respect to
//! each. Slow and simple, so that models are written once, as the forward pass.

/// A number on the tape.
#[derive(Clone, Copy)]
pub struct Number(usize);

/// The value of a number, and up to two operands with their derivatives.
struct Entry {
    value: f64,
    parts: [(usize, f64); 2],
}

/// All numbers in order of creation.
#[derive(Default)]
pub struct Tape(Vec<Entry>);

impl Tape {
    fn push(&mut self, value: f64, parts: [(usize, f64); 2]) -> Number {
        self.0.push(Entry { value, parts });
        Number(self.0.len() - 1)
    }

    /// The value of a number.
    pub fn value(&self, x: Number) -> f64 {
        self.0[x.0].value
    }

    /// A number without operands: a parameter or a constant.
    pub fn leaf(&mut self, value: f64) -> Number {
        self.push(value, [(0, 0.0); 2])
    }

    /// `x + y`.
    pub fn add(&mut self, x: Number, y: Number) -> Number {
        self.push(self.value(x) + self.value(y), [(x.0, 1.0), (y.0, 1.0)])
    }

    /// `x y`.
    pub fn multiply(&mut self, x: Number, y: Number) -> Number {
        let (u, v) = (self.value(x), self.value(y));
        self.push(u * v, [(x.0, v), (y.0, u)])
    }

    /// `x + constant`.
    pub fn shift(&mut self, x: Number, constant: f64) -> Number {
        self.push(self.value(x) + constant, [(x.0, 1.0), (0, 0.0)])
    }

    /// `1 / (1 + exp(-x))`.
    pub fn sigmoid(&mut self, x: Number) -> Number {
        let y = 1.0 / (1.0 + (-self.value(x)).exp());
        self.push(y, [(x.0, y * (1.0 - y)), (0, 0.0)])
    }

    /// The hyperbolic tangent.
    pub fn tanh(&mut self, x: Number) -> Number {
        let y = self.value(x).tanh();
        self.push(y, [(x.0, 1.0 - y * y), (0, 0.0)])
    }

    /// `exp(x)`.
    pub fn exp(&mut self, x: Number) -> Number {
        let y = self.value(x).exp();
        self.push(y, [(x.0, y), (0, 0.0)])
    }

    /// The natural logarithm.
    pub fn ln(&mut self, x: Number) -> Number {
        let value = self.value(x);
        self.push(value.ln(), [(x.0, 1.0 / value), (0, 0.0)])
    }

    /// The dot product of two rows of the same length.
    pub fn dot(&mut self, xs: &[Number], ys: &[Number]) -> Number {
        assert_eq!(xs.len(), ys.len());
        let mut sum = self.leaf(0.0);
        for (x, y) in xs.iter().zip(ys) {
            let product = self.multiply(*x, *y);
            sum = self.add(sum, product);
        }
        sum
    }

    /// The cross-entropy of class 0 of these logits.
    pub fn cross_entropy(&mut self, logits: &[Number]) -> Number {
        let mut sum = self.leaf(0.0);
        for logit in logits {
            let term = self.exp(*logit);
            sum = self.add(sum, term);
        }
        let log = self.ln(sum);
        let minus = self.leaf(-1.0);
        let negative = self.multiply(minus, logits[0]);
        self.add(log, negative)
    }

    /// The derivatives of `y` with respect to every number so far.
    pub fn derivatives(&self, y: Number) -> Derivatives {
        let mut slopes = vec![0.0; self.0.len()];
        slopes[y.0] = 1.0;
        for k in (0..=y.0).rev() {
            for (part, slope) in self.0[k].parts {
                slopes[part] += slope * slopes[k];
            }
        }
        Derivatives(slopes)
    }
}

/// The derivatives of one number.
pub struct Derivatives(Vec<f64>);

impl Derivatives {
    /// With respect to `x`.
    pub fn by(&self, x: Number) -> f64 {
        self.0[x.0]
    }
}
