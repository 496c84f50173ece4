r"""The rules of the Penn Treebank tokenizer that COCO caption evaluation uses, as patterns.

At every place of a text the longest rule wins, and of rules of one length the first, as in the original, a
generated lexer. What a rule must see behind its token (``ahead``) counts for its length. The rules come from the
documentation of Stanford's PTBTokenizer and from its answers to some millions of short texts; they hold none of
its code. ``tools/ptb_differences.py`` compares both.

Rules read a text in which every letter beyond ASCII is ``\u00e9``, every combining mark ``\u0301``, every digit
``\u0663`` and every unknown character ``\x00``; the table of kinds is ``ptb_characters.txt``.
"""

from collections.abc import Callable
from dataclasses import dataclass

LETTER, MARK, DIGIT, UNKNOWN = "\u00e9", "\u0301", "\u0663", "\x00"

_L = f"[A-Za-z{LETTER}{MARK}]"
_W = f"[A-Za-z0-9{LETTER}{DIGIT}]"
_D = f"[0-9{DIGIT}]"
_LW = f"[A-Za-z0-9{LETTER}{MARK}{DIGIT}]"
_HYPHEN = "[-\u058a\u2010\u2011]"
_APOSTROPHE = "['\u2019\u0092]"
_CURLY = "\u0091-\u0094\u2018-\u201f\u2039\u203a\u00ab\u00bb"
_RAISED = "\u00b2\u00b3\u00b9\u2070\u2074-\u2079"
_QUOTE = "['\u2019\u0092`\u2018\u201b\u0091]"
_BLANK = "[ \u00a0]"
_STEP = "[- \u00a0]"

_CLITIC = "(?:'(?i:[msd]|re|ve|ll)(?![A-Za-z])|[\u2019\u0092](?i:[msd]|re|ve|ll))"
_NOT = f"(?i:n{_QUOTE}t)"
_PART = rf"(?:[dDoOlL]{_QUOTE}{_W})?{_W}+"
_JOINED = rf"{_L}{_LW}*(?:[.!?]{_L}{_LW}*)+"
_SLASHED = r"[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
_NAME = "[A-Za-z][A-Za-z0-9_:.-]*"
_IN_URL = '[^ \\t\\n"<>|(){}]'
_URL_END = '[^ \\t\\n"<>|(){}.,!?-]'
_PATH = rf"(?:/{_IN_URL}+{_URL_END})?"
_HOST = '[^ \\t\\n"<>|(){}.,!?]'
_LOWER_HOST = "[^ \\t\\n\"<>|(){}.,!?A-Z0-9$'/:;=@\\[\\]\\\\^_`-]"
_IN_NAME = '[^ \\t\\n"<>|(){}\u00a0]'
_DOMAIN = '[^ \\t\\n"<>|(){}.\u00a0]'
_MIXED = r"[A-Za-z0-9][A-Za-z0-9.,]*(?:-(?:(?:[A-Za-z]\.){2,}|[A-Za-z0-9]+))+"

# Abbreviations that keep their period everywhere, and those that do so even in front of one letter ("Co.X").
_ABBREVIATIONS = (
    "adj adm adv alex asst assoc atty attys ave brig capt cf cie cmdr col comdr cpl dept det dr drs elec ens gen gov"
    " govs hon insp invt jos lieut lt maj messrs mlle mme mr mrs ms msgr mt natl pfc ph pres prof profs pvt rep reps"
    " rev sen sens sfc sgt spc st ste supt supts treas vs wm ft"
)
_FINAL_ABBREVIATIONS = (
    "al ala apr ariz assn aug bancorp bhd bldg blvd bros calif co colo conn corp cos ct dak dec esq est etc ext"
    " feb fla fri ga inc ind intl jan jr jul jun kan kans ky ltd mar md mich minn mo mon mont neb nev nov oct okla penn"
    " plc rd rt sep sept seq sq sr sys tel tenn thu thurs tue tues univ va vt wed wis wisc wyo"
)
# The same, written in lower case or with a capital, but not in capitals.
_COMPANIES = "ppte pptes ppty pptys pte ptes pty ptys"
_TRADES = "mfg mtg"  # as these, but not in front of a letter
# The same, but with a capital; in lower case they are other words.
_STATES = "ark az del ill la mass miss ore pa tex wash"
_NUMBERED = "art ca fig figs no nos op pp prop"
# A single letter with a period ends a sentence in front of these words; elsewhere it is an initial.
_STARTERS = (
    "A An As At He If In It So We But Her Now One Our She The Yet You Here Last Many More Once Some Such That Then They"
    " This What When About According Additionally After Earlier However Other Since Their There These While"
)
_FILES = (
    "bat bmp c class cgi cpp dll docx? exe gif gz h html? jar java jpe?g mov pdf php pl png ppt ps py sql tar txt wav x"
    " xml zip"
)

