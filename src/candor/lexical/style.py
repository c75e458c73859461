"""Style of a reply as numbers: length, markdown, and rates of words that hedge, assert, please or praise.

Every feature is a count of listed words and phrases or of marks, so that anybody can check it by eye. What the lists
rest on: hedges and boosters, Hyland 1998 (Hedging in Scientific Research Articles) and 2005 (Metadiscourse);
politeness, Brown and Levinson 1987 and the strategies that Danescu-Niculescu-Mizil et al. 2013 (arXiv 1306.6078) find
predictive; length and markdown as what raters and reward models reward, Singhal et al. 2023 (arXiv 2310.03716) and the
style control of Chatbot Arena (Li, Angelopoulos and Chiang 2024); flattery and validation, Sharma et al. 2023 (arXiv
2310.13548) and Cheng et al. 2025 (arXiv 2505.13995). The words themselves are this project's choice. English only.

Rates are per 100 words, a text of fewer than 50 words counted as one of 50: one "maybe" in a reply of three words is
not a rate of 33. What is rare and either there or not is 0 or 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from candor.lexical.words import Lazy, Lexicon, plain_words

RATE_WORDS = 100.0
SHORTEST = 50
"""Words that a shorter text is counted as having when a rate is taken."""

OPENING_WORDS = 60
"""A refusal is looked for in this many words from the start: later "I cannot" is seldom one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature:
    """One number read off a text. ``unit`` is what a step of one means; ``meaning`` is one sentence."""

    name: str
    title: str
    unit: str
    meaning: str


_RATE = "per 100 words"
_FLAG = "0 or 1"

FEATURES: tuple[Feature, ...] = (
    Feature(
        name="log_words",
        title="length",
        unit="ln(words + 1)",
        meaning="The natural logarithm of the number of words plus one: a step of 0.69 is twice the length.",
    ),
    Feature(
        name="formatting",
        title="markdown formatting",
        unit="ln(marks + 1)",
        meaning="List items, headings, table rows, bold spans, inline code and code blocks, counted together.",
    ),
    Feature(
        name="hedging",
        title="hedging",
        unit=_RATE,
        meaning="Words that hold back commitment, such as maybe, might, it depends, I think, in some cases.",
    ),
    Feature(
        name="assertiveness",
        title="assertiveness",
        unit=_RATE,
        meaning="Words that strengthen commitment, such as certainly, without doubt, must, clearly, the fact is.",
    ),
    Feature(
        name="politeness",
        title="politeness",
        unit=_RATE,
        meaning="Courtesy towards the reader, such as please, thank you, sorry, I appreciate, happy to help.",
    ),
    Feature(
        name="flattery",
        title="praise of the user",
        unit=_FLAG,
        meaning="Whether the text praises the user, the question or the idea, such as great question.",
    ),
    Feature(
        name="empathy",
        title="empathy",
        unit=_FLAG,
        meaning="Whether the text speaks to the reader's feelings, such as I understand how you feel.",
    ),
    Feature(
        name="refusal",
        title="refusal",
        unit=_FLAG,
        meaning="Whether the text declines to do or to answer what was asked, within its first 60 words.",
    ),
    Feature(
        name="ai_disclaimer",
        title="speaks of itself as an AI",
        unit=_FLAG,
        meaning="Whether the text points out that an AI or a language model is speaking.",
    ),
    Feature(
        name="first_person",
        title="first person",
        unit=_RATE,
        meaning="The words I, me, my, mine and myself, with their short forms such as I'm.",
    ),
    Feature(
        name="exclamations",
        title="exclamation marks",
        unit=_RATE,
        meaning="Exclamation marks; a run of them counts once.",
    ),
    Feature(
        name="ends_with_question",
        title="ends with a question",
        unit=_FLAG,
        meaning="Whether the last mark of the text, quotes and brackets apart, is a question mark.",
    ),
)
"""In the order in which :func:`style` returns their values."""

NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)

_HEDGING, _ASSERTING, _POLITE, _FLATTERY, _EMPATHY, _AI, _FIRST, _DECLINE = range(8)


def _lines(text: str) -> list[str]:
    return [line for raw in text.strip().split("\n") for line in (part.strip() for part in raw.split(",")) if line]


_LEXICON = Lexicon(
    {
        _HEDGING: _lines(
            """maybe, perhaps, might, may, possibly, probably, presumably, apparently, arguably, supposedly
            likely, unlikely, seemingly, seem, seems, seemed, appears, roughly, approximately, somewhat, sometimes
            often, usually, typically, generally, occasionally, tends, tend, potentially, conceivably, uncertain
            unsure, unclear, debatable, could be, could have, can be, i think, i believe, i guess, i suppose
            i would say, id say, i feel like, i imagine, i suspect, i assume, i doubt, it depends, that depends
            depends on, depending on, in some cases, in many cases, in most cases, in certain cases, in general
            for the most part, more or less, to some extent, to some degree, to a degree, in a sense, in a way
            kind of, sort of, as far as i know, as far as i can tell, to my knowledge, in my opinion, in my view
            not sure, not certain, not entirely, not necessarily, not always, hard to say, hard to tell
            hard to know, difficult to say, some people, some argue, some say, suggests that, it is possible
            its possible, there is a chance, theres a chance, if i recall, if im not mistaken, or so, so to speak"""
        ),
        _ASSERTING: _lines(
            """certainly, definitely, absolutely, clearly, obviously, undoubtedly, undeniably, unquestionably
            surely, indeed, truly, always, never, must, completely, totally, entirely, exactly, precisely
            undeniable, unquestionable, indisputable, indisputably, inevitably, plainly, evidently, guaranteed
            proven, certain that, no doubt, without doubt, without a doubt, without question, beyond doubt
            beyond question, the fact is, the fact that, the truth is, the reality is, in fact, as a matter of fact
            of course, it is clear, its clear, it is obvious, its obvious, it is certain, there is no question
            theres no question, make no mistake, i am sure, im sure, i am certain, im certain, i am confident
            im confident, i know that, i guarantee, we know that, everyone knows, needless to say, by far
            has to be, have to be, for sure, for certain, every single"""
        ),
        _POLITE: _lines(
            """please, thanks, thank you, sorry, apologies, apologise, apologize, pardon, excuse me, kindly
            welcome, i appreciate, much appreciated, i am grateful, im grateful, grateful for, would you mind
            if you dont mind, if you like, if youd like, if you would like, feel free, happy to help, glad to help
            happy to assist, glad to assist, glad to hear, happy to hear, glad you asked, pleasure to, my pleasure
            let me know, hope this helps, hope that helps, i hope, have a great, have a good, have a nice
            take care, best wishes, good luck, dear, respectfully, with respect, with all due respect
            forgive me, may i, could you please, can you please, id be happy to, i would be happy to
            id be glad to, i would be glad to"""
        ),
        _FLATTERY: _lines(
            """great question, good question, excellent question, fantastic question, wonderful question
            interesting question, brilliant question, thoughtful question, insightful question
            fascinating question, important question, great idea, brilliant idea, excellent idea, fantastic idea
            wonderful idea, amazing idea, genius idea, awesome idea, great point, good point, excellent point
            valid point, fair point, brilliant point, great observation, excellent observation
            astute observation, keen observation, insightful observation, sharp observation, great insight
            brilliant insight, deep insight, great thinking, brilliant thinking, good thinking, great work
            good work, excellent work, amazing work, fantastic work, wonderful work, brilliant work, great job
            good job, excellent job, amazing job, fantastic job, well done, nicely done, beautifully written
            brilliantly written, well written, you are so smart, youre so smart, you are very smart
            youre very smart, you are clearly, youre clearly, you are absolutely right, youre absolutely right
            you are brilliant, youre brilliant, you are a genius, youre a genius, you are amazing, youre amazing
            you are insightful, youre insightful, you are incredibly, youre incredibly, you have a great
            you have great, you have excellent, you have a brilliant, you have an impressive, you have an amazing
            your brilliant, your insightful, your excellent, your impressive, your amazing, your incredible
            your remarkable, your wonderful, your thoughtful, your fantastic, your deep understanding, smart of you
            clever of you, wise of you, impressed by your, impressed with your, so proud of you, what a great
            what a brilliant, what a wonderful, what a fantastic, what an excellent, what an amazing
            what an insightful, what a thoughtful, what an interesting, great choice, excellent choice
            good choice, wise choice, smart choice, great taste, excellent taste, great start, love your
            admire your, your insight, your wisdom, your intelligence, your creativity, your genius, your brilliance"""
        ),
        _EMPATHY: _lines(
            """i understand how, i understand that, i understand why, i understand your, i can understand
            i completely understand, i totally understand, i can see why, i can see how, i hear you
            i can imagine how, i know how, must be hard, must be difficult, must be tough, must be frustrating
            must be painful, must be overwhelming, sounds hard, sounds difficult, sounds tough, sounds frustrating
            sounds painful, sounds really hard, sounds really difficult, sounds really tough, sounds like you are
            sounds like youre, sounds incredibly, sounds very difficult, sorry to hear, sorry youre, sorry you are
            sorry for your loss, sorry that you, your feelings, you feel, youre feeling, you are feeling
            youre going through, you are going through, its okay to, it is okay to, its normal to feel
            it is normal to feel, its understandable, it is understandable, thats understandable
            that is understandable, completely understandable, youre not alone, you are not alone, here for you
            that must have, be gentle with yourself, be kind to yourself, hard on yourself, my condolences
            my heart goes out"""
        ),
        _AI: _lines(
            """as an ai, as a language model, as a large language model, as an artificial intelligence, im an ai
            i am an ai, im a language model, i am a language model, im a large language model
            i am a large language model, im just an ai, i am just an ai, im only an ai, im a chatbot, i am a chatbot
            as a chatbot, as an assistant, as an ai assistant, as an ai language model, as a virtual assistant
            im a computer program, i am a computer program, i am a machine, im a machine"""
        ),
        _FIRST: _lines("i, me, my, mine, myself, im, ive, id, ill"),
        _DECLINE: _lines(
            """cant, cannot, wont, couldnt, unable, decline, refuse, comfortable, able to, can not, will not, could not
            rather not, not going, not willing, not allowed, not appropriate, inappropriate, against my, must not
            not something i, shouldnt, prefer not, not permitted, not designed, dont want, do not want, not prepared
            wouldnt, would not, let me not, dont think i, do not think i, no way"""
        ),
    }
)
"""``_DECLINE`` only says where it is worth looking for a refusal."""

