r"""Formulas as docstrings write them, in plain text, turned into LaTeX for the pages.

``1/n sum_i -log p_i[y_i] + l2_sp/2 ||theta - theta_0||^2`` can be read in a terminal, so that is
what docstrings hold; pages show the same formula set by MathJax. What the notation means:

- ``a/b`` without spaces is a fraction of these two alone, ``a b / c d`` of all that stands on
  either side; factors stand side by side; ``'`` is a transpose, ``^T`` too;
- ``x_ik``, ``x_{i + 1}``, ``sum_(j != i)`` are subscripts, ``^2`` and ``^(1/2)`` exponents;
- ``||x||``, ``|x|`` are norms, and with spaces around them the bars of conditions; ``<a, b>`` is a
  product; words stay words, and names of parameters (``target_weight``) code.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from formula_parts import (
    GREEK,
    bare,
    bracketed,
    is_plain_word,
    is_word,
    join,
    name,
    number,
    subscript,
)

SIGNS = {
    "<-": r"\leftarrow",
    "->": r"\to",
    "-=": r"\mathrel{-}=",
    "!=": r"\neq",
    "<=": r"\leq",
    ">=": r"\geq",
    "...": r"\ldots",
    "..": r"\ldots",
    "+": "+",
    "-": "-",
    "=": "=",
    "<": "<",
    ">": ">",
    ":": ":",
    ";": ";",
    "~": r"\sim",
}
TOKEN = re.compile(
    r'(?P<string>"[^"]*")|(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?|\.\d+)'
    r"|(?P<name>[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*(?:_(?![({\w]))?)"
    r"|(?P<sign><-|->|-=|!=|<=|>=|\|\||\*\*|\.\.\.|\.\.|[-+*/^_'|,:;=<>~.(){}\[\]])"
)
# An operator with nothing after it.
ALONE = re.compile(r"\\(min|max|operatorname\*\{\w+\})(_\{.*\})?")
CLOSING = {"(": ")", "[": "]", "{": "}"}
PYTHON = re.compile(
    r"==|\w=\S|[A-Za-z]\w*\.\w|\b(None|True|False|import|self|nan)\b|>>>|[`%@#\\]|\(\)|://"
)
SYMBOL = re.compile(rf"([A-Za-z]|{'|'.join(GREEK)})(_[A-Za-z0-9]{{1,2}})?'?")  # alone
# Words that are functions in formulas; any other before a bracket is a call.
CALLED = ("body", "decoder", "error", "loss", "predict")


class Token(NamedTuple):
    """A piece of a formula, and how many spaces stand before it."""

    kind: str
    text: str
    spaces: int


class NoFormula(ValueError):
    """What is not written in this notation."""


def is_formula(text: str) -> bool:
    """Tell whether text between double backquotes is mathematics, not code."""
    if PYTHON.search(text) or '"' in text or re.match(r"\(\w*,|\([^()]*,[^()]*\)$", text):
        return False
    try:
        tokens = Parser(text).tokens
        to_latex(text)
    except NoFormula:
        return False
    if len(tokens) < 2:
        return bool(SYMBOL.fullmatch(text))
    follows = [*tokens[1:], Token("end", "", 0)]
    words = [
        (token.text, after.text == "(" and not after.spaces)
        for token, after in zip(tokens, follows, strict=True)
        if token.kind == "name" and is_word(token.text)
    ]
    if any(called and word not in CALLED for word, called in words):
        return False
    return len(words) < sum(token.kind == "name" for token in tokens)


def is_display(text: str) -> bool:
    """Tell whether all lines of a block can be read, and one without its names is a formula."""
    if not any(is_formula(re.sub(r'"\w*"', "", line).strip()) for line in text.splitlines()):
        return False
    try:
        block_to_latex(text)
    except NoFormula:
        return False
    return True


def block_to_latex(text: str) -> str:
    """Return the lines of a displayed formula as one aligned display.

    Lines that begin with a sign, or far to the right, go on the one before: below it, or behind
    it where that leaves a bracket open.
    """
    rows: list[list[str]] = []  # how far to the right each is, and what it says
    for line in filter(str.strip, text.splitlines()):
        goes_on = re.match(r" *[+-] ", line) or len(line) - len(line.lstrip()) > 4
        if rows and goes_on and rows[-1][1].count("(") > rows[-1][1].count(")"):
            rows[-1][1] += " " + line.strip()
        else:
            rows.append([r"\qquad {} " if rows and goes_on else "", line.strip()])
    latex = [right + to_latex(row) for right, row in rows]
    if len(latex) == 1:
        return latex[0]
    return "\\begin{aligned}\n" + "\\\\\n".join("& " + row for row in latex) + "\n\\end{aligned}"


def to_latex(text: str) -> str:
    """Return a formula of one line as LaTeX, or raise `NoFormula`."""
    return Parser(text).whole()


class Parser:
    """Reads a formula from left to right."""

    def __init__(self, text: str) -> None:
        self.tokens: list[Token] = []
        at = 0
        while at < len(text):
            spaces = len(text[at:]) - len(text[at:].lstrip())
            at += spaces
            if at == len(text):
                break
            match = TOKEN.match(text, at)
            if match is None:
                raise NoFormula(f"{text[at:]!r} in {text!r}")
            self.tokens.append(Token(str(match.lastgroup), match.group(), spaces))
            at = match.end()
        self.at, self.text = 0, text
        self.in_script = False

    def whole(self) -> str:
        """Return all of it."""
        latex = self.sequence(())
        if self.at < len(self.tokens):
            raise NoFormula(f"{self.tokens[self.at].text!r} in {self.text!r}")
        return latex

    def peek(self, ahead: int = 0) -> Token:
        """Return a token that is still to be read."""
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else Token("end", "", 0)

    def take(self, text: str | None = None) -> Token:
        """Return the next token, which must be `text` where this is given."""
        token = self.peek()
        if token.kind == "end" or (text is not None and token.text != text):
            raise NoFormula(f"{text!r} is missing in {self.text!r}")
        self.at += 1
        return token

    def closes(self, closing: tuple[str, ...]) -> bool:
        """Tell whether the next token ends the present group; bars do so without a space before."""
        token = self.peek()
        if token.text in ("|", "||", ">") and token.text in closing:
            return token.spaces == 0
        return token.text in closing

    def sequence(self, closing: tuple[str, ...]) -> str:
        """Return products and the signs between them, up to what closes the group."""
        parts: list[str] = []
        while self.peek().kind != "end" and not self.closes(closing):
            token = self.peek()
            if parts and token.spaces > 1:
                wide = r"\qquad" if token.spaces > 2 else r"\quad"
                parts.append(r"\," if ALONE.fullmatch(parts[-1]) else wide)
            if token.text == ",":
                self.take()
                parts.append(r",\ " if is_plain_word(self.peek().text) else ",")
            elif self.is_label():
                parts.append(rf"\text{{{self.take().text}:}}\quad")
                self.take(":")
            elif token.text in ("|", "||") and not self.opens_bars():
                self.take()
                parts.append(r"\mid" if token.text == "|" else r"\,\|\,")
            elif token.text in SIGNS and not self.opens_angle():
                self.take()
                parts.append(SIGNS[token.text])
            else:
                parts.append(self.product(closing))
        return " ".join(parts).replace(" ,", ",")

    def is_label(self) -> bool:
        """Tell whether a word with a colon follows."""
        return (
            self.peek().kind == "name"
            and len(self.peek().text) > 2
            and (self.peek(1).text == ":" and not self.peek(1).spaces)
        )

    def opens_bars(self) -> bool:
        """Tell whether bars open a norm, and do not stand between two things."""
        before = self.tokens[self.at - 1].text if self.at else "("
        follows = self.peek(1).spaces == 0 and self.peek(1).kind != "end"
        return follows and (self.peek().spaces > 0 or before in "([{,-+/")

    def opens_angle(self) -> bool:
        """Tell whether ``<`` opens an inner product."""
        later = [token.text for token in self.tokens[self.at :]]
        return self.peek().text == "<" and self.peek(1).spaces == 0 and ">" in later

    def starts_factor(self, closing: tuple[str, ...]) -> bool:
        """Tell whether another factor follows."""
        token = self.peek()
        if token.kind == "end" or self.closes(closing) or token.spaces > 1:
            return False
        if token.text in ("|", "||"):
            return self.opens_bars()
        return (
            token.kind in ("name", "number", "string") or token.text in "([{" or self.opens_angle()
        )

    def product(self, closing: tuple[str, ...]) -> str:
        """Return factors side by side, over what stands below them."""
        factors = [self.fraction()]
        while True:
            token = self.peek()
            if token.text in ("*", ".") and token.spaces:
                self.take()
                factors += [r"\cdot", self.fraction()]
            elif token.text == "/" and not self.closes(closing):
                self.take()
                if not self.starts_factor(closing):
                    raise NoFormula(f"nothing stands below in {self.text!r}")
                at = 2 if ALONE.fullmatch(factors[0]) and len(factors) > 1 else 0
                above, below = bare(join(factors[at:])), bare(self.product(closing))
                return join([*factors[:at], rf"\frac{{{above}}}{{{below}}}"])
            elif self.starts_factor(closing):
                of_words = token.spaces and (
                    factors[-1].startswith(r"\text") or is_plain_word(token.text)
                )
                factors += [r"\ " if of_words else r"\," if token.spaces else "", self.fraction()]
            else:
                return join(factors)

    def fraction(self) -> str:
        """Return a factor, or two with a slash and no space between."""
        above = self.power()
        slash, below = self.peek(), self.peek(1)
        if slash.text == "/" and not slash.spaces and not below.spaces:
            self.take()
            if self.in_script:
                return f"{above}/{self.power()}"
            return rf"\frac{{{bare(above)}}}{{{bare(self.power())}}}"
        return above

    def power(self) -> str:
        """Return an atom with its primes, subscripts and exponents."""
        latex = self.atom()
        applies = self.tokens[self.at - 1].kind == "name"
        while not self.peek().spaces:
            mark = self.peek().text
            if applies and mark in ("(", "["):
                latex += self.atom()
            elif mark == "'":
                self.take()
                latex += "'"
            elif mark in ("^", "**", "_"):
                self.take()
                latex += ("_" if mark == "_" else "^") + "{" + self.script() + "}"
            else:
                break
        return latex.replace("}'^{", "}^{\\prime ") if "}'^{" in latex else latex

    def script(self) -> str:
        """Return what is raised or lowered, where fractions keep their slash."""
        outside, self.in_script = self.in_script, True
        latex = self.raised()
        self.in_script = outside
        return latex

    def raised(self) -> str:
        """Return a group without its brackets, or one thing with its sign."""
        if self.peek().text in ("(", "{"):
            closing = CLOSING[self.take().text]
            inside = self.sequence((closing,))
            self.take(closing)
            return inside
        sign = self.take().text if self.peek().text in ("-", "+", "*") else ""
        if sign in ("*", "+") and (
            self.peek().spaces or self.peek().kind not in ("name", "number")
        ):
            return sign
        if self.peek().text == "T":
            self.take()
            return r"\top"
        if self.peek().kind == "name":
            return sign + subscript(self.take().text.split("_"))
        return sign + self.atom()

    def atom(self) -> str:
        """Return a number, a name or a group."""
        token = self.take()
        if token.kind == "number":
            return number(token.text, self.peek().text)
        if token.kind == "string":
            return rf"\text{{{token.text[1:-1]}}}"
        if token.kind == "name":
            return self.named(token.text)
        if token.text in CLOSING:
            inside = self.sequence((CLOSING[token.text],))
            return bracketed(token.text, inside, self.take(CLOSING[token.text]).text)
        if token.text in ("|", "||"):
            inside = self.sequence((token.text,))
            self.take(token.text)
            bar = r"\lvert \rvert" if token.text == "|" else r"\lVert \rVert"
            return bracketed(bar.split()[0], inside, bar.split()[1])
        if token.text == "<":
            inside = self.sequence((">",))
            self.take(">")
            return rf"\langle {inside} \rangle"
        raise NoFormula(f"{token.text!r} in {self.text!r}")

    def named(self, text: str) -> str:
        """Return a name, and of a root what stands below it."""
        if text == "sqrt":
            self.take("(")
            inside = self.sequence((")",))
            self.take(")")
            return rf"\sqrt{{{inside}}}"
        if self.peek().text == "~" and not self.peek().spaces:
            self.take()
            return rf"\tilde {name(text)}"
        return name(text)
