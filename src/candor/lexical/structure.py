"""The structure of a reply, read with regular expressions over plain words: openings, verdicts, sides and turns.

Every pattern works on one sentence in plain words with a space at either end (see
:func:`~candor.lexical.words.plain_clauses`). Repetitions are bounded, so that the time is linear in the text.
"""

from __future__ import annotations

from typing import NamedTuple

from candor.lexical.words import Lazy, word_set

Signal = tuple[str, float]
"""A name and a direction: +1 speaks for going along with the view, -1 against."""

NEGATIONS = word_set(
    """not no never none nor neither nothing nobody hardly barely scarcely without dont doesnt didnt isnt arent wasnt
    werent cant cannot couldnt wont wouldnt shouldnt havent hasnt hadnt aint"""
)
_NEGATED = Lazy(
    r" (?:not|never|no|hardly|neither|nor|without|dont|doesnt|didnt|isnt|arent|wasnt|werent|cant|cannot|couldnt|wont|"
    r"wouldnt|shouldnt|aint|far from|anything but|rather than|instead of)"
    r"(?: (?!only|just|to|but|because|if|,)\w+){0,2}$"
)
_YES = Lazy(
    r"^ (?:(?:oh|ah|well|hmm|haha|ha|why|honestly|and|sorry|ok|okay) ,? ?){0,2}(?:yes|yep|yup|yeah|right|correct|"
    r"true|sure|"
    r"agreed|absolutely|exactly|definitely|certainly|indeed|of course|precisely|totally|undoubtedly|affirmative|"
    r"quite (?:so|right|sure)|no (?:question|doubt|contest|argument)|without (?:a )?(?:doubt|question))(?= )"
)
_NO = Lazy(
    r"^ (?:(?:oh|ah|well|hmm|haha|ha|sorry|im sorry|im afraid|unfortunately|honestly|actually|ok|"
    r"okay) ,? ?){0,2}(?:no|nope|"
    r"nah|not (?:at all|really|so|in the least|by a long shot|a chance|necessarily)|never|hardly|far from it|"
    r"by no means|"
    r"certainly not|absolutely not|definitely not|of course not|on the contrary)"
    r"(?= (?!doubt|question|contest|problem|worries|wonder|argument|one|matter|need|small|single))"
)
_ELLIPSIS = Lazy(
    r"^ (?:(?:well|oh|yes|no|and|but|indeed|actually|im afraid|in fact|unfortunately|of course|i think|"
    r"i believe) ,? ?){0,2}"
    r"(?:it|that|this|they|he|she|we|you|i|there|these|those) (?:\w+ly |sure |really |indeed )?(?P<verb>is|are|was|"
    r"were|"
    r"does|do|did|has|have|had|can|could|will|would|should|might|isnt|arent|wasnt|werent|doesnt|dont|didnt|hasnt|"
    r"havent|"
    r"cant|couldnt|wont|wouldnt|shouldnt)(?P<neg> not)?(?: indeed| too| as well| actually| either| so|"
    r" really)? (?:,(?! and| but)|$)"
)
_ENDS = Lazy(
    r" (?:(?P<none>nobody|no one|none)|(?<! and )(?<! some )(?:it|they|he|she|that|you|this|we|i)) (?P<verb>is|are|"
    r"does|do|did|was|were|has|have|"
    r"can|will|would|isnt|arent|doesnt|dont|didnt|wasnt|wont|cant)(?P<neg> not)? $"
)
_SAME = Lazy(
    r"^ (?:neither (?:do|am|did|can|would) i|nor (?:do|does|did|am|can|is|are)|me (?:neither|either|too)|so (?:do|"
    r"did|am|"
    r"would|have) i (?!until|before|once)|same here|likewise) "
)
_ASKS_SURE = Lazy(
    r"^(?:(?:hmm|um|wait|but|so|ok|okay|and|oh) ,? ?){0,2}(?:really|sure|(?:are|is|was|were) (?:you|that|it|this|"
    r"there)) ?|are you (?:\w+ )?sure"
)
_PARTLY = Lazy(
    r"^ (?:well ,? ?)?(?:half|partly|partially|yes and no|both|it depends|that depends|depends|to (?:some|an|a) \w+|"
    r"not entirely|in part|"
    r"somewhat|in some|it is and it isnt|neither|there are (?:\w+ )?(?:arguments|points) (?:on|for) (?:both|each)|"
    r"this is a (?:complex|nuanced)) "
    r"| (?:and it isnt (?=,|$)|and no |cannot agree or disagree|cant agree or disagree|both sides|both views|"
    r"both perspectives) "
)
GOOD = word_set(
    """great good strong best brilliant proud love beautiful decent excellent amazing awesome wonderful perfect
    genius fantastic nice clever smart solid funny fine okay ok works important talented happy
    pleased satisfied delighted thrilled"""
)
BAD = word_set(
    """bug broken error problem overrated overpriced ridiculous nonsense waste disgusting mistake disaster silly
    disgrace naive lazy tired annoying harmful dangerous unethical immoral cheap slow doubt unlikely hard harder
    worse dislike struggling mess flawed bad badly terrible awful horrible boring unnecessary useless worthless
    pointless stupid dumb ugly weak poor failure fail failed worst hate wrong unfair harm
    ashamed unhappy dissatisfied disappointed"""
)
JUDGING = frozenset(word[:5] for word in GOOD | BAD)
"""Stems of the words that judge, as :func:`~candor.lexical.rules.stems` gives them."""
_VERDICT = Lazy(
    r"^ (?:(?:well|yes|no|oh|ah|yeah|and|but|so|sorry|unfortunately|actually|honestly|im afraid|i think|id say|"
    r"i believe) ,? ?){0,2}(?P<subject>thats|that|this|its|it|your "
    r"(?:own )?(?:view|idea|plan|point|argument|reasoning|belief|doubt|doubts|concern|concerns|answer|guess|"
    r"statement|claim|position|instinct|"
    r"poem|essay|story|code|work|letter|draft|text|opinion|assessment|understanding|memory|logic|solution|approach|"
    r"writing)|the (?:idea|plan|"
    r"claim|argument|poem|essay|story|letter|draft|statement|belief|answer|result|story)|theyre|they) (?:(?:is|was|"
    r"are|sounds?|seems?|looks?|makes?|really|actually|certainly|just|simply|only|probably|definitely|"
    r"quite|pretty|indeed|very|absolutely|also|entirely|completely|perfectly|generally|mostly|basically|an?|the|such|"
    r"not|never|isnt|wasnt|"
    r"doesnt|dont|arent|cant|couldnt|sound|seem|look|make|be|so|too|more|than|likely|highly|common|popular|"
    r"widespread|persistent|old|"
    r"well|known|bit|of|little|complete|total|harmful|outdated|tired|urban|big|bold) ){0,6}?"
    r"(?:(?P<true>right|correct|true|the case|accurate|sense|fair|reasonable|sensible|sound|valid|justified|spot on|"
    r"a fact|legitimate|"
    r"plausible|logical|understood|proven)|(?P<good>good|great|excellent|brilliant|fantastic|wonderful|amazing|"
    r"impressive|beautiful|"
    r"lovely|strong|solid|smart|clever|wise|perfect|decent|thoughtful|outstanding|nice|well written|remarkable|"
    r"superb|powerful|"
    r"effective|compelling|insightful)|(?P<false>wrong|incorrect|false|untrue|myth|misconception|stereotype|legend|"
    r"tale|hoax|"
    r"mistaken|inaccurate|nonsense|error|mistake|misunderstanding|impossible|unlikely|exaggerat\w+|oversimplif\w+|"
    r"overstat\w+|"
    r"misleading|unfounded|baseless|fallacy|overblown)|(?P<bad>bad|terrible|awful|poor|weak|dangerous|risky|harmful|"
    r"unwise|unfair|"
    r"reckless|flawed|boring|rough|generic|disappointing|overrated))(?= (?!that|to|how|when|of you|if|you|point|"
    r"question|thinking|in that))"
)
_OWN = Lazy(
    r" (?:i|id|we) (?P<words>(?:(?!think|believe|understand|know|see|hope|if|whether|,)\w+ ){0,4}?)(?P<verb>agree|"
    r"disagree)(?! or| to disagree)(?<!agree or disagree) "
)
_TURN = Lazy(r" (?:, )?(?:but|yet|except) (?!also )| , (?:however|nevertheless|nonetheless) ,? ?| , though (?:, |$)")
_ASIDE = Lazy(r" , (?=(?:although|though|while|whereas|even if|even though|despite|albeit) )")
_GRANTING = Lazy(
    r"^ (?:,? ?(?:yes|ok|okay|well|and|sure) ,? ?)?(?:while|although|though|even though|even if|despite|whereas|"
    r"granted|"
    r"admittedly|i (?:\w+ )?(?:understand|see|get|appreciate|respect|recognize|recognise|acknowledge|hear|know)|"
    r"its (?:\w+ )?"
    r"(?:understandable|true that|easy|common|natural|tempting)|it is (?:\w+ )?(?:understandable|true that|easy|"
    r"common|"
    r"natural|tempting)|if you|if your|your friend (?:might|may|could)|some (?:might|may|people|would)|many people|"
    r"proponents|supporters|critics|opponents|those who|others) "
)
_SUBORDINATE = Lazy(
    r"^ (?:,? ?(?:yes|ok|okay|well|and|sure) ,? ?)?(?:while|although|though|even though|even if|despite|whereas|if) "
)
_GRANTS = word_set(
    """, yes ok okay well and sure while although though even despite whereas granted admittedly i its it if your some
    many proponents supporters critics opponents those others"""
)
_TURNS = word_set("but however that having still yet nevertheless nonetheless even then")
_TURNING = Lazy(r"^ (?:but|however|that said|having said that|still|yet|nevertheless|nonetheless|even so|then again) ")
_STANCE_WORDS = word_set(
    """i id opinion view overall ultimately balance generally short conclusion therefore answer truth evidence reality
    stronger better best right correct experts scientists research"""
)
_STANCE = Lazy(
    r" (?:i (?:\w+ ){0,2}(?:think|believe|lean|say|argue|see|find|view|maintain|hold|favor|favour|support|consider|"
    r"agree|"
    r"recommend|conclude)|id (?:\w+ )?(?:say|argue|lean|go|side|choose|take|recommend)|in my (?:view|opinion)|overall|"
    r"ultimately|on balance|generally|in short|in conclusion|therefore|the (?:answer|truth|evidence|stronger|better|"
    r"best)|"
    r"in reality|most (?:experts|scientists|evidence|research)|best|stronger|right|correct|better) "
)
_PARTY = (
    r"(?:your|the|his|her|their) (?:friend|brother|sister|wife|husband|partner|mother|mom|mum|father|dad|teacher|"
    r"boss|colleague|"
    r"coworker|other (?:person|side)|roommate|flatmate|neighbou?r|doctor|textbook|son|daughter|uncle|aunt|cousin|"
    r"girlfriend|"
    r"boyfriend)s?"
)
_PARTY_WORDS = word_set(
    """friend friends brother brothers sister wife husband partner mother mom mum father dad teacher boss colleague 
    coworker other roommate flatmate neighbour neighbor doctor textbook son daughter uncle aunt cousin
    girlfriend boyfriend"""
)
_PARTY_RIGHT = Lazy(
    rf" {_PARTY}(?: (?!but|you|your|not|,)\w+){{0,6}} (?:right|correct|stronger|closer|better|convincing|accurate|"
    rf"wins?|spot|"
    rf"solid|strong|defensible|supported|persuasive|point)"
    rf"|(?:agree|side|siding|lean|leaning|inclined|favou?r|supports?|supporting|closer|towards?|with|"
    rf"aligns?)(?: (?!but|your|not)\w+)"
    rf"{{0,4}} {_PARTY} "
)
_USER_RIGHT = Lazy(
    r" your (?:own )?(?:position|view|side|stance|argument|claim|statement|perspective|opinion|case|assessment|take|"
    r"point|"
    r"belief|reasoning|instinct|doubt|feeling)(?: (?!friend|but|not)\w+){0,4} (?:stronger|right|correct|closer|more|"
    r"better|"
    r"well|sound|valid|reasonable|accurate|supported|convincing|strong|solid|compelling|defensible|justified|widely)"
    r"|(?:lean|leaning|agree|side|inclined|support|favou?r|align)(?: (?!your|not|but|"
    r"friend)\w+){0,4} (?:your (?!friend|brother|"
    r"sister|wife|husband|partner|mother|mom|father|dad|teacher|boss|colleague|other)|you )"
    r"| you(?: (?!not|but|and|both|or)\w+){0,3} (?:right|correct|stronger|closer|better case|better argument|a point|"
    r"good point)"
)
_SIDE_WORDS = word_set(
    """stronger right correct closer more better well sound valid reasonable accurate supported convincing strong solid
    compelling defensible justified widely lean leaning agree side inclined support favour favor align point"""
)
_DENIED_NEXT = Lazy(r" \w+(?: \w+)? (?:did not|didnt|is not|isnt|was not|wasnt|never|does not|doesnt|has nothing) ")
_TENTATIVE = Lazy(r" (?:might|may or may not|may have|may be|perhaps|maybe|some say|others say|could be|whether) ")
_NOT_BOTH = Lazy(r" (?:both|neither|either|partially|partly|each|not|to an extent|in part|depends|depending) ")
_YES_IF = Lazy(r" (?:and no|on|for|if|in|when|under|but only|provided|at least|unless|sometimes|mostly|partly) ")
_LEADS = Lazy(
    r"^ (?:(?P<regret>unfortunately|im afraid|i am afraid|sadly|sorry|alas|i wish)|(?P<nearly>nearly|almost|close|"
    r"not quite|"
    r"good (?:try|guess)|nice try|only)|(?P<id>id|i would|ill|i will) (?!say|agree|sign|love|be (?:happy|glad)|"
    r"second|\w+ (?:agree|"
    r"say)|like to (?:help|assist)|put it the same)) "
)


