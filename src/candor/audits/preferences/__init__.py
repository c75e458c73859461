"""The audit of preference data. Each file asks one kind of question: ``checks(survey) -> list[Check]``.

A survey is what one pass over a file leaves: columns (:class:`~candor.preferences.table.Judgements`), a sample of the
comparisons with their texts, and what was dropped. A check never raises for data that cannot answer it: it says
``cannot tell``, and why.
"""