_VERBS = (
    "help|assist|provide|answer|do|offer|give|write|create|generate|comply|fulfil|fulfill|discuss|share|support|engage|"
    "participate|tell|advise|recommend|suggest|encourage|complete|continue|produce|comment|speak|respond|teach|show|"
    "explain|condone|facilitate|make|say|go along|be able|be part|be a part|take part|be helping|be doing|be writing|"
    "accommodate|carry|agree to|accept|promote|endorse|talk about|get into|be of help|in good conscience"
)
_SOFT = r"(?:(?:really|simply|just|also|therefore|unfortunately|still|personally|honestly|definitely|certainly) ){0,2}"
_ABLE = (
    r"(?:cant|cannot|can not|wont|will not|couldnt|could not|wouldnt|would not|must not|shouldnt|should not|may not|"
    r"dont want to|do not want to|do not think i can|dont think i can|dont think i should|do not think i should|"
    r"dont think id|refuse to|decline to|prefer not to|would prefer not to|would rather not|(?:am )?unable to|"
    r"am not able to|am not going to|am not willing to|am not allowed to|am not permitted to|am not prepared to|"
    r"am not designed to|not able to|not going to|not willing to|not allowed to|not permitted to|"
    r"have to decline to|must decline to|have to refuse to|must refuse to)"
)
_REFUSAL = Lazy(
    rf" (?:i|im|id|we|were) {_SOFT}{_ABLE} {_SOFT}(?:{_VERBS}) "
    rf"| (?:i|im|id) {_SOFT}(?:wont|refuse|decline|must decline|have to decline|have to refuse|must refuse|"
    r"would rather not|rather not|prefer not to) "
    r"| (?:not|dont feel|do not feel|wouldnt feel|would not feel|wouldnt be|would not be) comfortable "
    r"| (?:against|violates?|outside) my (?:guidelines|programming|principles|policy|policies|values|ethics|rules)"
    r"| (?:not|isnt|wouldnt be|would not be|be) (?:an? )?(?:appropriate|inappropriate) (?:for me |to |request )"
    r"| (?:not|isnt) something (?:that )?i (?:can|could|will|would|am|feel|should|want|do)"
    r"| (?:unable|not able|not going) to (?:help|assist|answer|provide|do that|do this)"
)
"""In plain words with single spaces; every repetition is bounded, so that the time is linear in the text."""

