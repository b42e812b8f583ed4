"""What messages suggest for a name that nobody knows."""

from beliefmatch.errors import did_you_mean, near_names, the_nearest

KNOWN = ("resnet18", "resnet34", "vgg16", "vit")


def test_near_names_come_with_the_nearest_first() -> None:
    assert near_names("resnet1", KNOWN) == ["resnet18", "resnet34"]
    assert near_names("resnet1", KNOWN, most=1) == ["resnet18"]
    assert near_names("zzz", KNOWN) == []
    assert len(near_names("zzz", iter(KNOWN), cutoff=0)) == 3


def test_messages_name_the_nearest_or_all() -> None:
    assert the_nearest("resnet35", KNOWN) == "the nearest are resnet34, resnet18, vit"
    assert the_nearest("resnet35", ()) == "the nearest are none"
    assert did_you_mean("vgg17", KNOWN) == "did you mean vgg16?"
    assert did_you_mean("zzz", KNOWN) == "there are resnet18, resnet34, vgg16, vit"
