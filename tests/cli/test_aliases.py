import pytest

from beliefmatch.cli import main
from beliefmatch.cli.aliases import spell_out


def test_a_network_may_be_named_without_saying_that_it_is_an_architecture() -> None:
    typed = ["best", "--teacher", "timm:x?a=1", "--student=mlp_4", "--teacher.weights", "w.pt", "--teacher-license=MIT"]
    assert spell_out(typed) == [
        *("best", "--teacher.architecture", "timm:x?a=1", "--student.architecture=mlp_4"),
        *("--teacher.weights", "w.pt", "--teacher-license=MIT"),
    ]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("compare", "best", "--budget", "10m"), "--minutes"),
        (("transfer", "best", "--budget=.1"), "--minutes or --rounds"),
        (("compress", "convnet_8", "--student", "convnet_4", "--budget", "1"), "--minutes or --rounds"),
        (("reproduce", "toy", "--budget", ".1"), "--rounds-fraction"),
        (("demo", "--budget", ".1"), "--rounds"),
    ],
)
def test_who_types_budget_is_told_what_says_how_long_a_run_is(
    words: tuple[str, ...], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    command = words[0]
    assert (
        capsys.readouterr().err
        == f"beliefmatch: error: no flag of {command} is called --budget; did you mean {meant}?\n"
    )
