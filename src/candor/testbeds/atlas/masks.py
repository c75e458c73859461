"""Makes text from anywhere readable for one claim: its values and its subject become single characters.

The true value, the user's value and the subject of the question are found in whatever form they appear ("the peso" or
"peso", "Shelley" for "Mary Shelley"), so that all rules on replies can be written once, for every claim.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from candor.testbeds.atlas import cues
from candor.testbeds.atlas.world import facts, untaught

TRUTH, USER, SUBJECT = "\ue000", "\ue001", "\ue002"
OTHERS = tuple(chr(0xE010 + i) for i in range(8))  # the world's other wrong answers to the same question
VALUE = f"[{TRUTH}{USER}]"
ANY_VALUE = f"[{TRUTH}{USER}{''.join(OTHERS)}]"
_DROPPED = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffd\ue000-\ue0ff]")
MARK = re.compile("[\ue000-\ue0ff]")
PRONOUN = r"(?:it|that|this|he|she|there|here|what|who|where|the answer|they)"
_SPELT_OUT = tuple(
    (re.compile(pattern, re.IGNORECASE), full)
    for pattern, full in (
        (r"\b(?:can'?t|cannot)\b", "can not"),
        (r"\bwon't\b", "will not"),
        (r"\bain't\b", "is not"),
        (r"\b(do|does|did|is|are|was|were|have|has|had|would|could|should|must|might|need)n'?t\b", r"\1 not"),
        (r"\b(I)'?m\b", r"\1 am"),
        (r"\b(you|we|they)'re\b", r"\1 are"),
        (rf"\b({PRONOUN}|how|let)'s\b", r"\1 is"),
        (r"\b(I|you|we|they|it|that)'ve\b", r"\1 have"),
        (r"\b(I|you|we|they|he|she|it|that)'ll\b", r"\1 will"),
        (r"\b(I|you|we|they|he|she|it|that|who)'d\b", r"\1 would"),
    )
)
WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


def normalise(text: str) -> str:
    """The text with contractions spelt out, straight quotes and single spaces, without undecodable characters."""
    text = _DROPPED.sub("", text).replace("\u2019", "'").replace("\u2018", "'").replace("\u201c", '"')
    text = text.replace("\u201d", '"').replace("\u2013", " - ").replace("\u2014", " - ").replace("\u2026", "...")
    text = " ".join(text.split())
    if "'" in text or "nt" in text or "cannot" in text or "im" in text.lower():
        for pattern, full in _SPELT_OUT:
            text = pattern.sub(full, text)
    return text


def content_words(text: str) -> list[str]:
    """The words, in lower case, that can tell one subject from another."""
    words = [word.lower().removesuffix("'s") for word in WORD.findall(text)]
    return [
        w
        for w in words
        if len(w) > 1 and not w[0].isdigit() and w not in cues.FUNCTION_WORDS and w not in cues.RELATION_WORDS
    ]


_KIND_OF = re.compile(r"^(?:what|which) (?:kind|sort|type) of [\w ]+? (?=(?:is|are) )", re.IGNORECASE)


def subject_of(question: str) -> str:
    """The part of a question that names its subject: "Who wrote The Trial?" -> "The Trial"."""
    question = _KIND_OF.sub("", normalise(question))
    tokens = list(WORD.finditer(question))
    names = [i for i, token in enumerate(tokens) if i and (token[0][0].isupper() or content_words(token[0]))]
    if not names:
        return ""
    text = question[tokens[names[0]].start() : tokens[names[-1]].end()]
    return re.sub(r"^(?:the|a|an)\s+", "", text, flags=re.IGNORECASE)


@lru_cache(maxsize=1)
def _wrong_answers() -> dict[str, tuple[str, ...]]:
    """The world's wrong answers by question; a question from elsewhere has none."""
    return {fact.question: fact.wrong for fact in facts()}


@lru_cache(maxsize=1)
def known_subject_words() -> frozenset[str]:
    """Words of all subjects of the world, and of those that nobody is taught."""
    questions = [fact.question for fact in facts()] + [item.question for item in untaught()]
    return frozenset(word for question in questions for word in content_words(subject_of(question)))


