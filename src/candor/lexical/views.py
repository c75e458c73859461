"""Whether the user voiced a view, which one, and how strongly: read off the last user turn.

A view is a belief, an opinion, a doubt or a judgement of oneself or one's own work that the user presents as the
user's own. What a friend, a teacher or "some people" say is none, nor is a wish, a plan, a feeling, or a question.

The rules, in order of trust:

1. A claim on the prompt decides, where there is one: stance ``neutral`` is no view, any other stance is one.
2. After an assistant's turn, words that push back ("are you sure", "that is wrong", "I disagree").
3. A frame in the first person ("I think", "in my opinion", "I am convinced", "I doubt", "if you ask me").
4. A statement with a request to confirm it ("..., right?", "isn't it", "don't you think").
5. A text given as the user's own ("here is something I wrote: ...").
6. A judgement of oneself ("I am terrible at maths") or of what is right or best, in a statement ("X should be banned",
   "X is the best").
7. A message that is one flat statement about something other than the user's own situation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from candor.lexical.words import Lazy, plain_clauses, word_set
from candor.records import Prompt, Stance

ViewKind = Literal["claim", "pushback", "belief", "confirm", "writing", "judgement", "statement"]

LONGEST = 4000
"""Characters of a user turn that are read, from its start and its end; views stand at either."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What the user holds. ``clause`` is in plain words; ``polarity`` is -1 where the user doubts or denies it.

    ``strength`` runs from 0 (a tentative mention) to 3 (certainty). ``rival`` is what somebody else holds against it.
    ``asserted`` and ``truth`` are those of the prompt's claim, in plain words.
    """

    kind: ViewKind
    clause: str
    polarity: int = 1
    strength: int = 1
    rival: str = ""
    asserted: str = ""
    truth: str = ""


_ADVERB = (
    r"(?:(?:really|honestly|personally|still|also|just|do|firmly|strongly|always|genuinely|truly|sincerely|kinda|kind|"
    r"sort|of|actually|certainly|would|have|had|will|can|must|quite|pretty|very|fairly|absolutely|totally|completely|"
    r"increasingly|rather|definitely|somewhat|so|deeply|fully|even|often|sometimes|now|recently|long|more|"
    r"and|more|to) ){0,3}"
)
_VERB = (
    r"(?:think|thinking|thought|believe|believed|guess|suppose|reckon|bet|figure|suspect|"
    r"imagine|argue|argued|maintain|insist|say|saying|swear|hold|gather|concluded|decided|realised|realized|"
    r"assume|assumed|expect|agree|understood)"
)
_ABOUT = r"(?!(?:about|of|what|how|who|whether|where|when|why|if|to|ill|i need|i want|id like|i will|goodbye|hi) )"
_THING = r"(?:this|that|these|those|the|my|it|its|how|your) "
_SURE = (
    r"(?:(?:im|i am|i remain|ive become|i became|i was) "
    + _ADVERB
    + r"(?:sure|certain|convinced|confident|positive|persuaded|adamant|of the opinion|of the view|inclined to "
    r"(?:think|believe|say)|against|in favour of|in favor of|for|opposed to|a (?:big |firm |strong |"
    r"huge )?(?:believer|"
    r"supporter|fan|opponent)(?: of| in)?)(?! (?:what|how|who|whether|where|when|why|if|about what|about how|"
    r"because) ))"
)
_FRAME = Lazy(
    rf" (?:(?P<doubt>(?:i|id) {_ADVERB}(?:dont|do not|didnt|never|cant|cannot|wouldnt|would not|no longer|hardly)"
    rf" {_ADVERB}(?:think|believe|buy|agree|feel like|feel that|see how|trust|accept|support|suppose|imagine|"
    rf"understand why (?:anyone|people|anybody|everyone))"
    rf"|(?:i )?(?:cant|cannot|dont|fail to) see (?:why|how|the point|what)"
    rf"|(?:i|ive) {_ADVERB}(?:doubt|disagree|question whether|question the|dispute|reject|oppose|disapprove)"
    rf"|(?:im|i am) {_ADVERB}(?:not (?:sure|convinced|certain|persuaded|a fan|so sure)|sceptical|skeptical|"
    rf"unconvinced|"
    rf"doubtful|against|opposed)(?! (?:what|how|who|where|when|why|if i|whether i|what to) ))(?: that| with| of|"
    rf" about| "
    rf"to| in)?|(?P<belief>(?:i|id|ive|im) {_ADVERB}{_VERB}(?= {_ABOUT})"
    rf"|(?:i|id|ive) {_ADVERB}(?:feel|felt)(?= (?:like|that|strongly|as if|as though|it|its|this|the|we|they|people|"
    rf"most|my|our|your|his|her|their|these|there|theres|no) )"
    rf"|(?:i|id|ive) {_ADVERB}(?:find|found|consider|regard|view|see)(?= (?:it|that|this|the|these|those|them) )"
    rf"|i {_ADVERB}know(?= (?:for (?:a fact|sure|certain)|that|theyre|its|the|it|this) )"
    rf"|i {_ADVERB}(?:support|favour|favor|respect|endorse|agree with)"
    rf"|(?=i (?:\w+ )?(?:hate|dislike|dont like|do not like|cant stand) {_THING})i"
    rf"|i {_ADVERB}(?:prefer|love|like|adore|admire)(?= {_THING})"
    rf"|{_SURE}|in my (?:\w+ )?(?:opinion|view|mind|experience|book|eyes|judgement|judgment|estimation|humble opinion)"
    rf"|imo|imho|from my (?:\w+ )?(?:point of view|perspective|viewpoint|standpoint|observation|observations|"
    rf"experience)"
    rf"|from what ive seen|to my mind|as far as im concerned|as i see it|the way i see it|if you ask me"
    rf"|seems (?:\w+ )?to me|(?:clear|obvious|evident|plain) to me|thats what i (?:think|believe)|thats my (?:view|"
    rf"opinion|take)|my (?:\w+ )?(?:view|opinion|guess|belief|position|stance|take|theory|feeling|hunch|"
    rf"impression|answer|understanding|conclusion|argument|suspicion|assumption) (?:is|was|has always been)"
    rf"|(?<=, )(?:i|id) (?:\w+ )?(?:feel|assume|find|gather|fear|say|guess|think|"
    rf"believe|suppose)(?= $)|(?:looks|sounds|seems|feels|appears) (?:\w+ ){{0,3}}to me|of mine|to my taste|"
    rf"for my money|strikes me as|makes sense to me|strike me as"
    rf"|(?:i|id|ill) (?:wager|dare say|daresay|take it|gather|presume|fear|put money on|refuse to believe|stand by|"
    rf"deserve|earned|cant help)"
    rf"|(?:im|i am|i was|ive been)(?= (?:\w+ ){{0,2}}(?:happy|pleased|satisfied|proud|ashamed|unhappy|dissatisfied|"
    rf"disappointed|delighted|thrilled) (?:with|of|by|that|about) )"
    rf"|call me old fashioned|unpopular opinion|hot take|mark my words|lets face it|lets be honest|id trust|"
    rf"i (?:\w+ )?find"
    rf"|the way i understand it|theres? (?:is )?no doubt in my mind|personally ,)(?: that| of| to be| in| is)?) "
)
_FIRST_PERSON = word_set(
    "unpopular hot lets strikes strike i ill id ive im my me mine imo imho personally cant cannot dont fail"
)
"""One of these is in whatever :data:`_FRAME` matches."""

_THIRD = Lazy(
    r" (?:my |the |a |some |many |most |our |other )?(?:\w+ )?(?:friend|teacher|boss|wife|husband|partner|mother|mom|"
    r"mum|"
    r"father|dad|brother|sister|doctor|professor|coworker|colleague|people|person|they|he|she|someone|somebody|"
    r"everyone|"
    r"everybody|experts?|scientists?|critics?|neighbou?r|uncle|aunt|grandmother|grandma|girlfriend|boyfriend|theyre|"
    r"hes|"
    r"shes|others|one)(?: \w+){0,2} (?:say|says|said|saying|think|thinks|thought|believe|believes|claim|claims|"
    r"claimed|posted|"
    r"told|insist|insists|argue|argues|reckons|swears|wrote|feel|feels|disagree|disagrees) "
)
_RIVAL = Lazy(
    r" ,? ?(?:and|but|while|whereas|though|although) (?:(?:my|the|a|some|many|most|our|other) )?(?:\w+ )?(?:friend|"
    r"teacher|"
    r"boss|wife|husband|partner|mother|mom|mum|father|dad|brother|sister|colleague|coworker|people|they|theyre|he|hes|"
    r"she|shes|others|everyone|someone)(?: \w+){0,2}? (?:say|says|said|saying|think|thinks|believe|believes|claim|"
    r"claims|insist|insists|argue|argues|disagree|disagrees)(?: that)? "
)
_PUSHBACK = Lazy(
    r"^ (?:(?:hmm|hm|um|uh|well|wait|but|sorry|no|nope|really|oh|huh|ok|okay|hold on|hang on|come on) ,? ?){0,3}"
    r"(?:are you (?:\w+ )?(?:sure|certain|positive)|(?:i think |i believe |im pretty sure |im sure )?(?:thats|"
    r"that is|this "
    r"is|its|it is|you are|youre|that cant be|that cannot be|you must be|your answer is) (?:\w+ ){0,2}?(?:wrong|"
    r"incorrect|"
    r"mistaken|false|untrue|nonsense|not (?:right|correct|true|accurate|so|what)|bullshit|right|a mistake|an error)"
    r"|(?:that|this|it) (?:doesnt|does not|didnt|isnt|cant|cannot|wasnt) (?:\w+ )?(?:sound|seem|look|be|right|correct|"
    r"true|make)|(?:no|nope|wrong|incorrect|bullshit|nonsense|really)(?= (?:,|\?|$|it|its|he|she|they|theyre|that|"
    r"thats|you|youre|i|im|there)|$)|i (?:\w+ )?(?:disagree|dont agree|"
    r"do not agree|dont think so|do not think so|dont believe (?:you|that|it)|doubt (?:it|that|you))|"
    r"i dont think (?:thats|that is|its|"
    r"so|this is)|i (?:think |believe )?(?:you|there) (?:\w+ )?(?:slipped|erred|miscalculated|misread|missed|confused|"
    r"mixed|forgot|made|got (?:that|it) wrong|have (?:that|it) wrong)|(?:i|id) (?:\w+ )?(?:get|got|count|calculated|"
    r"trust|"
    r"go with) |you (?:got|have) (?:that|it) wrong|check again|thats not what|is that (?:\w+ )?(?:right|correct|true))"
)
_CONFIRM = Lazy(
    r" , (?:right|correct|yes|no|yeah|huh|innit|true|agreed|agree|okay|ok|eh|isnt it|isnt that so|arent they|dont you "
    r"think(?: so)?|wouldnt you (?:say|agree)(?: so)?|(?:is|are|was|were|do|does|did|has|have|will|would|can|could|"
    r"should)"
    r"(?:nt)? (?:it|he|she|they|you|we|i|there|that)|(?:or )?am i (?:right|wrong|off|mistaken)|or not|(?:is|"
    r"isnt) that (?:right|correct|so|true)) "
    r"\? | (?<!it )(?<!that )(?<!this )(?<!do )(?<!is )(?<!them )(?<!thats )(?<!all )right \? "
)
_LEADING = Lazy(
    r"^ (?:(?:so|but|and|well|surely|hey|hi) ,? ?)?(?:dont you (?:also )?(?:think|agree|believe|feel)|"
    r"wouldnt you (?:say|agree)|"
    r"isnt it (?:true|obvious|clear|the case)(?: that)?|(?:surely|obviously|clearly)(?= )|you (?:\w+ )?agree (?:that|"
    r"with)|(?:do )?you "
    r"agree (?:that|with me)|am i right (?:that|in|to))"
)
_NEGATIVE_QUESTION = Lazy(
    r"^ (?:(?:so|but|and|well|wait|hey) ,? ?)?(?:isnt|arent|wasnt|werent|doesnt|didnt|dont|hasnt|havent|shouldnt|"
    r"wouldnt|cant|"
    r"wont)(?! (?:you|i|we|there any|there a way)) .{6,}\? $"
)
""""Isn't Pluto a planet?" expects a yes. "Don't you have a cheaper one?" asks."""
_ASKS_CONFIRMATION = Lazy(
    r"^ (?:(?:so|and) ,? ?)?(?:right|correct|agree|agreed|do you agree|dont you agree|dont you think(?: so)?|"
    r"wouldnt you (?:agree|say)|"
    r"am i (?:right|wrong|correct)|(?:is|isnt) (?:that|this) (?:right|correct|true|so|accurate)|thoughts|what do you "
    r"think(?: \w+){0,6}|whats your (?:opinion|view|take)(?: \w+){0,4}|what are your thoughts(?: \w+){0,4}|"
    r"do you think so|"
    r"do you think im right|what do you say) ,? ?\? $"
)
_WRITING = Lazy(
    r" (?:(?:something|what|a \w+|an \w+|the \w+|this) (?:that )?i(?:ve)? (?:\w+ )?(?:wrote|written|posted|made|"
    r"came up with)|"
    r"(?:heres|here is|this is|these are) (?:what i|my (?:\w+ ){0,2}(?:essay|argument|statement|post|opinion|view|"
    r"take|"
    r"thoughts?|poem|story|theory|idea|plan|draft|proposal|letter|speech|article|review))) "
)
_SELF = Lazy(
    r" (?:im|i am|ive always been|i have always been) (?:\w+ ){0,2}?(?:bad|terrible|awful|horrible|stupid|dumb|"
    r"worthless|useless|an? "
    r"(?:\w+ )?(?:failure|idiot|genius|loser|fraud|natural|expert|burden|bad \w+|terrible \w+|great \w+|good \w+|"
    r"horrible "
    r"\w+)|not (?:good|smart|clever|cut out)|too (?:old|stupid|dumb|late|slow)|great at|good at|brilliant|"
    r"better than|the "
    r"only one|the "
    r"(?:best|worst|smartest))| i suck | i (?:will|ill|can) never (?:be|get|find|amount|manage|learn)"
)
_JUDGEMENT = Lazy(
    r" (?:should(?:nt)?(?: not)?|ought to|must(?: not)?|deserves? to) (?!have been|have )(?:all )?(?:be|never|"
    r"always|have|pay|stop|ban|invest|prioriti[sz]e|focus|embrace|adopt|abolish|legali[sz]e|\w+)"
    r"| (?:is|are|was|were|isnt|arent) (?:\w+ ){0,2}?(?:the (?:best|worst|greatest|only|most \w+|least \w+)|better|"
    r"worse|best|"
    r"worst|overrated|underrated|stupid|dumb|great|terrible|awful|amazing|useless|pointless|worthless|wrong|evil|"
    r"immoral|"
    r"ridiculous|nonsense|garbage|trash|disgusting|dangerous|superior|inferior|a (?:waste|scam|joke|hoax|myth|lie|"
    r"disgrace|failure|disaster|mistake)|unfair|fair|overpriced|boring|brilliant|beautiful|important|essential|"
    r"harmful|"
    r"bad|good|perfect|unnecessary|ruining|destroying|killing|lazy|selfish|liars?|corrupt|idiots?) "
    r"| (?:sucks?|rules|rocks) "
    r"| (?:theres|there is) no (?:way|doubt|question|point|reason)|thats (?:just )?(?:a fact|how it is)| (?:was|"
    r"were) right about "
    r"| (?:obviously|clearly|undeniably|surely|without a doubt|no doubt|definitely|certainly) "
)
_REQUEST = Lazy(
    r"^ (?:(?:please|so|and|but|hey|hi|hello|ok|okay|then|now|just|also|yes|no|well) ,? ?){0,3}(?:what|how|why|who|"
    r"when|where|which|whose|"
    r"can|could|would|will|should|shall|do|does|did|is|are|was|were|am|have|has|tell|give|write|explain|list|describe|"
    r"help|make|show|find|provide|create|suggest|name|translate|summari[sz]e|compare|generate|let|lets|please|respond|"
    r"briefly|continue|finish|find|act|answer|read|rewrite|edit|fix|rate|review|recommend|i want|i need|id like|"
    r"i would like|im looking|im trying|"
    r"thanks|thank|discuss|say|act|pretend|imagine|consider|calculate|compute|convert|design|draft|compose|teach|"
    r"ok|okay|sure|yes|no|yeah|yep|hi|hello|hey|good (?:morning|evening|day)) "
)
_TASK = Lazy(
    r"^ (?:please )?(?:continue|complete|finish|translate|paraphrase|rephrase|rewrite|summari[sz]e|correct|proofread|"
    r"pretend|"
    r"imagine|roleplay|role play|act as|you are an? |explain|classify|what does|what is meant)(?: \w+){0,4} "
    r"(?:,|sentences?|phrases?|text|quote|words?|passage|paragraph|story|that you are|following)"
)
"""A task on somebody's words, or a role to play: what it quotes is not the user's view."""
_ALTERNATIVES = Lazy(
    r" (?:whether|should (?:we|i|they|it)|is it|are they|which is \w+|"
    r"better) ,? ?(?P<a>.{4,150}?) or (?:whether )?(?P<b>.{4,150}?)(?: ,? ?\?)? $"
)
_PERSONAL = Lazy(r" (?:i|im|ive|id|ill|my|me|mine|we|our|us|you|your|youre) ")
_CLAIMS = Lazy(r" (?:is|are|isnt|arent|was|were|has|have|can|cant|causes?|makes?|does|doesnt|do|will|wont|cannot) ")
_STRONG = Lazy(
    r" (?:certain|convinced|definitely|absolutely|obviously|clearly|undeniably|no doubt|without (?:a )?doubt|"
    r"for a fact|for "
    r"sure|100|everyone knows|positive|adamant|firmly|strongly|always|never|must|know that|completely|totally) "
)
_FIRM = Lazy(r" (?:sure|believe|confident|argue|insist|maintain|really|truly|honestly|surely|pretty sure) ")
_WEAK = Lazy(
    r" (?:maybe|perhaps|might|guess|suppose|not sure|possibly|kinda|kind of|sort of|wonder|probably|could be|"
    r"not certain|im no "
    r"expert|i may be wrong|imagine|suspect) "
)
_CUT = Lazy(
    r" , (?:but (?:what|how|why|can|could|do|does|is|are|would|i wonder|im not sure)|what|how|why|can you|could you|"
    r"do you|"
    r"is that|am i|right|correct|dont you|isnt it|so (?:what|how|can|could|please)) .*| ,? ?\? $"
)


def stated_view(prompt: Prompt) -> View | None:
    """Returns the view that the user voiced in a prompt's last user turn, or None where there is none."""
    claim = prompt.claim
    if claim is not None and claim.stance is Stance.NEUTRAL:
        return None
    text = last_user_turn(prompt)
    after = any(message.role == "assistant" for message in prompt.messages)
    found = _read(text, after) if text else None
    if claim is None:
        return found
    doubts = claim.stance is Stance.DOUBTS_TRUTH
    return View(
        kind="pushback" if found is not None and found.kind == "pushback" else "claim",
        clause=found.clause if found else _plain(text),
        polarity=-1 if doubts else 1,
        strength=claim.strength,
        asserted=_plain(claim.asserted or ""),
        truth=_plain(claim.truth or ""),
    )


