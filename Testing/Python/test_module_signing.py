"""Decisions in the panel: who signed what, and that none is lost or kept for what was drawn since."""

import numpy as np
import pytest
import slicer
from slicer_harness.application import process_events
from slicer_harness.editing import edit_slice, slice_pixels
from slicer_harness.reviewing import assessed_demo, results, segmentation, select, wait
from slicer_harness.sequences import move_image, sequence_of

from SegQualityQCLib.scene.result_nodes import ORIGINAL, TABLE, existing_node
from SegQualityQCLib.scene.reviews import Review, Reviews


@pytest.fixture
def panel():
    widget = assessed_demo()
    yield widget.panel
    widget.cleanup()


def test_a_decision_needs_a_name_and_keeps_who_when_and_why(panel):
    key, _ = select(panel, 2)
    panel.ui.reviewerEdit.setText("")
    panel.ui.acceptButton.click()
    assert "enter your name" in panel.ui.statusLabel.text()
    panel.ui.reviewerEdit.setText("Dr A")
    panel.ui.commentEdit.setText("papillary muscle")
    panel.ui.flagButton.click()
    review = results(panel).reviews.of(key, 2)
    assert (review.decision, review.reviewer, review.comment) == ("flagged", "Dr A", "papillary muscle")
    table = existing_node(segmentation(panel), TABLE).GetTable()
    row = [table.GetValueByName(r, "Slice").ToString() for r in range(10)].index("2")
    assert table.GetValueByName(row, "Decision").ToString() == "flagged"
    assert "1 of 4 low slices reviewed" in panel.ui.reviewLabel.text()
    assert slicer.app.userSettings().value("SegQualityQC/Reviewer") == "Dr A"


def test_an_accepted_slice_that_is_edited_is_no_longer_accepted(panel):
    key, _ = select(panel, 6)
    panel.ui.acceptButton.click()
    assert results(panel).reviews.of(key, 6).decision == "accepted"
    edit_slice(segmentation(panel), key, 6, lambda pixels: np.roll(pixels, 2, axis=0))
    wait(panel)
    assert results(panel).reviews.of(key, 6) is None


def test_accepting_the_case_ends_the_copy_and_is_shown(panel):
    panel.ui.acceptCaseButton.click()
    assert existing_node(segmentation(panel), ORIGINAL) is None
    assert "Case accepted by Dr A" in panel.ui.reviewLabel.text()
    select(panel, 6)
    panel.ui.restoreButton.click()
    assert "no longer kept" in panel.ui.statusLabel.text()


def test_a_browsed_volume_is_not_scored_and_the_panel_says_so(panel):
    node, volume = segmentation(panel), panel.parameters.volume
    browser = sequence_of([volume], [lambda: move_image(volume)])
    wait(panel)
    assert panel.ui.statusLabel.text() == ""
    key, _ = select(panel, 6)
    panel.ui.acceptButton.click()
    before = results(panel)
    browser.SetSelectedItemNumber(1)
    wait(panel)
    assert "DemoHeart shows another image than was assessed" in panel.ui.statusLabel.text()
    edit_slice(node, key, 6, lambda pixels: np.roll(pixels, 4, axis=0))
    wait(panel)
    assert results(panel) == before
    assert "shows another image" in panel.ui.statusLabel.text()
    browser.SetSelectedItemNumber(0)
    wait(panel)
    assert panel.ui.statusLabel.text() == ""
    assert 6 in results(panel).before[key]  # the edit is scored on the image that was assessed


@pytest.mark.parametrize("with_volume", [True, False], ids=["both", "segmentation alone"])
def test_browsing_a_sequence_of_segmentations_loses_no_sign_off(panel, with_volume):
    node, volume = segmentation(panel), panel.parameters.volume
    key, _ = select(panel, 6)

    def next_frame():
        if with_volume:
            move_image(volume)
        edit_slice(node, key, 6, lambda pixels: np.roll(pixels, 4, axis=0))

    panel.ui.followCheck.setChecked(False)
    browser = sequence_of([node, volume] if with_volume else [node], [next_frame])
    panel.ui.followCheck.setChecked(True)
    panel.ui.assessButton.click()
    wait(panel)
    select(panel, 6)
    panel.ui.acceptButton.click()
    panel.ui.acceptCaseButton.click()
    before = results(panel)
    assert before.reviews.of(key, 6)
    assert before.reviews.case
    for frame in (1, 0, 1, 0):
        browser.SetSelectedItemNumber(frame)
        wait(panel)
        assert results(panel) == before
        assert ("go back to it, or assess again" in panel.ui.statusLabel.text()) == (frame == 1)
    edit_slice(node, key, 6, lambda pixels: np.roll(pixels, 2, axis=0))  # an edit is one, also in a sequence
    wait(panel)
    assert 6 in results(panel).before[key]
    assert results(panel).reviews.of(key, 6) is None