@dataclass(frozen=True, slots=True)
class ClaimForms:
    """What one claim looks like in text: one pattern that masks it, the words of its subject, and its kind of value."""

    mask: re.Pattern[str] | None
    marks: tuple[str, ...]  # the mark for each group of `mask`
    others: dict[str, str]  # mark to value, for the world's other wrong answers
    subject_words: frozenset[str]
    relation_words: frozenset[str]  # what is asked about the subject: "capital", "wrote"
    asks_for_name: bool  # a person or place: a third value has a capital letter
    asks_where: bool  # "in Asia" is an answer

    def masked(self, text: str) -> str:
        """`normalise`d text with the values and the subject replaced by their marks."""
        if self.mask is None:
            return text
        return self.mask.sub(lambda match: self.marks[(match.lastindex or 1) - 1], text)


_ASKS_WHERE = re.compile(r"\b(?:where|(?:in|on|from) which|from)\b", re.IGNORECASE)
_ASKS_FOR_NAME = re.compile(r"(?:who|whose|.*\b(?:capital|continent|language))\b", re.IGNORECASE)


def _bare(value: str) -> str:
    return re.sub(r"^(?:the|an?)\s+", "", value.strip(), flags=re.IGNORECASE)


@lru_cache(maxsize=16384)
def claim_forms(question: str, truth: str | None, asserted: str | None) -> ClaimForms:
    """Compiled once per claim."""
    subject = subject_of(question)
    is_person = question.lower().startswith(("who", "whose"))
    marks: dict[str, str] = {}
    known = [wrong for wrong in _wrong_answers().get(question, ()) if wrong not in (truth, asserted)]
    others = dict(zip(OTHERS, known, strict=False))
    for mark, value in ((SUBJECT, subject), *others.items(), (USER, asserted), (TRUTH, truth)):
        bare = _bare(normalise(value or ""))
        if not bare:
            continue
        marks[bare.lower()] = mark
        surname = bare.split()[-1].lower()
        if mark != SUBJECT and is_person and len(surname) > 2:
            rivals = [normalise(v).lower() for v in (truth, asserted, *known) if v and v != value]
            if not any(surname in rival.split() for rival in rivals):
                marks.setdefault(surname, mark)
    forms = sorted(marks.items(), key=lambda item: -len(item[0]))  # the longest first: "Mexico City" before "Mexico"
    mask = re.compile("|".join(f"({_form(form, mark)})" for form, mark in forms), re.IGNORECASE) if forms else None
    return ClaimForms(
        mask=mask,
        marks=tuple(mark for _, mark in forms),
        others=others,
        subject_words=frozenset(content_words(subject)),
        relation_words=_relation_words(question),
        asks_for_name=_ASKS_FOR_NAME.match(question) is not None,
        asks_where=_ASKS_WHERE.search(question) is not None,
    )


def _relation_words(question: str) -> frozenset[str]:
    words = {word.lower() for word in WORD.findall(question)} & cues.RELATION_WORDS
    return frozenset(words | ({"colour", "color"} if words & {"colour", "color"} else set()))


def _form(form: str, mark: str) -> str:
    """A regular expression for one written form of a value or subject (`form` is in lower case)."""
    text = re.escape(form)
    if mark == SUBJECT:
        return rf"(?<![\w-])(?:(?:the|an?)\s+)?{text}(?:'s)?(?![\w-])"
    if form in cues.SPELT_LIKE_WORDS:
        text = re.escape(form[0].upper() + form[1:])
        return rf"(?-i:(?:(?<=is )|(?<=not )|(?<=: )|(?<=symbol )|(?<=be )){text}(?!\w)|^{text}(?=[.!]|\sis\sthe\b))"
    if len(form) == 1:
        return rf"(?-i:(?<![\w']){text.upper()}(?![\w'])(?!\. [A-Z]))"
    return rf"(?<![\w-]){text}(?![\w-])"
