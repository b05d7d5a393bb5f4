"""One training step of a 2-2-1 network, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from glassnet.nn import SGD, Dense, Momentum, Network, SigmoidCrossEntropy, SoftmaxCrossEntropy


@pytest.fixture
def network() -> Network:
    network = Network([Dense(2, "relu"), Dense(1)], n_inputs=2, loss="squared", dtype="float64")
    hidden, output = network.layers
    hidden.W[:] = [[0.5, -1.0], [0.25, 1.0]]
    hidden.b[:] = [0.0, 0.5]
    output.W[:] = [[1.0], [-2.0]]
    output.b[:] = [2.0]
    return network


X = np.array([[1.0, 2.0], [2.0, 0.0]])
Y = np.array([[1.0], [1.0]])


def test_forward_backward_and_step(network: Network, kernel_form: str) -> None:
    hidden, output = network.layers

    # Forward.  Row 1: z = (1*0.5 + 2*0.25, 1*(-1) + 2*1) + (0, 0.5) = (1, 1.5),  a = (1, 1.5)
    #           Row 2: z = (2*0.5 + 0*0.25, 2*(-1) + 0*1) + (0, 0.5) = (1, -1.5), a = (1, 0)
    # Output.   Row 1: 1*1 + 1.5*(-2) + 2 = 0;  row 2: 1*1 + 0*(-2) + 2 = 3
    # Loss.     mean of 0.5 (0 - 1)² = 0.5 and 0.5 (3 - 1)² = 2 is 1.25
    assert network.gradient(X, Y) == 1.25
    assert network.outputs.tolist() == [[0.0], [3.0]]

    # dZ of the output = (z - y) / 2 rows = (-0.5, 1)
    # dW = Aᵀ dZ = (1*(-0.5) + 1*1, 1.5*(-0.5) + 0*1) = (0.5, -0.75);  db = -0.5 + 1 = 0.5
    assert output.dW.tolist() == [[0.5], [-0.75]]
    assert output.db.tolist() == [0.5]

    # dA = dZ Wᵀ: row 1 -0.5*(1, -2) = (-0.5, 1), row 2 1*(1, -2) = (1, -2)
    # dZ = dA where z > 0: row 1 (-0.5, 1), row 2 (1, 0)
    # dW = Xᵀ dZ: [1*(-0.5) + 2*1, 1*1 + 2*0] = [1.5, 1]
    #             [2*(-0.5) + 0*1, 2*1 + 0*0] = [-1, 2]
    # db = (-0.5 + 1, 1 + 0) = (0.5, 1)
    assert hidden.dW.tolist() == [[1.5, 1.0], [-1.0, 2.0]]
    assert hidden.db.tolist() == [0.5, 1.0]

    # One step of gradient descent with learning rate 0.5: theta - 0.5 grad
    sgd = SGD(lr=0.5)
    sgd.start(network)
    sgd.step()
    assert hidden.W.tolist() == [[0.5 - 0.75, -1.0 - 0.5], [0.25 + 0.5, 1.0 - 1.0]]
    assert hidden.b.tolist() == [-0.25, 0.0]
    assert output.W.tolist() == [[0.75], [-1.625]]
    assert output.b.tolist() == [1.75]


def test_weights_of_rows(network: Network, kernel_form: str) -> None:
    # Row 1 counts 3 times: (3 * 0.5 + 1 * 2) / 4 = 0.875; dZ = (3 * (-1) / 4, 1 * 2 / 4) = (-0.75, 0.5)
    assert network.gradient(X, Y, w=np.array([3.0, 1.0])) == 0.875
    assert network.layers[1].db.tolist() == [-0.25]
    assert network.layers[1].dW.tolist() == [[-0.75 + 0.5], [1.5 * -0.75]]


def test_two_steps_of_momentum(network: Network, kernel_form: str) -> None:
    # v1 = -lr g1, theta1 = theta0 + v1; v2 = mu v1 - lr g2, theta2 = theta1 + v2
    # of the output's bias: g1 = 0.5, lr = 0.5, mu = 0.5: v1 = -0.25, b = 1.75;
    # g2 is taken as 1: v2 = -0.125 - 0.5 = -0.625, b = 1.125
    momentum = Momentum(lr=0.5, momentum=0.5)
    momentum.start(network)
    network.gradient(X, Y)
    momentum.step()
    network.grad[:] = 1.0
    momentum.step()
    assert network.layers[1].b.tolist() == [1.125]


def test_cross_entropies(kernel_form: str) -> None:
    # softmax(ln 1, ln 3) = (1/4, 3/4): loss of class 0 is ln 4, dZ = (1/4 - 1, 3/4)
    dZ = np.empty((1, 2))
    Z = np.log([[1.0, 3.0]])
    one = np.ones(1)
    assert SoftmaxCrossEntropy().gradient(Z, np.array([0]), one, 1.0, dZ) == pytest.approx(
        np.log(4), rel=1e-15
    )
    np.testing.assert_allclose(dZ, [[-0.75, 0.75]], rtol=1e-15)
    # with smoothing 0.2 the target is (0.9, 0.1): loss 0.9 ln 4 + 0.1 ln 4/3, dZ = (0.25 - 0.9, 0.75 - 0.1)
    smooth = SoftmaxCrossEntropy(label_smoothing=0.2).gradient(Z, np.array([0]), one, 1.0, dZ)
    assert smooth == pytest.approx(0.9 * np.log(4) + 0.1 * np.log(4 / 3), rel=1e-15)
    np.testing.assert_allclose(dZ, [[-0.65, 0.65]], rtol=1e-14)
    # focal with gamma 2: (1 - 1/4)² ln 4
    focal = SoftmaxCrossEntropy(focal=2.0).gradient(Z, np.array([0]), one, 1.0, dZ)
    assert focal == pytest.approx(0.5625 * np.log(4), rel=1e-15)
    # sigmoid(ln 3) = 3/4: loss of "no" is -ln(1/4) = ln 4, dZ = 3/4
    dZ = np.empty((1, 1))
    loss = SigmoidCrossEntropy().gradient(np.log([[3.0]]), np.array([[0.0]]), one, 1.0, dZ)
    assert loss == pytest.approx(np.log(4), rel=1e-15)
    np.testing.assert_allclose(dZ, [[0.75]], rtol=1e-15)
