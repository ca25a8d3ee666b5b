import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

import registries
from metrics import registry
from metrics.api import Metric
from metrics.registry import InvalidOptionError, MetricError, UnknownMetricError, create, create_all, known

GROUP = registry.GROUP


@pytest.fixture
def offered(monkeypatch):
    """Entry points as other packages would offer them."""

    def offer(**targets: str) -> None:
        entries = tuple(EntryPoint(name, target, GROUP) for name, target in targets.items())
        monkeypatch.setattr(registries, "offered", lambda _: entries)

    return offer


def test_every_known_metric_is_made_and_keeps_the_contract():
    assert {"exact_match", "cer", "wer", "bleu", "anls"} <= set(known())
    for name in registry.BUILT_IN:
        metric = create(name)
        assert isinstance(metric, Metric)
        assert metric.version
        assert metric.env == "current"
        # `stored` has the measures that its configuration names.
        assert metric.measures or name == "stored"


def test_unknown_name_lists_the_known_with_a_hint():
    with pytest.raises(
        UnknownMetricError, match=r"unknown metric 'cerr' \(did you mean 'cer'\?\); known: abstention, anls"
    ):
        create("cerr")
    assert issubclass(UnknownMetricError, ValueError)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cer", {"normalization": {}}, "no option 'normalization' .did you mean 'normalisation'"),
        ("cer", {"normalisation": {"yoo": True}}, "'cer': unknown option normalisation.yoo .did you mean 'yo'"),
        ("cer", {"normalisation": {"yo": "да"}}, "normalisation.yo is 'да'; valid: true, false"),
        ("wer", {"normalisation": {"unicode": "utf8"}}, "valid: NFC, NFKC"),
        ("wer", {"normalisation": {"case": "upper"}}, "valid: keep, lower, fold"),
        ("wer", {"normalisation": "NFC"}, "give its options by name"),
        ("bleu", {"normalisation": "NFC"}, "give its options by name"),
        ("bleu", {"tokenize": "spm"}, "valid: 13a, intl"),
        ("bleu", {"lowercase": 1}, "valid: true, false"),
        ("anls", {"threshold": "0.5"}, "valid: above 0"),
        ("anls", {"threshold": 0}, "valid: above 0"),
    ],
)
def test_options_are_checked(name, options, message):
    with pytest.raises(InvalidOptionError, match=message):
        create(name, options)


def test_another_package_offers_a_metric(offered):
    offered(strict="metrics.text:ExactMatch", cer="metrics.text:CharacterErrorRate")
    assert create("strict", {"normalisation": {"case": "lower"}}).measures[0].name == "exact_match"


def test_two_packages_may_not_offer_the_same_name(offered):
    offered(cer="theirs.cer:CER")
    for asked in (known, lambda: create("cer")):
        with pytest.raises(MetricError, match=r"two metrics are called 'cer': metrics.text:Char.* and theirs.cer:CER"):
            asked()
    assert create("wer").measures, "the others go on working"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_package.x:Y", "can't be loaded"),
        ("metrics.text:Nothing", "can't be loaded"),
        ("metrics.registry:GROUP", "not a class"),
        ("builtins:dict", "gives no metric"),
    ],
)
def test_a_broken_offer_is_named(offered, target, message):
    offered(broken=target)
    assert "broken" in known()
    with pytest.raises(MetricError, match=f"'broken'.*{message}"):
        create("broken")


def test_metrics_of_one_configuration_may_not_share_a_measure(offered):
    offered(strict="metrics.text:ExactMatch")
    made = create_all({"cer": None, "anls": {"threshold": 0.4}})
    assert [metric.measures[0].name for metric in made] == ["cer", "anls"]
    with pytest.raises(MetricError, match="'exact_match' and 'strict' both yield 'exact_match'"):
        create_all({"exact_match": {}, "strict": {}})


def test_importing_the_package_and_listing_metrics_is_light():
    code = (
        "import sys, metrics, metrics.api, metrics.registry; metrics.registry.known()\n"
        "print(sorted({'numpy', 'pandas', 'sacrebleu', 'rapidfuzz', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
