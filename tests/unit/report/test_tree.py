"""A page read back as a tree: what is printed, in its order, and nothing else."""

from __future__ import annotations

from ganfingerprint.report.tree import printed_tree

PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>no</title><style>p { }</style></head>
<body><p class="a b">One &amp;
 <strong>two</strong><br>three</p><div class="tools control">
<label>Show <input><select><option>all</option></select></label></div>
<ul><li>x</li><li>y<ul><li>z</li></ul></li></ul><svg viewBox="0 0 1 1"><rect x="1"/><text>t</text></svg>
<script>no()</script></body></html>"""


def test_only_what_is_printed_is_in_it() -> None:
    assert printed_tree(PAGE).words() == "One & twothree xyzt"


def test_elements_are_found_in_their_order() -> None:
    tree = printed_tree(PAGE)
    assert [item.words() for item in tree.walk("li")] == ["x", "yz", "z"]
    assert [shape.tag for shape in tree.walk("rect", "text")] == ["rect", "text"]
    (paragraph,) = tree.walk("p")
    assert paragraph.classes == ["a", "b"]
    (drawing,) = tree.walk("svg")
    assert drawing.attributes == {"viewbox": "0 0 1 1"}
    assert list(tree.walk("input", "title", "script")) == []
