"""The diagram of an estimator links to its page, where the package names an address."""

import importlib.metadata
from email.message import Message

import pytest
from sklearn.linear_model import LogisticRegression

from sktransfer import CORAL, DANNClassifier, FineTuneClassifier, make_transfer_pipeline
from sktransfer._doc_link import address_of_documentation


@pytest.fixture
def address(monkeypatch):
    metadata = Message()
    metadata["Project-URL"] = "Source, https://source.example"
    metadata["Project-URL"] = "Documentation, https://docs.example/stable/"
    monkeypatch.setattr(importlib.metadata, "metadata", lambda name: metadata)
    address_of_documentation.cache_clear()
    yield "https://docs.example/stable"
    address_of_documentation.cache_clear()


class Own(DANNClassifier):
    """A subclass of a user's."""


@pytest.mark.parametrize("kind", [CORAL, DANNClassifier, FineTuneClassifier])
def test_the_diagram_links_to_the_page_of_the_class(kind, address):
    assert f'href="{address}/generated/sktransfer.{kind.__name__}.html"' in kind()._repr_html_()


def test_each_step_of_a_pipeline_links_to_its_own_page(address):
    html = make_transfer_pipeline(CORAL(), LogisticRegression())._repr_html_()
    assert f"{address}/generated/sktransfer.CORAL.html" in html
    assert "LogisticRegression.html" in html


def test_a_class_of_the_users_has_no_page(address):
    assert address not in Own()._repr_html_()


@pytest.mark.parametrize("error", [None, importlib.metadata.PackageNotFoundError])
def test_without_an_address_there_is_no_link(monkeypatch, error):
    def metadata(name):
        if error is not None:
            raise error
        return Message()

    monkeypatch.setattr(importlib.metadata, "metadata", metadata)
    address_of_documentation.cache_clear()
    assert DANNClassifier()._get_doc_link() == ""
    address_of_documentation.cache_clear()