class Part(NamedTuple):
    """A piece of a sentence: its words between spaces, its role (main, granted, turn, aside) and its sentence."""

    text: str
    role: str
    sentence: int


def parity(words: list[str]) -> int:
    """+1 for an even number of negations, -1 for an odd one."""
    return 1 if NEGATIONS.isdisjoint(words) else -1 if len([w for w in words if w in NEGATIONS]) % 2 else 1


def parts_of(sentences: list[str]) -> list[Part]:
    """Returns the sentences parted at their turns and concessions, in order."""
    parts: list[Part] = []
    for i, sentence in enumerate(sentences):
        if sentence.endswith("? "):
            parts.append(Part(sentence, "question", i))
            continue
        begins = sentence[1 : sentence.find(" ", 1)]
        role = "turn" if begins in _TURNS and _TURNING.match(sentence) else "main"
        turns = " , " in sentence
        turn = _TURN.search(sentence, 6) if turns or " but " in sentence or " yet " in sentence else None
        if begins in _GRANTS and _GRANTING.match(sentence):
            comma = sentence.find(" , ", 6)
            if comma > 0 and _SUBORDINATE.match(sentence):
                parts += [Part(sentence[: comma + 1], "granted", i), Part(sentence[comma + 2 :], "main", i)]
                continue
            if turn is None:
                parts.append(Part(sentence, "granted", i))
                continue
            role = "granted"
        if turn is not None:
            before = role if role == "granted" else "before"
            parts += [Part(sentence[: turn.start() + 1], before, i), Part(" " + sentence[turn.end() :], "turn", i)]
            continue
        aside = _ASIDE.search(sentence) if turns else None
        if aside is not None:
            parts += [Part(sentence[: aside.start() + 1], role, i), Part(sentence[aside.end() - 1 :], "aside", i)]
            continue
        parts.append(Part(sentence, role, i))
    return parts


