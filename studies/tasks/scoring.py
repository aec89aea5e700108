"""How answers are compared with right ones: the functions behind the metrics.

All compare texts in Unicode's composed form (NFC), so that an accent is the same letter however it
was typed, and give a right answer's own text its best value.
"""

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal

_DIGITS = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,4})?")
_GROUPED = re.compile(r"([-+]?\d{1,3}(?:,\d{2,3})*,\d{3})(\.\d*)?")
_CURRENCY = re.compile(r"^([-+]?)[$€£¥]\s*")
_SYMBOL = re.compile(r"\d|[^\W\d]+")
_LETTERS = "ABCDEFGH"
_ALONE = re.compile(rf"(?<![^\W_])[{_LETTERS}](?![^\W_])")
_BRACKETS = "()[]{}.:*\"' "


def exact(text: str, wanted: str) -> float:
    """1 for the same text, but for case, blanks and a full stop at the end."""
    return float(_plain(text) == _plain(wanted))


def contains(text: str, wanted: str) -> float:
    """1 if the right text is part of the given one, but for case, blanks and its full stop."""
    part, whole = _plain(wanted), _folded(text)
    return float(part in whole if part else not whole)


def relaxed(text: str, wanted: str) -> float:
    """1 for the same text as `exact` has it, or for numbers at most 5 % of the right one apart.

    Numbers may have a sign, a currency before them, commas between thousands, an exponent, or a
    per cent sign (``25%`` is 0.25). "NaN", "inf" and lists of numbers are texts.
    """
    given, right = _number(text), _number(wanted)
    if given is None or right is None:
        return exact(text, wanted)
    return float(abs(given - right) <= abs(right) * Decimal("0.05"))


def anls(text: str, wanted: str) -> float:
    """Similarity by edits relative to the longer text, 0 from half of it wrong.

    By the rule of the paper (Scene Text Visual Question Answering, arXiv 1905.13648): 1 - NL where
    the normalised distance NL is below 0.5, else 0. So a similarity of exactly 0.5 scores 0;
    lmms-eval gives it 0.5. A full stop at the end does not count here, there it does.
    """
    given, right = _plain(text), _plain(wanted)
    longest = max(len(given), len(right))
    wrong = edits(given, right)
    return 1 - wrong / longest if 2 * wrong < longest else float(wrong == 0)


def edits(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein's distance: insertions, deletions and replacements from one to the other."""
    row = list(range(len(b) + 1))
    for i, own in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (own != other))
    return row[-1]


def choice(text: str, wanted: str) -> float:
    """1 if the first of the letters A to H that stands alone, beside no letter or digit, is the
    right one.

    Of a text that is one letter, perhaps in brackets, the case does not count.
    """
    bare = text.strip(_BRACKETS + "\n\t").upper()
    found = _ALONE.search(_composed(text))
    given = bare if len(bare) == 1 else found and found.group()
    right = _letter(wanted)
    return float(right is not None and given == right)


def refuses_choice(wanted: str) -> str | None:
    """Why `choice` could never find a right answer, or None."""
    if _letter(wanted) is not None:
        return None
    return "choice knows the letters A to H alone; give one of them, or use the metric exact"


def verbatim(text: str, wanted: str) -> float:
    """1 for the same letters, but for blanks around them."""
    return float(_composed(text).strip() == _composed(wanted).strip())


def lines(text: str, wanted: str) -> float:
    """Share of the lines that are right, by place."""

    def parts(whole: str) -> list[str]:
        return [line.strip() for line in _composed(whole).strip().split("\n")]

    return _share(parts(text), parts(wanted))


def sentences(text: str, wanted: str) -> float:
    """Share of the sentences that are right, by place."""

    def parts(whole: str) -> list[str]:
        found = re.split(r"(?<=\.)\s*", _composed(whole).strip())
        return [part.strip() for part in found if part.strip()]

    return _share(parts(text), parts(wanted))


def symbols(text: str, wanted: str) -> float:
    """Share of the words and digits that are right, by place; of a right answer that has none, 1
    for the same text."""
    right = _SYMBOL.findall(_composed(wanted))
    return _share(_SYMBOL.findall(_composed(text)), right) if right else verbatim(text, wanted)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    """Without case, and with single blanks."""
    return " ".join(_composed(text).lower().split())


def _plain(text: str) -> str:
    """Folded, without a full stop at the end; what consists of full stops stays as it is, as
    nothing would be left to compare."""
    folded = _folded(text)
    bare = folded.removesuffix(".").strip()
    return bare if bare.strip(". ") else folded


def _number(text: str) -> Decimal | None:
    """The finite number that a whole text is; exact, so that 5 % off is 5 % off."""
    plain = _CURRENCY.sub(r"\1", _plain(text).replace("\N{MINUS SIGN}", "-"))
    digits = plain.removesuffix("%").strip()
    if _GROUPED.fullmatch(digits):
        digits = digits.replace(",", "")
    if not _DIGITS.fullmatch(digits):
        return None
    return Decimal(digits) / (100 if plain.endswith("%") else 1)


def _letter(wanted: str) -> str | None:
    """The letter that a right answer of `choice` is."""
    bare = wanted.strip(_BRACKETS + "\n\t").upper()
    return bare if len(bare) == 1 and bare in _LETTERS else None


def _share(given: list[str], wanted: list[str]) -> float:
    """Share of the places with the right part; parts too many count against an answer."""
    hits = sum(a == b for a, b in zip(given, wanted, strict=False))
    return hits / max(len(wanted), len(given)) if wanted or given else 1.0
