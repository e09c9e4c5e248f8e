//! Non-cryptographic 64-bit hashes: [`Fnv1a`] (Fowler, Noll and Vo) for short inputs, [`Xxh64`] (Collet) for
//! whole files, at the speed of memory.

/// The FNV-1a hash of the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Fnv1a {
        Fnv1a(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv1a {
    /// The hash of these bytes.
    pub fn of(bytes: impl IntoIterator<Item = u8>) -> Fnv1a {
        Fnv1a::default().and(bytes)
    }

    /// The hash of the bytes so far followed by these.
    pub fn and(self, bytes: impl IntoIterator<Item = u8>) -> Fnv1a {
        Fnv1a(bytes.into_iter().fold(self.0, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// The hash as a number.
    pub fn value(self) -> u64 {
        self.0
    }
}

/// Bytes that [`Xxh64`] processes at once.
const STRIPE: usize = 32;

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

/// The XXH64 hash of a stream of bytes. How the stream is cut into pieces does not matter.
#[derive(Clone, Debug)]
pub struct Xxh64 {
    lanes: [u64; 4],
    /// Bytes that do not fill a stripe yet.
    rest: [u8; STRIPE],
    length: u64,
}

impl Default for Xxh64 {
    fn default() -> Xxh64 {
        Xxh64 {
            lanes: [
                PRIMES[0].wrapping_add(PRIMES[1]),
                PRIMES[1],
                0,
                PRIMES[0].wrapping_neg(),
            ],
            rest: [0; STRIPE],
            length: 0,
        }
    }
}

impl Xxh64 {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> u64 {
        let mut hash = Xxh64::default();
        hash.add(bytes);
        hash.value()
    }

    /// Adds the next bytes.
    pub fn add(&mut self, mut bytes: &[u8]) {
        let held = (self.length % STRIPE as u64) as usize;
        self.length += bytes.len() as u64;
        if held > 0 {
            let (head, tail) = bytes.split_at(bytes.len().min(STRIPE - held));
            self.rest[held..held + head.len()].copy_from_slice(head);
            if held + head.len() < STRIPE {
                return;
            }
            stripe(&mut self.lanes, &self.rest);
            bytes = tail;
        }
        let (stripes, rest) = bytes.as_chunks::<STRIPE>();
        // A local copy stays in registers.
        let mut lanes = self.lanes;
        for bytes in stripes {
            stripe(&mut lanes, bytes);
        }
        self.lanes = lanes;
        self.rest[..rest.len()].copy_from_slice(rest);
    }

    /// The hash of all bytes added.
    pub fn value(&self) -> u64 {
        let [p1, p2, p3, p4, p5] = PRIMES;
        let mut hash = if self.length < STRIPE as u64 {
            p5
        } else {
            let [a, b, c, d] = self.lanes;
            let start = a
                .rotate_left(1)
                .wrapping_add(b.rotate_left(7))
                .wrapping_add(c.rotate_left(12))
                .wrapping_add(d.rotate_left(18));
            self.lanes.iter().fold(start, |hash, lane| {
                (hash ^ round(0, *lane)).wrapping_mul(p1).wrapping_add(p4)
            })
        };
        hash = hash.wrapping_add(self.length);
        let rest = &self.rest[..(self.length % STRIPE as u64) as usize];
        let (chunks, rest) = rest.as_chunks::<8>();
        for chunk in chunks {
            hash = (hash ^ round(0, u64::from_le_bytes(*chunk)))
                .rotate_left(27)
                .wrapping_mul(p1)
                .wrapping_add(p4);
        }
        let (chunks, rest) = rest.as_chunks::<4>();
        for chunk in chunks {
            hash = (hash ^ u64::from(u32::from_le_bytes(*chunk)).wrapping_mul(p1))
                .rotate_left(23)
                .wrapping_mul(p2)
                .wrapping_add(p3);
        }
        for &byte in rest {
            hash = (hash ^ u64::from(byte).wrapping_mul(p5))
                .rotate_left(11)
                .wrapping_mul(p1);
        }
        hash = (hash ^ hash >> 33).wrapping_mul(p2);
        hash = (hash ^ hash >> 29).wrapping_mul(p3);
        hash ^ hash >> 32
    }
}

#[inline(always)]
fn stripe(lanes: &mut [u64; 4], bytes: &[u8; STRIPE]) {
    for (lane, chunk) in lanes.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *lane = round(*lane, u64::from_le_bytes(*chunk));
    }
}

#[inline(always)]
fn round(lane: u64, input: u64) -> u64 {
    lane.wrapping_add(input.wrapping_mul(PRIMES[1]))
        .rotate_left(31)
        .wrapping_mul(PRIMES[0])
}

#[cfg(test)]
mod tests {
    use super::{Fnv1a, Xxh64};

    #[test]
    fn fnv1a_of_published_inputs() {
        assert_eq!(Fnv1a::of(*b"").value(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Fnv1a::of(*b"a").value(), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Fnv1a::of(*b"foobar").value(), 0x8594_4171_f739_67e8);
        assert_eq!(Fnv1a::of(*b"foo").and(*b"bar"), Fnv1a::of(*b"foobar"));
    }

    /// The results of the author's `xxhsum -H64`.
    #[test]
    fn xxh64_of_published_inputs() {
        for (text, digest) in [
            ("", 0xef46_db37_51d8_e999),
            ("a", 0xd24e_c4f1_a98c_6e5b),
            ("abc", 0x44bc_2cf5_ad77_0999),
            (
                "Nobody inspects the spammish repetition",
                0xfbce_a83c_8a37_8bf1,
            ),
        ] {
            assert_eq!(Xxh64::of(text.as_bytes()), digest, "{text:?}");
        }
    }

    #[test]
    fn xxh64_does_not_depend_on_how_the_input_is_cut() {
        let bytes: Vec<u8> = (0..200_u32).map(|k| (k * k % 251) as u8).collect();
        for length in 0..bytes.len() {
            let whole = Xxh64::of(&bytes[..length]);
            for piece in [1, 3, 31, 32, 33, 64, 100] {
                let mut hash = Xxh64::default();
                for bytes in bytes[..length].chunks(piece) {
                    hash.add(bytes);
                }
                assert_eq!(hash.value(), whole, "{length} in pieces of {piece}");
            }
            if length > 0 {
                let mut changed = bytes[..length].to_vec();
                changed[length / 2] ^= 1;
                assert_ne!(Xxh64::of(&changed), whole);
            }
        }
    }
}
