from beliefmatch.cli.aliases import spell_out


def test_a_network_may_be_named_without_saying_that_it_is_an_architecture() -> None:
    typed = ["best", "--teacher", "timm:x?a=1", "--student=mlp_4", "--teacher.weights", "w.pt", "--teacher-license=MIT"]
    assert spell_out(typed) == [
        *("best", "--teacher.architecture", "timm:x?a=1", "--student.architecture=mlp_4"),
        *("--teacher.weights", "w.pt", "--teacher-license=MIT"),
    ]
