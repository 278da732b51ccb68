"""The epochs as a progress bar."""

import sys
from types import SimpleNamespace

import pytest

from sktransfer import DANNClassifier
from sktransfer.datasets import make_shifted_moons
from sktransfer.engine._progress import is_in_notebook

Xs, ys, Xt, _ = make_shifted_moons(40, random_state=0)


@pytest.fixture
def notebook(monkeypatch):
    """Stand in for IPython in a kernel; return what a cell's output shows after each change."""
    shown = []
    handle = SimpleNamespace(update=lambda bar: shown.append(bar._repr_html_()))

    def display(bar, display_id):
        assert display_id
        shown.append(bar._repr_html_())
        return handle

    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    return shown


def test_a_terminal_shows_epochs_and_losses(capsys):
    DANNClassifier(max_epochs=3, verbose=1, random_state=0).fit(Xs, ys, X_target=Xt)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "domain_accuracy=" in shown


def test_a_notebook_shows_plain_html_that_stays(notebook, capsys):
    clf = DANNClassifier(max_epochs=3, verbose=1, random_state=0).fit(Xs, ys, X_target=Xt)
    assert [f'value="{n}" max="3"' in html for n, html in enumerate(notebook)] == [True] * 4
    assert f"label_loss={clf.history_[-1, 'label_loss']:.3f}" in notebook[-1]
    assert capsys.readouterr() == ("", "")


def test_an_interpreter_without_a_kernel_is_no_notebook(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert not is_in_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not is_in_notebook()


@pytest.mark.slow
def test_nbconvert_keeps_what_was_shown():
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    code = (
        "from sktransfer import DANNClassifier\n"
        "from sktransfer.datasets import make_shifted_moons\n"
        "Xs, ys, Xt, _ = make_shifted_moons(40, random_state=0)\n"
        "clf = DANNClassifier(max_epochs=3, verbose=1, random_state=0).fit(Xs, ys, X_target=Xt)\n"
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(book, kernel_name="python3").execute()
    (output,) = [part for part in book.cells[0].outputs if part.output_type == "display_data"]
    assert 'value="3" max="3"' in output.data["text/html"]
    assert output.data["text/plain"].startswith("3/3 epochs [label_loss=")
