"""Small things that every page needs: links of names, tables of figures and for phones."""

import re
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform

API = (Path(__file__).parent / "api.rst").read_text()
# What is documented, by the last part of its name.
DOCUMENTED = {
    entry.rpartition(".")[2]: f"sktransfer.{entry}"
    for entry in re.findall(r"^   ([a-zA-Z_][\w.]*)$", API, re.MULTILINE)
}
MANY_COLUMNS = 6
UNBROKEN = [
    (re.compile(r" ± ?(?=[\d.])"), lambda m: m[0].replace(" ", "\N{NO-BREAK SPACE}")),
    (re.compile(r"<->"), "\N{LEFT RIGHT ARROW}"),
    (re.compile(r"->"), "\N{RIGHTWARDS ARROW}"),
]


def is_name(text):
    """Tell whether a literal is a documented name, and no word such as ``load`` besides."""
    return text in DOCUMENTED and re.search(r"[A-Z_]", text) is not None


class DressPages(SphinxTransform):
    """Links what ``Name`` names, makes broad tables dense, and keeps what belongs together."""

    default_priority = 410  # after formulas

    def apply(self, **kwargs):
        """Change the document."""
        for classifier in self.document.findall(nodes.classifier):
            classifier["support_smartquotes"] = False  # {"ramp"} is to be copied
        for group in self.document.findall(nodes.tgroup):
            if group["cols"] >= MANY_COLUMNS:
                group.parent["classes"] = [*group.parent.get("classes", []), "dense"]
            if "stacked" in group.parent.get("classes", []):
                self.name_columns(group)
        for literal in list(self.document.findall(nodes.literal)):
            if is_name(literal.astext()) and not self.stands_in(literal, nodes.title, pending_xref):
                self.link(literal)
        if self.env.docname.startswith("benchmarks/"):
            for text in list(self.document.findall(nodes.Text)):
                if not self.stands_in(text, nodes.literal, nodes.literal_block):
                    whole = str(text)
                    for pattern, kept in UNBROKEN:
                        whole = pattern.sub(kept, whole)
                    text.parent.replace(text, nodes.Text(whole))

    def name_columns(self, group):
        """Begin each cell beyond the first with its column's name, which phones show."""
        head, body = (next(group.findall(part)) for part in (nodes.thead, nodes.tbody))
        names = [entry.astext() for entry in head.findall(nodes.entry)]
        for row in body.findall(nodes.row):
            for name, entry in list(zip(names, row.children, strict=True))[1:]:
                if entry.children:
                    entry[0].insert(0, nodes.inline("", f"{name}: ", classes=["column-name"]))

    def stands_in(self, node, *kinds):
        """Tell whether a node is inside one of these."""
        while node.parent is not None:
            node = node.parent
            if isinstance(node, (*kinds, nodes.reference)):
                return True
        return False

    def link(self, literal):
        """Make a literal a reference to what it names."""
        target = DOCUMENTED[literal.astext()]
        if self.env.docname == f"generated/{target}":
            return
        options = {"refdomain": "py", "reftype": "obj", "reftarget": target, "refexplicit": True}
        reference = pending_xref("", refdoc=self.env.docname, **options)
        literal.replace_self(reference)
        reference += literal


def find_elsewhere(app, env, node, content):
    """Resolve a bare name that another package of this library documents."""
    target = DOCUMENTED.get(node.get("reftarget", "").removeprefix("~"))
    if target is None or node.get("refdomain") != "py" or node["refdoc"] == f"generated/{target}":
        return None
    python = env.get_domain("py")
    return python.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)


def setup(app):
    """Add the transform and the answer to names that were not found."""
    app.add_transform(DressPages)
    app.connect("missing-reference", find_elsewhere)
    return {"parallel_read_safe": True}
