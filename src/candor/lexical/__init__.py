"""What can be read off a text without a model: style, and whether a reply goes along with the user's stated view.

:func:`~candor.lexical.style.style` gives numbers per text, :class:`~candor.lexical.agreement.LexicalAgreement` reads
agreement by rules and learned weights, :class:`~candor.lexical.rules.RuleAgreement` by the rules alone, and
:class:`~candor.lexical.judge.JudgeAgreement` asks a judge instead, behind the same protocol.
"""
