//! Formats numbers for people.

use std::f64::consts::LN_2;

/// A count with its noun: `1 step`, `2,000 steps`.
pub fn counted(count: u64, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{} {what}{end}", grouped(count))
}

/// An integer with grouped digits: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (k, digit) in digits.chars().enumerate() {
        if k > 0 && (digits.len() - k).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with two decimals and grouped digits: `1,234.57`. Very large numbers are in scientific notation.
pub fn decimal(number: f64) -> String {
    if !number.is_finite() || number.abs() >= 1e12 {
        return format!("{number:.2e}");
    }
    let text = format!("{:.2}", number.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "00"));
    let sign = if number < 0.0 { "-" } else { "" };
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    format!("{sign}{whole}.{fraction}")
}

/// Words per second, with three significant digits: `33.8 k`.
pub fn rate(number: f64) -> String {
    match number {
        n if n >= 999_500.0 => format!("{:.2} M", n / 1e6),
        n if n >= 9_995.0 => format!("{:.1} k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

/// A fraction of 1 as a percentage: `4.1 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// The bits per byte of a text of `bytes` bytes with the negative log-likelihood `nll`, in nats. `None` without bytes.
pub fn bits_per_byte(nll: f64, bytes: u64) -> Option<f64> {
    (bytes > 0).then(|| nll / LN_2 / bytes as f64)
}

/// Bits per byte for display: `1.873`, or `at least 1.873` for a lower bound.
pub fn bits(bits_per_byte: f64, is_lower_bound: bool) -> String {
    let least = if is_lower_bound { "at least " } else { "" };
    format!("{least}{bits_per_byte:.3}")
}

/// A duration in seconds as `1:02:03` or `2:03`. `?` if it is not finite.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "?".to_owned();
    }
    let seconds = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// A number of bytes in the largest binary unit in which it is at least 1: `128.0 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_rates_shares_and_durations() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(13_986_078), "13,986,078");
        assert_eq!(
            [0, 1, 2_000].map(|count| counted(count, "step")),
            ["0 steps", "1 step", "2,000 steps"]
        );
        assert_eq!(bits_per_byte(LN_2 * 30.0, 20), Some(1.5));
        assert_eq!(bits_per_byte(1.0, 0), None);
        assert_eq!(
            [bits(1.8734, false), bits(2.0, true)],
            ["1.873", "at least 2.000"]
        );
        let decimals = [5.252, 999.999, 309_191_936.0, -1234.5, 3.5e290, 0.0].map(decimal);
        let expected = [
            "5.25",
            "1,000.00",
            "309,191,936.00",
            "-1,234.50",
            "3.50e290",
            "0.00",
        ];
        assert_eq!(decimals, expected);
        assert_eq!(rate(512.4), "512");
        assert_eq!(rate(33_812.0), "33.8 k");
        assert_eq!(percent(0.0414), "4.1 %");
        assert_eq!(duration(59.7), "1:00");
        assert_eq!(duration(3723.0), "1:02:03");
        assert_eq!(duration(f64::INFINITY), "?");
    }

    #[test]
    fn byte_counts_have_units() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(128 << 20), "128.0 MiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
    }
}
