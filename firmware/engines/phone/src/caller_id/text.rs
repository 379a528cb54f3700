//! Names and numbers as a telephone's display can show them.
//!
//! Displays know ISO 646: letters with marks lose them, other scripts are left out. Strangers write these texts.

use core::fmt::Write;

use dialtone_base::text::Text;

/// Digits, `*`, `#` and a leading `+` of a number, at most `most`; empty when it is no number but a name.
pub(super) fn number(text: &str, most: usize) -> Text<32> {
    let mut out = Text::new();
    if text.chars().any(char::is_alphabetic) {
        return out;
    }
    for character in text.chars() {
        let shown = character.is_ascii_digit()
            || matches!(character, '*' | '#')
            || (character == '+' && out.is_empty());
        if shown && out.len() < most {
            let _ = out.write_char(character);
        }
    }
    if out.as_str() == "+" { Text::new() } else { out }
}

/// A name in ISO 646, at most `most` characters; empty when nothing of it can be shown.
pub(super) fn name(text: &str, most: usize) -> Text<64> {
    let mut out: Text<64> = Text::new();
    for character in text.chars() {
        let plain: &str = match character {
            ' '..='~' => {
                if out.len() < most && !(character == ' ' && out.ends_with(' ')) {
                    let _ = out.write_char(character);
                }
                continue;
            }
            'À'..='Å' | 'Ā' | 'Ă' | 'Ą' => "A",
            'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
            'Æ' => "AE",
            'æ' => "ae",
            'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' => "C",
            'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
            'Ð' | 'Ď' | 'Đ' => "D",
            'ð' | 'ď' | 'đ' => "d",
            'È'..='Ë' | 'Ē' | 'Ė' | 'Ę' | 'Ě' => "E",
            'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => "e",
            'Ğ' | 'Ģ' => "G",
            'ğ' | 'ģ' => "g",
            'Ì'..='Ï' | 'Ī' | 'Į' | 'İ' => "I",
            'ì'..='ï' | 'ī' | 'į' | 'ı' => "i",
            'Ķ' => "K",
            'ķ' => "k",
            'Ł' | 'Ĺ' | 'Ļ' | 'Ľ' => "L",
            'ł' | 'ĺ' | 'ļ' | 'ľ' => "l",
            'Ñ' | 'Ń' | 'Ņ' | 'Ň' => "N",
            'ñ' | 'ń' | 'ņ' | 'ň' => "n",
            'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ő' => "O",
            'ò'..='ö' | 'ø' | 'ō' | 'ő' => "o",
            'Œ' => "OE",
            'œ' => "oe",
            'Ŕ' | 'Ř' => "R",
            'ŕ' | 'ř' => "r",
            'Ś' | 'Ş' | 'Š' | 'Ș' => "S",
            'ś' | 'ş' | 'š' | 'ș' => "s",
            'ß' => "ss",
            'Ţ' | 'Ť' | 'Ț' => "T",
            'ţ' | 'ť' | 'ț' => "t",
            'Ù'..='Ü' | 'Ū' | 'Ů' | 'Ű' | 'Ų' => "U",
            'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
            'Ý' | 'Ÿ' => "Y",
            'ý' | 'ÿ' => "y",
            'Ź' | 'Ż' | 'Ž' => "Z",
            'ź' | 'ż' | 'ž' => "z",
            '‘' | '’' => "'",
            '–' | '—' => "-",
            _ => continue,
        };
        if out.len() + plain.len() <= most {
            let _ = out.write_str(plain);
        }
    }
    let trimmed = out.trim();
    // Of a name in another script only its spaces and signs would be left.
    if trimmed.chars().any(|character| character.is_ascii_alphanumeric()) {
        Text::lossy(trimmed)
    } else {
        Text::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_marks_and_numbers_their_dots() {
        assert_eq!(name("Jürgen Groß-Łukasz", 32).as_str(), "Jurgen Gross-Lukasz");
        assert_eq!(name("张伟", 15).as_str(), "");
        assert_eq!(name("张伟 (Zhang)", 15).as_str(), "(Zhang)");
        assert_eq!(name("A very long name indeed", 15).as_str(), "A very long nam");
        assert_eq!(number("+49 (30) 1234-5", 20).as_str(), "+49301234 5".replace(' ', "").as_str());
        assert_eq!(number("alice2", 20).as_str(), "");
        assert_eq!(number("12345678901234567890123", 20).len(), 20);
        assert_eq!(number("+", 20).as_str(), "");
    }
}
