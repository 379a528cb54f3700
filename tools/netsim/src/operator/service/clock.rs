//! The time of day, for a header and for the voice. UTC.

/// `Thu, 01 Jan 2026 00:00:00 GMT` (RFC 3261, section 20.17).
pub fn date(unix: u64) -> String {
    let (days, seconds) = (unix / 86_400, unix % 86_400);
    let (year, month, day) = civil(days);
    let name = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{name}, {day:02} {} {year} {hour:02}:{minute:02}:{second:02} GMT", months[month - 1])
}

/// In words that the voice knows: `ten forty two and thirty seconds`.
pub fn words(unix: u64) -> String {
    let seconds = unix % 86_400;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let minutes = match minute {
        0 => "hundred hours".to_string(),
        1..10 => format!("oh {}", number(minute)),
        _ => number(minute),
    };
    let seconds = if second == 1 { "second" } else { "seconds" };
    format!("{} {minutes} and {} {seconds}", number(hour), number(second))
}

/// A number below 100.
pub fn number(number: u64) -> String {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 10] =
        ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let (tens, ones) = ((number / 10 % 10) as usize, (number % 10) as usize);
    match (tens, ones) {
        (0 | 1, _) => SMALL[(number % 100) as usize].into(),
        (_, 0) => TENS[tens].into(),
        _ => format!("{} {}", TENS[tens], SMALL[ones]),
    }
}

/// Year, month and day of a day since 1970 (proleptic Gregorian, by eras of 400 years).
fn civil(days: u64) -> (u64, usize, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_words_are_right() {
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(1_709_164_800 + 3_661), "Thu, 29 Feb 2024 01:01:01 GMT");
        assert_eq!(words(0), "zero hundred hours and zero seconds");
        assert_eq!(words(22 * 3600 + 7 * 60 + 41), "twenty two oh seven and forty one seconds");
    }
}