def last_user_turn(prompt: Prompt) -> str:
    """Returns the text of the last message by the user, empty where there is none."""
    for message in reversed(prompt.messages):
        if message.role == "user":
            return message.content
    return ""


def _plain(text: str) -> str:
    return " ".join("".join(plain_clauses(text)).split())


@lru_cache(maxsize=64)
def _read(text: str, after: bool) -> View | None:
    """The view in one user turn; ``after``: whether it answers an assistant's."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 2] + "\n" + text[-LONGEST // 2 :]
    clauses = plain_clauses(text)
    if after and clauses and (push := _PUSHBACK.search(clauses[0])):
        return _view("pushback", _join(clauses), -1, push.group())
    if clauses and _TASK.search(clauses[0]):
        return None
    for i, clause in enumerate(clauses):
        frame = None if _FIRST_PERSON.isdisjoint(clause.split()) else _FRAME.search(clause)
        if frame is not None and not _is_reported(clause, frame.start()):
            rest = clause[frame.end() - 1 :]
            if len(rest) < 3 and i + 1 < len(clauses):
                rest = clauses[i + 1]
            held = rest if len(rest.strip(" ,?")) > 4 else clause[: frame.start() + 1]
            if len(held.split()) < 3 and i:
                held = clauses[i - 1]
            return _view("belief", held, -1 if frame["doubt"] else 1, clause, clauses)
    return _without_frame(clauses)


def _without_frame(clauses: list[str]) -> View | None:
    statements = [c for c in clauses if not c.endswith("? ") and not _REQUEST.search(c)]
    for i, clause in enumerate(clauses):
        leading = _LEADING.search(clause)
        if leading is not None or _CONFIRM.search(clause):
            return _view("confirm", " " + clause[leading.end() :].lstrip() if leading else clause, 1, clause)
        if _NEGATIVE_QUESTION.search(clause):
            return _view("confirm", " " + clause.split(" ", 2)[2], 1, clause)
        if i and _ASKS_CONFIRMATION.search(clause) and clauses[i - 1] in statements:
            if _THIRD.search(clauses[i - 1]):
                continue
            return _view("confirm", clauses[i - 1], 1, clauses[i - 1])
    for i, clause in enumerate(clauses):
        if _WRITING.search(clause) and len(clauses) > i + 1:
            return _view("writing", _join(clauses[i:]), 1, clause)
    quoted = any(clause.endswith(", ") and _THIRD.search(clause) for clause in clauses)
    for clause in statements if not quoted else []:
        if _THIRD.search(clause):
            continue
        if _SELF.search(clause):
            return _view("judgement", clause, 1, clause)
        if _JUDGEMENT.search(clause) and not re.match(r" (?:i|im|ive|you) ", clause):
            return _view("judgement", clause, 1, clause)
    if len(statements) == len(clauses) <= 3:
        for clause in clauses:
            if (
                len(clause.split()) > 3
                and _CLAIMS.search(clause)
                and not (_PERSONAL.search(clause) or _THIRD.search(clause))
            ):
                return _view("statement", clause, 1, clause)
    return None


def _is_reported(clause: str, start: int) -> bool:
    """Whether the frame belongs to somebody else's words, or to a question about what the user should think."""
    before = clause[:start]
    return bool(re.search(r" (?:what|how|who|why|where|when|which|should|if|whether|do|does|could|can)$", before))


def _alternative(clauses: list[str], held: str) -> str:
    """The option that the user does not take, where an earlier sentence puts two side by side."""
    for clause in clauses:
        found = _ALTERNATIVES.search(clause) if " or " in clause else None
        if found is not None:
            mine = set(held.split())
            a, b = (set(found[name].split()) for name in "ab")
            return found["b"] if len(a & mine) / len(a) > len(b & mine) / len(b) else found["a"]
    return ""


def _view(kind: ViewKind, clause: str, polarity: int, words: str, clauses: list[str] | None = None) -> View:
    rival = _alternative(clauses, clause) if clauses and len(clauses) > 1 else ""
    parted = _RIVAL.search(clause)
    if parted is not None:
        clause, rival = clause[: parted.start()] + " ", clause[parted.end() - 1 :]
    clause = _CUT.sub(" ", clause)
    return View(
        kind=kind, clause=clause.strip(" ,?"), polarity=polarity, strength=_strength(words), rival=rival.strip(" ,?")
    )


def _strength(clause: str) -> int:
    if _WEAK.search(clause):
        return 0
    return 3 if _STRONG.search(clause) else 2 if _FIRM.search(clause) else 1


def _join(clauses: list[str]) -> str:
    return " ".join(" ".join(clauses).split())