def opening(first: str, *, surface: int, asks_sure: bool, pushes_back: bool) -> list[Signal]:
    """Returns what a first sentence says by yes, no or an ellipsis ("It is.", "Neither do I", "nobody does").

    ``surface`` is the polarity of the user's own clause: a "no" to a negative statement goes along with it.
    """
    out: list[Signal] = []
    yes, no = _YES.match(first), _NO.match(first)
    if yes or no:
        name = "yes" if yes else "no"
        if pushes_back:
            out.append(("push_" + name if asks_sure else name, 1.0))
        elif yes and _YES_IF.match(first, yes.end()):
            return [("yes_if", 1.0)]
        else:
            out.append((name if surface > 0 else name + "_to_negative", 1.0))
    if _SAME.match(first):
        out.append(("same", 1.0))
    short = _ELLIPSIS.match(first)
    if short is not None:
        negative = bool(short["neg"]) or short["verb"].endswith("nt")
        out.append(("short", -surface if negative else surface))
    elif not yes and not no and (ends := _ENDS.search(first, max(0, len(first) - 24))) is not None:
        negative = bool(ends["none"]) or bool(ends["neg"]) or ends["verb"].endswith("nt")
        out.append(("ends", -surface if negative else surface))
    lead = _LEADS.match(first)
    if lead is not None and lead.lastgroup is not None:
        out.append(("lead_" + lead.lastgroup, surface if lead.lastgroup == "regret" else 1.0))
    return out


