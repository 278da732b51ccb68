"""What docstrings write in plain text becomes mathematics on the pages, and code stays code."""

import inspect
import re

import pytest
from formulas import NoFormula, block_to_latex, is_display, is_formula, to_latex
from hypothesis import given
from hypothesis import strategies as st

import sktransfer

OBJECTIVES = {
    "DANNClassifier": r"\frac{1}{n} \, \sum_{\text{source}} \, L_{y}",
    "DeepCORALClassifier": r"\frac{\lambda}{4 \, d^{2}} \, \lVert C_{S} - C_{T} \rVert_{F}^{2}",
    "MCCClassifier": r"L_{y} + \lambda \, L_{c}",
    "CDANClassifier": r"w_{i} \, L_{d}(h_{i})",
    "DeepMMDClassifier": r"\operatorname*{mean} \, k(s, s')",
    "DeepJDOTClassifier": r"\langle \gamma, M \rangle",
    "MCDClassifier": r"\lvert p_{ik} - q_{ik} \rvert",
    "SHOTClassifier": r"H(p_{i})",
    "VADAClassifier": r"\operatorname{KL}(p(x_{i}) \,\|\, p(x_{i} + r_{i}))",
    "DomainConfusionClassifier": r"C_{\text{source}} + C_{\text{target}}",
    "FineTuneClassifier": r"\mathtt{l2\_sp}",
    "CORAL": r"(C_{S} + r \, I)^{- 1/2}",
    "SubspaceAlignment": r"P_{S}'",
    "TCA": r"\mu \, I",
    "JDA": r"\max",
    "OptimalTransport": r"\operatorname*{argmin} \, \langle G, M \rangle",
    "KMM": r"k(x_{i}, x_{j})",
    "KLIEP": r"\log",
    "ULSIF": r"\frac{\alpha}{m}",
    "TrAdaBoostClassifier": r"\frac{1 - e_{t}}{e_{t}}",
    "MeanRegularizedRegressor": r"\lVert w_{t} - w_{0} \rVert^{2}",
    "TaskRelationshipRegressor": r"\Omega^{-1}",
    "MarginalizedDenoisingAutoencoder": r"\tanh(M'[h_{l - 1}, 1])",
    "ESZSLClassifier": r"\mathtt{class\_penalty} \, I",
    "SemanticAutoencoderClassifier": r"\lVert X - W' S \rVert^{2}",
    "PrototypicalClassifier": r"\operatorname{softmax}_{k}",
}


@pytest.mark.parametrize(
    ("plain", "latex"),
    [
        ("1/n sum_i x_i", r"\frac{1}{n} \, \sum_{i} \, x_{i}"),
        ("(a + b) / (c + d)", r"\frac{a + b}{c + d}"),
        ("f(x)/n", r"\frac{f(x)}{n}"),
        ("sum_(j != i) w_ij", r"\sum_{j \neq i} \, w_{ij}"),
        ("||a - b||_1^2", r"\lVert a - b \rVert_{1}^{2}"),
        ("p(y | x)", r"p(y \mid x)"),
        (
            "argmax_k g_k / ||c_k||",
            r"\operatorname*{argmax}_{k} \, \frac{g_{k}}{\lVert c_{k} \rVert}",
        ),
        ("C^-1 x'", r"C^{-1} \, x'"),
        ("A^(1/2)", r"A^{1/2}"),
        ("target_weight L_T", r"\mathtt{target\_weight} \, L_{T}"),
        ("dL_y/dtheta_f", r"\frac{\mathrm{d}L_{y}}{\mathrm{d}\theta_{f}}"),
        ("<gamma, M> >= 0", r"\langle \gamma, M \rangle \geq 0"),
        ("n_s/n_t d(f) / (1 - d(f))", r"\frac{\frac{n_{s}}{n_{t}} \, d(f)}{1 - d(f)}"),
        ("cos_ijk - x_max", r"\cos_{ijk} - x_{\text{max}}"),
        ("a <- 1e-4 x~", r"a \leftarrow 10^{-4} \, \tilde x"),
    ],
)
def test_latex_of_plain_text(plain, latex):
    assert to_latex(plain) == latex
    assert is_formula(plain)


@pytest.mark.parametrize(
    "code",
    [
        "(n, n_features)",
        "fit(X, y)",
        "lambda_=0.01",
        'class_weighting="target"',
        "history_[:, 'label_loss']",
        "n_classes - 1",
        "sktransfer.save(clf, path)",
        "mean",
        "lambda_",
        "h_score",
        "KMM",
        "accelerate launch",
        "8 n_features (n_rows + 4 n_features)",
        "benchmarks/scorers.py",
    ],
)
def test_code_stays_code(code):
    assert not is_formula(code)


@pytest.mark.parametrize("text", ["1 / ", "(a", "||a", "a b)", "^2", "a ± b"])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(NoFormula):
        to_latex(text)


def test_lines_that_begin_with_a_sign_go_on_the_one_before():
    assert r"& \qquad {} + c" in block_to_latex("a = b\n    + c")
    assert block_to_latex("a = (b\n    + c)") == "a = (b + c)"
    assert block_to_latex("a = b\nc = d").count(r"\\") == 1


def displays(docstring):
    """Return the displayed formulas of a docstring: indented blocks, and lines of literals."""
    blocks = re.findall(r"::\n\n((?:[ ]{4}.*\n|\n)+)", docstring + "\n")
    for paragraph in re.split(r"\n\s*\n", docstring):
        literals = re.findall(r"``([^`]+)``", paragraph)
        if literals and not re.sub(r"``[^`]+``", "", paragraph).strip(" ,.;:\n"):
            blocks.append("\n".join(" ".join(literal.split()) for literal in literals))
    return [block for block in blocks if is_display(block)]


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_objectives_are_displayed(name):
    shown = [block_to_latex(text) for text in displays(inspect.getdoc(getattr(sktransfer, name)))]
    assert any(OBJECTIVES[name] in latex for latex in shown), shown


def test_blocks_of_code_are_no_displays():
    assert not is_display("pip install sktransfer")
    assert not is_display("clf = DANNClassifier()\nclf.fit(X, y)")


@given(st.text(alphabet="abn12 _^'/+-=(){}[]|<>,.*~", max_size=30))
def test_whatever_is_written_is_set_with_its_brackets_paired_or_refused(text):
    try:
        latex = to_latex(text)
    except NoFormula:
        return
    plain = latex.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    opened = re.findall(r"\\left(?!arrow)", latex)
    assert len(opened) == latex.count(r"\right")