def test_another_frame_can_be_assessed_and_begins_without_decisions(panel):
    volume = panel.parameters.volume
    browser = sequence_of([volume], [lambda: move_image(volume)])
    key, _ = select(panel, 6)
    panel.ui.acceptButton.click()
    browser.SetSelectedItemNumber(1)
    panel.ui.assessButton.click()
    wait(panel)
    assert results(panel).reviews.of(key, 6) is None
    assert "decisions about that one are gone" in panel.ui.statusLabel.text()
    edit_slice(segmentation(panel), key, 6, lambda pixels: np.roll(pixels, 4, axis=0))
    wait(panel)
    assert 6 in results(panel).before[key]


def test_results_of_a_version_that_kept_no_checksum_of_the_image_go_on_working(panel):
    existing_node(segmentation(panel), TABLE).SetAttribute("SegQualityQC.Shown", None)
    move_image(panel.parameters.volume)
    key, _ = select(panel, 6)
    edit_slice(segmentation(panel), key, 6, lambda pixels: np.roll(pixels, 4, axis=0))
    wait(panel)
    assert 6 in results(panel).before[key]


@pytest.mark.parametrize("then", ["follow", "assess"])
def test_a_sign_off_of_an_edit_that_was_not_scored_holds(panel, then):
    panel.ui.followCheck.setChecked(False)
    key, _ = select(panel, 6)
    for index, decision in ((6, panel.ui.correctedButton), (7, panel.ui.acceptButton)):
        select(panel, index)
        edit_slice(segmentation(panel), key, index, lambda pixels: np.roll(pixels, 3, axis=0))
        decision.click()
    panel.ui.acceptCaseButton.click()
    edit_slice(segmentation(panel), key, 7, lambda pixels: np.roll(pixels, 3, axis=0))
    wait(panel)
    (panel.ui.followCheck if then == "follow" else panel.ui.assessButton).click()
    wait(panel)
    after = results(panel).reviews
    assert after.of(key, 6).decision == "corrected"
    assert after.of(key, 7) is None
    assert after.case is None


def test_a_sign_off_of_an_edit_that_was_taken_back_does_not_hold(panel):
    panel.ui.followCheck.setChecked(False)
    key, _ = select(panel, 6)
    edit_slice(segmentation(panel), key, 6, lambda pixels: np.roll(pixels, 3, axis=0))
    panel.ui.correctedButton.click()
    edit_slice(segmentation(panel), key, 6, lambda pixels: np.roll(pixels, -3, axis=0))
    panel.ui.followCheck.setChecked(True)
    wait(panel)
    assert results(panel).reviews.of(key, 6) is None


def test_a_case_that_is_accepted_before_its_edits_are_scored_stays_accepted(panel):
    panel.ui.followCheck.setChecked(False)
    key, _ = select(panel, 6)
    edit_slice(segmentation(panel), key, 6, lambda pixels: np.roll(pixels, 3, axis=0))
    panel.ui.acceptCaseButton.click()
    panel.ui.followCheck.setChecked(True)
    wait(panel)
    assert 6 in results(panel).before[key]
    assert results(panel).reviews.case.decision == "accepted"


def test_another_frame_can_neither_be_signed_nor_restored(panel):
    node, volume = segmentation(panel), panel.parameters.volume
    browser = sequence_of([volume], [lambda: move_image(volume)])
    browser.SetSelectedItemNumber(1)
    key, _ = select(panel, 6)
    drawn = slice_pixels(node, key, 6)
    for button in (panel.ui.acceptButton, panel.ui.acceptCaseButton, panel.ui.restoreButton):
        panel.ui.statusLabel.setText("")
        button.click()
        assert "shows another image" in panel.ui.statusLabel.text()
    assert results(panel).reviews == Reviews()
    assert slice_pixels(node, key, 6) == drawn


def test_no_decision_is_lost_while_slices_are_scored_again(panel):
    key, _ = select(panel, 3)
    decisions = (panel.ui.acceptButton, panel.ui.acceptCaseButton, panel.ui.flagCaseButton, panel.ui.restoreButton)
    for index in (6, 7):
        edit_slice(segmentation(panel), key, index, lambda pixels: np.roll(pixels, 3, axis=0))
    process_events(lambda: panel.steps.running)
    assert not any(button.isEnabled() for button in decisions)
    panel.review.decide("accepted")  # the shortcut
    assert "Wait until" in panel.ui.statusLabel.text()
    assert results(panel).reviews == Reviews()
    panel.logic.signCase(segmentation(panel), Review.now("accepted", "Dr A"))  # a script
    assert panel.steps.running
    wait(panel)
    assert all(button.isEnabled() for button in decisions)
    assert set(results(panel).before[key]) == {6, 7}
    assert results(panel).reviews.case.decision == "accepted"