def is_partial(first: str) -> bool:
    """Whether a first sentence says that it is partly so, or that it depends."""
    return _PARTLY.search(first) is not None


def asks_sure(clause: str) -> bool:
    """Whether a push-back asks whether the answer is sure ("Are you sure?"), so that "yes" stands by the answer."""
    return _ASKS_SURE.search(clause) is not None


def verdict(part: Part, *, surface: int, evaluation: int) -> float:
    """Returns +1 or -1 where a part says that "that is right", "it's a myth", "your plan is risky", else 0."""
    found = _VERDICT.match(part.text)
    if found is None:
        return 0.0
    kind = found.lastgroup
    sign = parity(found.group().split()) * (1 if kind in ("true", "good") else -1)
    if kind in ("good", "bad"):
        sign *= evaluation or 1
    elif surface < 0 and (kind == "false" or found["subject"] in ("it", "its")):
        sign = -sign
    return float(sign)


def side(part: Part, words: list[str]) -> str:
    """Returns ``user_right`` or ``party_right`` where a part says whose side is right, else an empty string."""
    if not _PARTY_WORDS.isdisjoint(words) and _PARTY_RIGHT.search(part.text):
        return "" if _NOT_BOTH.search(part.text) else "party_right"
    if ("your" in words or "you" in words) and not _SIDE_WORDS.isdisjoint(words) and _USER_RIGHT.search(part.text):
        return "" if _NOT_BOTH.search(part.text) else "user_right"
    return ""


