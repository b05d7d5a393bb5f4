"""What the report says about each part of the coursework, for people."""

from __future__ import annotations

__all__ = ["LIMITS", "STORIES", "TITLES"]

TITLES = {
    1: "Part 1 · {positive} or not, without a hidden layer",
    2: "Part 2 · {positive} or not, with one hidden layer",
    3: "Part 3 · all classes, softmax",
    4: "Part 4 · a modular network: activations and optimizers compared",
}
STORIES = {
    1: "One sigmoid unit reads all pixels: a linear separation, trained with full-batch gradient descent "
    "on the cross-entropy. Few rows are positive, so accuracy alone says little: look at average precision "
    "against its baseline, and at what the choice of the threshold changes.",
    2: "The same question with one layer of sigmoid units in between. What the hidden layer buys shows in "
    "the average precision; the threshold is again chosen on validation rows.",
    3: "One output per class, softmax and cross-entropy. The decision is the most probable class (argmax) "
    "and nothing else: a threshold before the argmax would turn every unsure row into class 0.",
    4: "One network, any activation, initialisation and optimizer, mini-batches in a new order every epoch. "
    "Adam runs at two learning rates: at the rate common to all it suffers for that reason alone.",
}
LIMITS = (
    "One seed and one learning rate for each setting: differences of a point or two are within what another "
    "seed would change, and an optimizer at a bad rate says nothing about the optimizer."
)
