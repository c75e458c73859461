"""What strangers wrote, as HTML that can only be read."""

from __future__ import annotations

import re

import pytest

from candor.collect.errors import Refused
from candor.collect.markdown import ATTRIBUTES, LONGEST, TAGS, to_html
from candor.collect.throttle import KEYS, Throttle
from payloads import payloads


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a** *b* `c`", "<p><strong>a</strong> <em>b</em> <code>c</code></p>\n"),
        ("# Title", "<h3>Title</h3>\n"),
        ("###### Six", "<h6>Six</h6>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        ("a < b & c", "<p>a &lt; b &amp; c</p>\n"),
        ("![a cat](http://x/y.png)", "<p>[picture: a cat]</p>\n"),
        ("<b>raw</b>", "<p>&lt;b&gt;raw&lt;/b&gt;</p>\n"),
    ],
)
def test_markdown(text: str, html: str) -> None:
    assert to_html(text) == html


def test_a_link_says_where_it_leads_and_nothing_of_where_it_comes_from() -> None:
    html = to_html("[x](https://example.org)")
    assert 'href="https://example.org"' in html
    assert 'rel="noopener noreferrer nofollow"' in html
    assert 'target="_blank"' in html


def test_only_what_is_allowed_comes_through() -> None:
    for text in payloads():
        for tag, attributes in re.findall(r"<([a-zA-Z0-9]+)([^>]*)>", to_html(text)):
            assert tag in TAGS, text
            for name, value in re.findall(r'([a-z]+)="([^"]*)"', attributes):
                assert name in ATTRIBUTES.get(tag, set()) | {"rel", "target"}, text
                if name == "href":
                    scheme = re.match(r"\s*([a-z][a-z0-9+.-]*):", value, re.IGNORECASE)
                    assert scheme is None or scheme[1].lower() in ("http", "https", "mailto"), text


def test_a_long_text_is_shown_as_it_is() -> None:
    html = to_html("*" * (LONGEST + 1))
    assert html.startswith("<pre>*")


def test_deep_nesting_ends() -> None:
    assert len(to_html("> " * 5_000 + "x")) < 200_000
    assert len(to_html("[" * 5_000)) < 200_000


def test_a_throttle_lets_so_many_through_and_then_so_many_a_second() -> None:
    throttle = Throttle(burst=3, per_second=0.5)
    for _ in range(3):
        throttle.take("ann", now=0.0)
    with pytest.raises(Refused) as refused:
        throttle.take("ann", now=1.0)
    assert refused.value.status == 429
    assert refused.value.retry_after == pytest.approx(1.0)
    throttle.take("bob", now=1.0)
    throttle.take("ann", now=2.0)
    throttle.forget("ann")
    for _ in range(3):
        throttle.take("ann", now=2.0)


def test_a_throttle_holds_only_so_many_names() -> None:
    throttle = Throttle(burst=1, per_second=1)
    for n in range(KEYS + 50):
        throttle.take(str(n), now=0.0)
    assert len(throttle._buckets) == KEYS