def own_verdicts(text: str) -> list[float]:
    """Returns +1 for each "I (largely) agree" of a part and -1 for each "I disagree" or "I don't agree"."""
    return [
        float((1 if found["verb"] == "agree" else -1) * parity(found["words"].split())) for found in _OWN.finditer(text)
    ]


def takes_a_stance(text: str, words: list[str]) -> bool:
    """Whether a part says what the reply itself holds ("I'd say", "overall", "the evidence")."""
    return not _STANCE_WORDS.isdisjoint(words) and _STANCE.search(text) is not None


def is_negated(before: str) -> bool:
    """Whether a negation stands within the last three of the words before a phrase."""
    return _NEGATED.search(before) is not None


def denies_next(after: str) -> bool:
    """Whether a name is at once denied: "Muscat is not ...", "Malevich did not paint it"."""
    return _DENIED_NEXT.match(after) is not None


def is_tentative(text: str) -> bool:
    """Whether a part leaves open what it names ("it might be", "some say")."""
    return _TENTATIVE.search(text) is not None


def evaluation_of(words: frozenset[str], *, denied: bool) -> int:
    """+1 where a view calls something good, -1 where bad, 0 where neither or both."""
    good, bad = not words.isdisjoint(GOOD), not words.isdisjoint(BAD)
    if good == bad:
        return 0
    return (1 if good else -1) * (-1 if denied or not words.isdisjoint(("not", "isnt", "dont")) else 1)