ABBREVIATIONS = frozenset(f"{_ABBREVIATIONS} {_FINAL_ABBREVIATIONS} {_COMPANIES} {_TRADES} {_STATES}".split())
NUMBERED = frozenset(_NUMBERED.split())
SPLIT_WORDS = frozenset(["cannot", "gonna", "gotta", "wanna", "gimme", "lemme"])


def _any(words: str) -> str:
    return "|".join(sorted(words.split(), key=len, reverse=True))


def _cased(words: str, *forms: Callable[[str], str]) -> str:
    return _any(" ".join(form(word) for word in words.split() for form in forms))


def _named(words: str) -> str:
    return "|".join(f"{word[0].upper()}(?i:{word[1:]})" for word in words.split())


@dataclass(frozen=True, slots=True)
class Rule:
    """What a token looks like, what must stand behind it, and how it is written.

    Attributes:
        token: a pattern in the alphabet of the rules.
        ahead: a pattern for what stands behind the token; it counts for the length, and stays to be read.
        how: the way to write the token, see ``ptb_reader``.
    """

    token: str
    ahead: str = ""
    how: str = "plain"


_LETTER_RULES = (
    Rule(rf"(?i:{'|'.join(sorted(SPLIT_WORDS))})", how="cut"),
    Rule("(?i:anti|pro)-"),
    Rule("(?i:[a-z]*[a-mo-z])", _NOT),
    Rule(_NOT, how="quoted"),
    Rule(rf"{_L}{_LW}*"),
    Rule(rf"{_L}{_LW}*", _CLITIC),
    Rule(
        rf"(?i:[dlj]{_APOSTROPHE}|y{_APOSTROPHE}(?=[a-ce-ln-rt-z])|(?:ol|dunkin|somethin){_APOSTROPHE}|c'mon|li'l|cap{_APOSTROPHE}n|o{_QUOTE}o|e'er|o'er"
        "|ne'er)"
    ),
    Rule(rf"[A-HJ-XZn]{_QUOTE}{_L}{{2,}}|{_L}+[aeiouyAEIOUY]{_QUOTE}[aeiouA-Z]{_L}*|(?i:nor'easter|s'mores)"),
    Rule(rf"(?i:{_any(_ABBREVIATIONS)}|{_any(_FINAL_ABBREVIATIONS)})\."),
    Rule(rf"(?:{_cased(_COMPANIES + ' ' + _TRADES, str, str.capitalize)})\."),
    Rule(rf"(?:{_named(_STATES)})\."),
    Rule(rf"(?i:{_any(_FINAL_ABBREVIATIONS)})\.", "[^A-Za-z0-9]?."),
    Rule(rf"(?:{_cased(_COMPANIES, str, str.capitalize)}|{_named(_STATES)})\.", "[^A-Za-z0-9]?."),
    Rule(rf"(?i:{_any(_NUMBERED)})\.", rf"\s?{_D}"),
    Rule(r"(?i:ph\.d\.)"),
    Rule(r"(?i:ph\.d\.)", "[^A-Za-z0-9]?."),
    Rule(_JOINED),
    Rule(_JOINED, _CLITIC),
    Rule("[A-Z]+(?:(?:&(?i:amp;)?|[+])[A-Z]+)+", how="joined"),
    Rule(r"[A-Za-z](?:\.[A-Za-z])+\."),
    Rule(r"[A-Za-z]\."),
    Rule("[A-Za-z]", rf"\.\s+(?:{_any(_STARTERS)}|M[rRsS]\.)(?=\s)"),
    Rule(rf"{_JOINED}\.", "[,:;]"),
    Rule(rf"(?i:https?)://{_IN_URL}+{_URL_END}", how="address"),
    Rule(rf"[Ww][Ww][Ww]\.(?:{_HOST}+\.)+[a-zA-Z]{{2,4}}{_PATH}", how="address"),
    Rule(r"[A-Z]+\$|(?i:[cf]\#|c\+\+)"),
)
_WORD_RULES = (
    Rule(rf"{_PART}(?:(?:{_HYPHEN}|_){_PART})*"),
    Rule(_MIXED),
    Rule(rf"{_MIXED}\.", "[,:;]"),
    Rule(rf"{_SLASHED}(?:\\?/{_SLASHED}){{1,2}}"),
    Rule(rf"{_LW}+(?:(?:{_HYPHEN}|_){_LW}+)*\.", "[,:;]"),
    Rule(rf"(?:{_LW}+\.)+(?i:{_any(_FILES)})(?=[\s.,?!])"),
    Rule(rf"<?[a-zA-Z0-9]{_IN_NAME}*@{_DOMAIN}+(?:\.{_DOMAIN}+)*>?", how="address"),
)
_DIGIT_RULES = (
    Rule(rf"{_D}{{1,4}}{_STEP}{_D}{{1,4}}[/\u2044]{_D}{{1,4}}", how="spaced"),
    Rule(rf"{_D}{{1,4}}[/\u2044]{_D}{{1,4}}"),
    Rule(rf"{_D}+/{_D}+/{_D}+|{_D}{{1,2}}[-/]{_D}{{1,2}}[-/]{_D}{{2,4}}"),
)
_SUBSCRIBER = rf"{_D}{{3,4}}{_STEP}?{_D}{{3,5}}"
_PHONE = rf"{_D}{{2,4}}{_STEP}(?:{_D}{{2,4}}{_STEP})?{_SUBSCRIBER}"
_NUMBER = Rule(rf"[-+]?(?:{_D}*(?:[.:,\u066b\u066c]{_D}+)+|{_D}+)")
_LOWER_URL = Rule(rf"(?:{_LOWER_HOST}+\.)+(?i:com|net|org|edu){_PATH}", how="address")
_FACE = Rule(
    r"[<>]?[:;=][-o*']?(?:[()\\{@|\[\]](?![A-Za-z0-9])|[DPdpO](?![A-Za-z0-9]))|[x~<>=^'-]_[x~<>=^'-]"
    r"|\([x~<>=^'-][_.]?[x~<>=^'-]\)|\([x~<>=^']-[x~<>=^'`]\)",
    how="face",
)
_OTHER = Rule(r"\S")
_QUOTES = Rule(f"[{_CURLY}`]{{1,2}}|['\"]", how="quotes")

