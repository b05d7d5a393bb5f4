"""The loops of the data floor that run over every pixel, each written twice under the same name.

`reference` is the definition in plain NumPy; `compiled` holds Numba twins without its large temporary arrays.
`GLASSNET_KERNELS=reference` in the environment selects the definitions. Import this package inside the
function that needs it: Numba takes 0.7 s to import.
"""

import os

if os.environ.get("GLASSNET_KERNELS", "compiled") == "reference":
    from glassnet.data.loops.reference import *  # noqa: F403
else:
    from glassnet.data.loops.compiled import *  # noqa: F403

__all__ = ["count_bytes", "picture_properties", "similar_pairs"]  # noqa: F405
