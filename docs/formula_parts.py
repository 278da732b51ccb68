"""The parts of a formula in LaTeX: names, numbers, brackets, what stands side by side."""

from __future__ import annotations

import re

GREEK = {
    name: rf"\{name}"
    for name in "alpha beta gamma theta lambda sigma mu eta pi phi Omega Phi".split()
} | {"eps": r"\varepsilon"}
FUNCTIONS = {name: rf"\{name}" for name in ("log", "ln", "exp", "cos", "sin", "tanh", "det")}
FUNCTIONS |= {name: rf"\operatorname{{{name}}}" for name in ("tr", "diag", "softmax", "KL")}
FUNCTIONS |= {name: rf"\operatorname{{{name}}}" for name in ("Var", "Cov", "cov")}
OPERATORS = {"sum": r"\sum", "max": r"\max", "min": r"\min", "int": r"\int"}
OPERATORS |= {n: rf"\operatorname*{{{n}}}" for n in ("mean", "argmax", "argmin", "median")}
DERIVATIVE = re.compile(r"d([A-Z]|theta|[fzx])")
PARAMETER = re.compile(r"[nXy]_[a-z]{4,}\w*|[a-z]\d_\w+|[a-z]{2,}_(\w{3,}|\w*_)")  # and attributes


def name(text: str) -> str:
    """Return one name: a symbol with its subscripts, a function, a parameter or a word."""
    head, *below = text.rstrip("_").split("_")
    if head in OPERATORS and (not below or len(below[0]) < 4 or below[0] in ("source", "target")):
        return OPERATORS[head] + (rf"_{{{subscript(below)}}}" if below else "")
    derivative = DERIVATIVE.fullmatch(head)
    known = derivative or head in GREEK or head in FUNCTIONS
    if PARAMETER.fullmatch(text) and not known:
        return r"\mathtt{" + text.replace("_", r"\_") + "}"
    if derivative:
        head_latex = r"\mathrm{d}" + GREEK.get(derivative[1], derivative[1])
    else:
        head_latex = GREEK.get(head) or FUNCTIONS.get(head) or ""
    if not head_latex and (len(head) == 1 or re.fullmatch(r"[A-Za-z]\d", head)):
        head_latex = head[0] + (f"_{head[1]}" if len(head) == 2 else "")
    if not head_latex and not below and is_product(head):
        return " ".join(head)
    if head_latex:
        return head_latex + (rf"_{{{subscript(below)}}}" if below else "")
    return rf"\text{{{head}}}" + (rf"_{{{subscript(below)}}}" if below else "")


def is_product(text: str) -> bool:
    """Tell whether letters are matrices side by side, such as KHK."""
    return len(text) <= 4 and text.isupper() and text not in ("LEEP",)


def subscript(parts: list[str]) -> str:
    """Return what stands below: indices as they are, words upright, y_i below w nested."""
    first, *rest = parts
    if first in GREEK:
        latex = GREEK[first]
    else:
        is_index = len(first) < 3 or first.isdigit() or re.fullmatch("[i-m]{3}", first)
        latex = first if is_index else rf"\text{{{first}}}"
    return latex + (rf"_{{{subscript(rest)}}}" if rest else "")


def is_word(text: str) -> bool:
    """Tell whether a name is a word or a parameter, and no symbol."""
    return text != "sqrt" and name(text).startswith((r"\text", r"\mathtt"))


def is_plain_word(text: str) -> bool:
    """Tell whether a name is a word of the language."""
    return text[:1].isalpha() and name(text).startswith(r"\text")


def number(text: str, following: str) -> str:
    """Return a number; 11' is the matrix of ones."""
    if text == "11" and following == "'":
        return r"\mathbf{1}\mathbf{1}"
    digits, _, exponent = text.partition("e")
    if exponent:
        return ("" if digits == "1" else rf"{digits} \cdot ") + f"10^{{{exponent}}}"
    return text


def bracketed(opening: str, inside: str, closing: str) -> str:
    """Return a group in brackets that are as high as what is in them."""
    opening, closing = (opening.replace("{", r"\{"), closing.replace("}", r"\}"))
    if re.search(r"\\frac|\\sum|\\left|\\operatorname\*", inside):
        return rf"\left{opening} {inside} \right{closing}"
    return f"{opening}{inside}{closing}" if opening in "([" else f"{opening} {inside} {closing}"


def bare(latex: str) -> str:
    """Return what is in round brackets, if these hold all of it: a fraction needs none."""
    opening, closing = (r"\left(", r"\right)") if latex.startswith(r"\left(") else ("(", ")")
    if not (latex.startswith(opening) and latex.endswith(closing)):
        return latex
    depth = 0
    for at, character in enumerate(latex):
        depth += (character == "(") - (character == ")")
        if depth == 0 and character == ")" and at < len(latex) - 1:
            return latex
    inside = latex[len(opening) : -len(closing)].strip()
    return latex if re.search(r"(?<!\\),", inside) else inside


def join(factors: list[str]) -> str:
    """Return factors side by side."""
    return " ".join(factor for factor in factors if factor)