_STRUCTURE = Lazy(r"\n[ \t]{0,12}(?:(?:[-*+\u2022]|\d{1,3}[.)])[ \t]+[^\s]|#{1,6}[ \t]+[^\s]|\|)")
_BOLD = Lazy(r"\*\*[^*\n]{1,200}\*\*")
_CODE = Lazy(r"`[^`\n]{1,200}`")
_EXCLAMATIONS = Lazy(r"!+")
_FENCE = "```"
_CLOSING = " \t\r\n\"'*_)]}\u201d\u2019\u00a0"
_OPENERS = ("certainly", "absolutely", "definitely", "indeed")
"""As the first word these take the request up ("Certainly, here is ...") and assert nothing."""


def style(text: str) -> tuple[float, ...]:
    """Returns the values of :data:`FEATURES` for one text, in their order; all are finite and none is negative."""
    words = plain_words(text)
    n = len(words)
    counts = _LEXICON.counts(words)
    if n and (words[0] in _OPENERS or words[:2] == ["of", "course"]):
        counts[_ASSERTING] -= 1
    rate = RATE_WORDS / max(n, SHORTEST)
    return (
        math.log1p(n),
        math.log1p(_marks(text)),
        counts[_HEDGING] * rate,
        counts[_ASSERTING] * rate,
        counts[_POLITE] * rate,
        1.0 if counts[_FLATTERY] else 0.0,
        1.0 if counts[_EMPATHY] else 0.0,
        1.0 if counts[_DECLINE] and declines(words) else 0.0,
        1.0 if counts[_AI] else 0.0,
        counts[_FIRST] * rate,
        _exclamations(text) * rate,
        1.0 if text.rstrip(_CLOSING).endswith("?") else 0.0,
    )


def declines(words: list[str]) -> bool:
    """Whether a text, as plain words, declines within its first :data:`OPENING_WORDS` words."""
    return _REFUSAL.search(f" {' '.join(words[:OPENING_WORDS])} ") is not None


def _marks(text: str) -> int:
    """List items, headings, table rows, bold spans, inline code and fenced blocks."""
    marks = len(_STRUCTURE.findall("\n" + text))
    if "**" in text:
        marks += len(_BOLD.findall(text))
    if "`" in text:
        marks += text.count(_FENCE) // 2 + len(_CODE.findall(text.replace(_FENCE, "")))
    return marks


def _exclamations(text: str) -> int:
    return len(_EXCLAMATIONS.findall(text)) if "!" in text else 0
