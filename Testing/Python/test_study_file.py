"""The configuration file of a study: what is read, and what is refused with a sentence."""

from __future__ import annotations

import pytest

from SegQualityQCLib.errors import InputError
from training.study.study_file import read_study


def test_numbers_without_a_point_are_numbers(repository, tmp_path):
    text = (repository / "training" / "configs" / "acdc-smoke.yaml").read_text(encoding="utf-8")
    path = tmp_path / "study.yaml"
    path.write_text(
        text.replace("rec_net: {epochs: 1, learning_rate: 2.0e-3}", "rec_net: {epochs: 1, learning_rate: 2e-3}")
    )
    assert read_study(path).rec_net.learning_rate == 0.002


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("rec_net:", "reck_net:", "reck_net"),
        ("epochs: 1,", "epochen: 1,", "epochen"),
        ("name: acdc-smoke", "name: [", "cannot be read"),
        ("epochs: 1,", "epochs: one,", "epochs must be a whole number, not 'one'"),
        ("learning_rate: 2.0e-3", "learning_rate: fast", "learning_rate must be a number, not 'fast'"),
        ("  rec-reg: {epochs: 1", "  rec_reg: {epochs: 1", "hardening must hold settings for rec-reg or direct"),
        (
            "  rec-reg: {epochs: 1",
            "  rec-reg: {seed: 1, epochs: 1",
            "hardening: rec-reg: seed must be one of seeds, not 1",
        ),
        ("rec_net: {", "rec_net: {further_epochs: {direct: [1]}, ", "rec_net: unknown setting further_epochs"),
        ("{direct: [1]}", "{directt: [1]}", "further_epochs must hold settings for rec-reg or direct"),
        ("{direct: [1]}", "{direct: 1}", "further_epochs: direct must be a list, not 1"),
        ("{direct: [1]}", "[1]", "further_epochs must be a table of settings, not"),
        ("aliases: [myocardium]", "aliases: myocardium", "aliases must be a list, not 'myocardium'"),
        ('snomed: ["74281007", ', "snomed: [74281007, ", "snomed must be text: put it in quotes, not 74281007"),
        ('snomed: ["74281007", Myocardium]', "snomed: [Myocardium]", "snomed must be a list of 2, not of 1"),
        ("readouts: [5, 20]", "readouts: 20", "readouts must be a list, not 20"),
        ("familiarity_margin: 1000", "split: 3", "split must be text"),
        ("    aliases: [myocardium]", "    kinds: [directt]", "kinds of lv-myocardium must be rec-reg or direct"),
        ("    aliases: [myocardium]", "    warm_start: lv", "warm_start of lv-myocardium must be .* not 'lv'"),
        ("familiarity_margin: 1000", "window_size: 150", "window_size must be a multiple of 16, not 150"),
        (
            "candidate_nets: {depths: [2]",
            "margin: 30\ncandidate_nets: {depths: [4]",
            "multiples of 8: .* 144 and 204",
        ),
        ("depths: [2]", "depths: [6]", "depth 6 .* multiples of 32: they are 144 and 208"),
    ],
)
def test_a_wrong_setting_is_named(repository, tmp_path, before, after, said):
    text = (repository / "training" / "configs" / "acdc-smoke.yaml").read_text(encoding="utf-8")
    path = tmp_path / "study.yaml"
    path.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_study(path)


def test_the_papers_study_makes_the_papers_attacks_too(repository):
    study = read_study(repository / "training" / "configs" / "acdc-paper.yaml")
    assert study.attack_study.eps == (0.0, 0.05, 0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("  parts: 2\n", "  parts: 1\n", "folds are needed: name hospitals, or parts of at least 2"),
        (
            "  parts: 2\n",
            "  parts: 2\n  depths: [2]\n",
            "give depths, filters and readouts, or architectures, not both",
        ),
        ("unseen_architecture: other", "unseen_architecture: others", "must be one of small, other, not 'others'"),
        ("{name: small", "{name: other", "two architectures have the same name"),
        ("readouts: [2, 12]", "readouts: [12, 2]", "readouts of small must be ascending epochs from 1 on"),
        ("made: {reference", "made: {references", "made must hold shares of reference, blend, extra slice, empty mask"),
        ("made: {reference: 0.1", "made: {reference: 0.3", "shares of perturbed and made masks must be from 0 to 1"),
    ],
)
def test_a_wrong_setting_of_several_hospitals_is_named(repository, tmp_path, before, after, said):
    text = (repository / "training" / "configs" / "heart-smoke.yaml").read_text(encoding="utf-8")
    assert before in text
    path = tmp_path / "study.yaml"
    path.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_study(path)


def test_a_study_without_read_outs_is_refused(repository, tmp_path):
    text = (repository / "training" / "configs" / "acdc-smoke.yaml").read_text(encoding="utf-8")
    path = tmp_path / "study.yaml"
    path.write_text(text.replace("readouts: [5, 20], ", ""), encoding="utf-8")
    with pytest.raises(InputError, match="candidate_nets: readouts is missing"):
        read_study(path)
