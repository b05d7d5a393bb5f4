"""The inner loops of networks, each written twice under the same name (`chain.py` apart: see nn/layers.py).

`reference` is the definition: plain NumPy, to be read. `compiled` holds fused twins made with Numba, and
falls back to the reference where a twin would not be faster. `GLASSNET_KERNELS=reference` in the
environment selects the definition for everything; the results agree to rounding (tested pair by pair).
"""

import os
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from glassnet.errors import unknown_name

_form = os.environ.get("GLASSNET_KERNELS", "compiled")
if _form not in ("compiled", "reference"):
    raise unknown_name("value of GLASSNET_KERNELS", _form, ("compiled", "reference"))
if _form == "reference":
    from glassnet.kernels.reference import *  # noqa: F403

    def employed(products: bool = True, large: bool = False) -> AbstractContextManager[None]:
        """Nobody: NumPy does everything, with the threads of its BLAS."""
        return nullcontext()

    def alone() -> AbstractContextManager[None]:
        """The same."""
        return nullcontext()

    def work_alone() -> None:
        """The same."""

    def working_time() -> float:
        """Seconds on a clock; nothing is compiled that it could stand still for."""
        return time.perf_counter()

    FORM = "as floats"
    ROUNDED = "no products"
    STEPS: dict[str, Any] = {}  # none in one call
    TAKEN: dict[str, tuple[int, int]] = {}

    def prepared_weights(weights: Any, rows: int, stored: Any = None) -> AbstractContextManager[None]:
        """None: floats are multiplied as they are."""
        return nullcontext()

    def rounding_pays(M: int, K: int, N: int) -> bool:
        """Never: nothing is rounded."""
        return False

    def shares_large_products(rows: int) -> bool:
        """Never: there is no team."""
        return False

    def may_stay_bytes(X: Any, n_rows: int, units: int, scale: Any, shift: Any) -> bool:
        """Never: the definition multiplies floats."""
        return False

    def rows_of_chain(widths: list[int], activations: list[str], dtype: Any) -> range:
        """None: the definition goes layer by layer."""
        return range(0)
else:
    from glassnet.kernels.by_blas import shares_large_products as shares_large_products
    from glassnet.kernels.by_halves import ROUNDED as ROUNDED
    from glassnet.kernels.by_halves import rounding_pays as rounding_pays
    from glassnet.kernels.chain import backward_through as backward_through
    from glassnet.kernels.chain import forward_through as forward_through
    from glassnet.kernels.chain import gradient_through as gradient_through
    from glassnet.kernels.chain import rows_of_chain as rows_of_chain
    from glassnet.kernels.chain import table_of as table_of
    from glassnet.kernels.compiled import *  # noqa: F403
    from glassnet.kernels.jit import working_time as working_time
    from glassnet.kernels.steps import STEPS as STEPS
    from glassnet.kernels.steps import TAKEN as TAKEN
    from glassnet.kernels.stored import FORM as FORM
    from glassnet.kernels.stored import StoredRows as StoredRows
    from glassnet.kernels.stored import may_stay_bytes as may_stay_bytes
    from glassnet.kernels.stored import prepared_weights as prepared_weights
    from glassnet.kernels.team import alone as alone
    from glassnet.kernels.team import employed as employed
    from glassnet.kernels.team import work_alone as work_alone

__all__ = [  # noqa: F405
    "accumulate",
    "act_grad",
    "adagrad",
    "adam",
    "batch_norm",
    "batch_norm_grad",
    "bias_act",
    "dropout",
    "gather",
    "hits",
    "l1",
    "l2",
    "lion",
    "mixed_codes",
    "momentum",
    "nadam",
    "product",
    "rms_norm",
    "rms_norm_grad",
    "rmsprop",
    "sgd",
    "sigmoid_cross_entropy",
    "softmax",
    "softmax_cross_entropy",
]
