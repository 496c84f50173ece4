"""Porter's stemmer (Porter 1980) in the variant that NLTK applies by default, which METEOR and ROUGE read.

The variant differs from the paper in a dozen irregular words, in words of up to two letters (left alone), in
"-ies" and "-ied" after one letter, in when "y" becomes "i", and in "-alli", "-bli", "-fulli" and "-logi".
Importing NLTK takes up to a second, because it imports SciPy where that is installed; these rules take none.
``tests`` hold every word of WordNet, inflected, and random letters to NLTK's own stemmer.

A word has the form [C](VC)^m[V], C and V being runs of consonants and vowels; the rules ask for its measure m.
"""

import re

_IRREGULAR = {
    "skies": "sky",
    "sky": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "news": "news",
    "innings": "inning",
    "inning": "inning",
    "outings": "outing",
    "outing": "outing",
    "cannings": "canning",
    "canning": "canning",
    "howe": "howe",
    "proceed": "proceed",
    "exceed": "exceed",
    "succeed": "succeed",
}

# Steps 2 and 3 of the paper: suffix -> replacement, where the rest has m > 0.
_STEP_2 = {
    "ational": "ate",
    "tional": "tion",
    "enci": "ence",
    "anci": "ance",
    "izer": "ize",
    "bli": "ble",
    "alli": "al",
    "entli": "ent",
    "eli": "e",
    "ousli": "ous",
    "ization": "ize",
    "ation": "ate",
    "ator": "ate",
    "alism": "al",
    "iveness": "ive",
    "fulness": "ful",
    "ousness": "ous",
    "aliti": "al",
    "iviti": "ive",
    "biliti": "ble",
    "fulli": "ful",
    "logi": "log",
}
_STEP_3 = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
# Step 4: suffixes that go where the rest has m > 1.
_STEP_4 = "al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize"


def _ending(suffixes: object) -> re.Pattern[str]:
    """Match the longest of the suffixes: a search finds the leftmost match, which is the longest at the end."""
    return re.compile(f"(?:{'|'.join(map(str, suffixes))})$")  # type: ignore[call-overload]


_ENDING_2, _ENDING_3, _ENDING_4 = _ending(_STEP_2), _ending(_STEP_3), _ending(_STEP_4.split())


def stem(word: str) -> str:
    """Return the stem of a word, in lower case.

    Example:
        >>> [stem(word) for word in ["Running", "ponies", "happily", "relational", "sky"]]
        ['run', 'poni', 'happili', 'relat', 'sky']
    """
    lower = word.lower()
    if lower in _IRREGULAR:
        return _IRREGULAR[lower]
    if len(word) <= 2:
        return lower
    return _step_5(_step_4(_step_3(_step_2(_step_1c(_step_1b(_step_1a(lower)))))))


def _form(word: str) -> str:
    """Return the word as a string of "c" and "v": "y" is a vowel after a consonant, else a consonant."""
    form = ""
    for letter in word:
        vowel = form[-1:] == "c" if letter == "y" else letter in "aeiou"
        form += "v" if vowel else "c"
    return form


def _measure(word: str) -> int:
    return _form(word).count("vc")


def _ends_cvc(word: str) -> bool:
    """Return whether the word ends like "hop", where a final "e" may have gone; of two letters, like "at"."""
    form = _form(word)
    return (form.endswith("cvc") and word[-1] not in "wxy") or form == "vc"


def _step_1a(word: str) -> str:
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _step_1b(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            return _mend(rest) if "v" in _form(rest) else word
    return word


def _mend(rest: str) -> str:
    """Give back what "-ed" or "-ing" took: conflat -> conflate, hopp -> hop, fil -> file."""
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if len(rest) >= 2 and rest[-1] == rest[-2] and _form(rest)[-1] == "c":
        return rest if rest[-1] in "lsz" else rest[:-1]
    if rest.endswith("*d"):  # the paper's sign for two equal consonants, which NLTK also takes at its letters
        return rest[:-2] + "d"
    return rest + "e" if _measure(rest) == 1 and _ends_cvc(rest) else rest


def _step_1c(word: str) -> str:
    after_consonant = word.endswith("y") and len(word) > 2 and _form(word)[-2] == "c"
    return word[:-1] + "i" if after_consonant else word


def _step_2(word: str) -> str:
    found = _ENDING_2.search(word)
    if not found:
        return word
    suffix, rest = found.group(), word[: found.start()]
    if suffix == "alli" and _measure(rest) > 0:
        return _step_2(rest + "al")
    measured = word[:-3] if suffix == "logi" else rest  # "l" counts with the stem: geo, theo, archaeo
    return rest + _STEP_2[suffix] if _measure(measured) > 0 else word


def _step_3(word: str) -> str:
    found = _ENDING_3.search(word)
    if not found or _measure(word[: found.start()]) == 0:
        return word
    return word[: found.start()] + _STEP_3[found.group()]


def _step_4(word: str) -> str:
    found = _ENDING_4.search(word)
    if not found:
        return word
    rest = word[: found.start()]
    gone = _measure(rest) > 1 and (found.group() != "ion" or rest[-1] in "st")
    return rest if gone else word


def _step_5(word: str) -> str:
    if word.endswith("e"):
        measure = _measure(word[:-1])
        if measure > 1 or (measure == 1 and not _ends_cvc(word[:-1])):
            word = word[:-1]
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
