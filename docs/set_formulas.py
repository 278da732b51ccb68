"""Sets the formulas of pages, which docstrings write in plain text, by `formulas`."""

from docutils import nodes
from formulas import block_to_latex, is_display, is_formula, to_latex
from sphinx.transforms import SphinxTransform

OF_USERS = ("auto_examples/", "benchmarks/", "whats_new")  # output, tables and the changelog stay
ARGUMENTS = ("X", "y")  # which stand beside `X_target` in the guide


class SetFormulas(SphinxTransform):
    """Replaces literals that are formulas by mathematics."""

    default_priority = 400  # before the mathematics of pages is counted

    def apply(self, **kwargs):
        """Change the document."""
        if self.env.docname.startswith(OF_USERS):
            return
        for block in list(self.document.findall(nodes.literal_block)):
            if block.get("language", "none") in ("none", "default"):
                display(block, block.astext())
        for paragraph in list(self.document.findall(nodes.paragraph)):
            if isinstance(paragraph.parent, nodes.definition):
                continue  # what one parameter is
            literals = [child for child in paragraph if isinstance(child, nodes.literal)]
            words = "".join(c.astext() for c in paragraph if not isinstance(c, nodes.literal))
            if literals and not words.strip(" ,.;\n"):
                display(paragraph, "\n".join(one_line(literal) for literal in literals))
        for literal in list(self.document.findall(nodes.literal)):
            argument = self.env.docname.startswith("user_guide/") and one_line(literal) in ARGUMENTS
            if not (argument or literal.get("classes")) and is_formula(one_line(literal)):
                latex = to_latex(one_line(literal))
                literal.replace_self(nodes.math(latex, latex))


def display(node, text):
    """Put mathematics in the place of a block whose text is a formula."""
    if not is_display(text):
        return
    latex = block_to_latex(text)
    node.replace_self(nodes.math_block(latex, latex, nowrap=False, number=None, label=None))


def one_line(literal):
    """Return the text of a literal, wherever its lines were broken."""
    return " ".join(literal.astext().split())


def setup(app):
    """Add the transform."""
    app.add_transform(SetFormulas)
    return {"parallel_read_safe": True}
