"""What workers are worth on paper, beside a simulation of a hundred of them."""

import pytest
from simulations import worker_simulation as simulation

CELLS = simulation.cells(40_000)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_a_simulation_holds_the_plan_within_a_tenth(cell):
    """A hundred workers in virtual time take as long as planned, whatever limits and whoever is lost."""
    played = simulation.Simulation(cell, seed=11)
    assert played.run() == pytest.approx(cell.planned(), rel=0.1)
    assert played.done == cell.images


def test_the_simulation_tells_a_wrong_plan():
    """It is no echo of the plan: with half of the workers, or half of the rate, it takes far longer."""
    images, calls = CELLS[0], next(cell for cell in CELLS if cell.name == "run, ten instances")
    for cell, changed in (
        (images, {"workers": images.workers // 2}),
        (calls, {"rates": calls.rates[:5]}),
    ):
        slower = simulation.Cell(**{**vars(cell), **changed})
        assert simulation.Simulation(slower, seed=11).run() > 1.8 * cell.planned()


def test_a_lost_worker_costs_its_bundle_again_and_no_image():
    """What a lost worker had in work is done once more by others, and counted."""
    cell = simulation.Cell("lost", 40_000, (), 20, losses=60)
    played = simulation.Simulation(cell, seed=1)
    undisturbed = simulation.Simulation(simulation.Cell("calm", 40_000, (), 20), seed=1)
    assert played.run() > undisturbed.run()
    assert played.done == cell.images
    assert 0 < played.repeated < cell.images // 10
    assert undisturbed.repeated == 0
