"""What the nearest neighbour means beside the networks."""

from __future__ import annotations

from edgekit.render.baselines import as_good_text


def test_a_nearest_neighbour_is_about_as_good_as_the_best_network_or_better():
    assert "97.9% of the test images, about as many as the best network" in as_good_text(0.979, 0.981)
    assert "97.9% of the test images, about as many as the best network" in as_good_text(0.979, 0.960)
    assert "91.3% of the test images, more than the best network (79.9%)" in as_good_text(0.913, 0.799)
