//! Patterns on thread names, as a shell knows them: `*` is any text, `?` one character.

/// Whether `text` fits `pattern` from end to end.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star stood, and up to where it reaches so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, reach)) = star else { return false };
                star = Some((at, reach + 1));
                (p, t) = (at + 1, reach + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether a thread is wanted, by its name or its short; without patterns, every one is.
pub(crate) fn wants(patterns: &[String], name: Option<&str>, short: &str) -> bool {
    let fits = |pattern: &String| {
        matches(pattern, short) || name.is_some_and(|name| matches(pattern, name))
    };
    patterns.is_empty() || patterns.iter().any(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, fits: &[&str], not: &[&str]) {
        for text in fits {
            assert!(matches(pattern, text), "{pattern} fits {text}");
        }
        for text in not {
            assert!(!matches(pattern, text), "{pattern} does not fit {text}");
        }
    }

    #[test]
    fn patterns_fit_from_end_to_end() {
        check("plan", &["plan"], &["", "plans", "a plan", "Plan"]);
        check("*", &["", "a", "a/b.c"], &[]);
        check("plan*", &["plan", "plan/api"], &["a plan"]);
        check("*/api", &["plan/api", "/api", "api/api/api"], &["plan/apis", "api"]);
        check("a*b*c", &["abc", "a--b--c", "abbcc"], &["acb", "ab"]);
        check("?at", &["cat", "öat"], &["at", "chat"]);
        check("", &[""], &["a"]);
        check("*a?", &["aab", "xaay"], &["a"]);
    }

    #[test]
    fn a_thread_is_wanted_by_name_or_short() {
        let patterns = ["plan*".to_owned(), "d082*".to_owned()];
        assert!(wants(&patterns, Some("plans"), "00000000"));
        assert!(wants(&patterns, None, "d0825bc5"));
        assert!(!wants(&patterns, None, "00000000"));
        assert!(wants(&[], None, "00000000"));
    }
}
