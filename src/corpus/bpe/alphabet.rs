//! The alphabet of byte-level BPE: a printable character for every byte (Radford et al. 2019).

use std::sync::LazyLock;

/// The character of each byte.
static CHARACTERS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 256;
    std::array::from_fn(|byte| {
        let is_own = matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
        let code = if is_own {
            byte as u32
        } else {
            next += 1;
            next - 1
        };
        char::from_u32(code).unwrap_or_default()
    })
});

/// The character of a byte.
pub(super) fn character(byte: u8) -> char {
    CHARACTERS[usize::from(byte)]
}

/// Bytes in the alphabet.
pub(super) fn written(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| character(*byte)).collect()
}

/// The byte of a character. `None` if the character is not in the alphabet.
fn byte(c: char) -> Option<u8> {
    match c as u32 {
        code @ (0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff) => Some(code as u8),
        code @ 0x100..=0x143 => {
            let others = (0..=0x20).chain(0x7f..=0xa0).chain([0xad]);
            others.into_iter().nth(code as usize - 0x100)
        }
        _ => None,
    }
}

/// The bytes of a token. A token with characters outside the alphabet, which a tokenizer adds to it, stands for itself.
pub fn bytes_of(token: &str) -> Vec<u8> {
    let bytes: Option<Vec<u8>> = token.chars().map(byte).collect();
    bytes.unwrap_or_else(|| token.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_own_character() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(bytes_of(&written(&all)), all);
        assert_eq!(written(b" the\n\xff"), "ĠtheĊÿ");
        assert_eq!(bytes_of("日"), "日".as_bytes());
    }
}