BY_START: dict[str, tuple[Rule, ...]] = {
    "letter": (*_LETTER_RULES, *_WORD_RULES, _LOWER_URL, _OTHER),
    "digit": (*_WORD_RULES, *_DIGIT_RULES, Rule(_PHONE, how="phone"), _NUMBER),
    "'\u2019\u0092": (
        Rule("'(?i:t)", "(?i:is|was)"),
        Rule(_CLITIC, how="quoted"),
        Rule(
            rf"{_APOSTROPHE}(?:(?i:till?|cause|em)|[nN]{_APOSTROPHE}|(?<!')[nN]|[2-9]0[sS])",
        ),
        Rule(rf"{_APOSTROPHE}(?:[0-9][0-9]|[nN])", r"\s"),
        _FACE,
        Rule("''", how="drop"),
        _QUOTES,
        _LOWER_URL,
    ),
    "<": (
        Rule(rf"<{_NAME}(?: +{_NAME}(?: *= *(?:\"[^\"\n]*\"|'[^'\n]*'))?)* *(?:/ *)?>", how="spaced"),
        Rule(rf"</{_NAME} *>|<[!?][A-Za-z-][^>\n]*>", how="spaced"),
        *_WORD_RULES[-1:],
        _FACE,
        Rule("<<?"),
    ),
    "(": (Rule(rf"\({_D}{{2,3}}\){_BLANK}?{_SUBSCRIBER}", how="phone"), _FACE, _OTHER),
    "+": (Rule(rf"\+{{1,2}}{_PHONE}", how="phone"), _NUMBER, _LOWER_URL, _OTHER),
    "@": (Rule("@[A-Za-z_][A-Za-z0-9_]*"), Rule("@+"), _OTHER),
    "#": (Rule(rf"\#{_L}+"), Rule(r"\#+"), _LOWER_URL),
    "&": (
        Rule(r"&(?i:amp|lt|gt|quot|nbsp|apos|[mn]dash|md|ht|lr|q[clr]|tl|ur|[co]dq|\#\d+);", how="entity"),
        _LOWER_URL,
        _OTHER,
    ),
    "-": (_NUMBER, _FACE, Rule("-{5,}"), Rule("-(?i:[lr][rcs]b)-"), Rule("-{2,4}|-", how="drop")),
    ".": (_NUMBER, Rule(r"\.{3,}|\.(?: \.){2,}|\.", how="drop")),
    ":,\u066b\u066c": (_NUMBER, _FACE, _OTHER),
    ";=>^~": (_FACE, Rule(">>"), _LOWER_URL, _OTHER),
    "*_": (Rule(r"\*+|_+"), _LOWER_URL),
    "!?": (Rule("[!?]+"),),
    "\\": (Rule(r"(?:\\\*){1,3}"), _OTHER),
    '"`\u0091\u0093\u0094\u2018\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a\u00ab\u00bb': (_QUOTES, _LOWER_URL),
    "\u00b2\u00b3\u00b9\u2070\u2074\u2075\u2076\u2077\u2078\u2079": (Rule(f"[{_RAISED}]+"), _LOWER_URL),
    "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089": (Rule("[\u2080-\u2089]+"), _LOWER_URL),
    "\u058a\u2010\u2011": (Rule(".", how="drop"),),
    "\x00\u00a0": (_LOWER_URL, Rule(".", how="drop")),
    "": (_LOWER_URL, _OTHER),
}
