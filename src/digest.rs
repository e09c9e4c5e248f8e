//! A short name for a lot of bytes: FNV-1a of 64 bits (Fowler, Noll, Vo). It tells things apart by accident, not against
//! intent. A leaf.

/// The digest of the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Default for Digest {
    fn default() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: impl IntoIterator<Item = u8>) -> Digest {
        Digest::default().and(bytes)
    }

    /// The digest of the bytes so far and these.
    pub fn and(self, bytes: impl IntoIterator<Item = u8>) -> Digest {
        Digest(bytes.into_iter().fold(self.0, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    /// As a number.
    pub fn value(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn published_digests() {
        assert_eq!(Digest::of(*b"").value(), 0xcbf2_9ce4_8422_2325);
        assert_eq!(Digest::of(*b"a").value(), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(Digest::of(*b"foobar").value(), 0x8594_4171_f739_67e8);
        assert_eq!(Digest::of(*b"foo").and(*b"bar"), Digest::of(*b"foobar"));
    }
}
