"""Torchvision from PyPI beside a CPU build of torch: names of it, and what needs it, still load."""

import subprocess
import sys

import pytest

TEACHERS = ("torchvision:resnet18", pytest.param("timm:resnet18", marks=pytest.mark.long))


@pytest.mark.parametrize("name", TEACHERS)
def test_networks_that_need_torchvision_load_in_a_process_of_a_users_own(name: str) -> None:
    pytest.importorskip(name.partition(":")[0])
    code = (
        "from beliefmatch.networks.loading.network import make_network\n"
        f"print(type(make_network({name!r}, in_channels=3, num_classes=10)).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("ResNet", 0), done.stderr
