"""The list of mutations fits the code: whoever changes a line that one breaks, or renames a test, hears of it here."""

import re

import pytest

from mutations import ROOT, Mutation, read_mutations

MUTATIONS = read_mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.name)
def test_a_mutation_changes_one_place_and_its_tests_exist(mutation: Mutation) -> None:
    text = (ROOT / mutation.file).read_text()
    assert mutation.changed(text) != text
    assert mutation.tests
    for test in mutation.tests:
        path, _, name = test.partition("::")
        function = re.escape(name.partition("[")[0])
        assert re.search(rf"^def {function}\(", (ROOT / path).read_text(), re.MULTILINE), test


def test_no_name_stands_twice() -> None:
    names = [each.name for each in MUTATIONS]
    assert len(set(names)) == len(names) > 25
