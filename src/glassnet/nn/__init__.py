"""Networks: layers, activations, initialisers, losses, optimizers, schedules, and the gradient check."""

from glassnet.nn.activations import ACTIVATIONS, Activation, activation
from glassnet.nn.checks import MATMUL_PRECISIONS
from glassnet.nn.gradient_check import GradientError, gradient_check
from glassnet.nn.initializers import INITIALIZERS, initializer
from glassnet.nn.inputs import Inputs
from glassnet.nn.layers import Activate, Dense, Layer, Parameter, Residual
from glassnet.nn.losses import (
    LOSSES,
    Absolute,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    Squared,
    loss,
)
from glassnet.nn.network import Network
from glassnet.nn.noise import Dropout, Noise
from glassnet.nn.normalization import BatchNorm, LayerNorm, RMSNorm
from glassnet.nn.optimizers import (
    OPTIMIZERS,
    SGD,
    Adagrad,
    Adam,
    AdamW,
    Lion,
    Momentum,
    NAdam,
    Nesterov,
    Optimizer,
    RAdam,
    RMSProp,
    optimizer,
)
from glassnet.nn.own_loss import Custom
from glassnet.nn.parametric import ParametricActivation, PReLU, Scale
from glassnet.nn.save import LAYERS, load_network, read_notes, save_network
from glassnet.nn.schedules import SCHEDULES, Schedule, schedule, warm_up

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "LAYERS",
    "LOSSES",
    "MATMUL_PRECISIONS",
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Absolute",
    "Activate",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "BatchNorm",
    "Custom",
    "Dense",
    "Dropout",
    "GradientError",
    "Huber",
    "Inputs",
    "Layer",
    "LayerNorm",
    "Lion",
    "Loss",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Network",
    "Noise",
    "Optimizer",
    "PReLU",
    "Parameter",
    "ParametricActivation",
    "Poisson",
    "Quantile",
    "RAdam",
    "RMSNorm",
    "RMSProp",
    "Residual",
    "Scale",
    "Schedule",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "Squared",
    "activation",
    "gradient_check",
    "initializer",
    "load_network",
    "loss",
    "optimizer",
    "read_notes",
    "save_network",
    "schedule",
    "warm_up",
]
